"""TLS to Redis: whom to trust, who we are, and what went wrong in words that say what to do."""

from __future__ import annotations

import ssl
from typing import Final

from app.environment import ConfigurationError
from app.settings import Settings

# X509_V_ERR_… of OpenSSL (https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/).
_CAUSES: Final = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is self-signed: set REDIS_TLS_CA to it",
    19: "its certificate is signed by an unknown CA: set REDIS_TLS_CA to that CA",
    20: "its certificate is signed by an unknown CA: set REDIS_TLS_CA to that CA",
    21: "its certificate is signed by an unknown CA: set REDIS_TLS_CA to that CA",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}


def context_of(settings: Settings) -> ssl.SSLContext | None:
    """Return what connections to Redis are made with; None where they are plain.

    Raises:
        ConfigurationError: a certificate or key cannot be read.
    """
    if not settings.redis_tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.redis_tls_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"REDIS_TLS_CA: {settings.redis_tls_ca} has no certificates") from error
    if settings.redis_tls_cert:
        try:
            # Nobody is there to be asked for a passphrase.
            context.load_cert_chain(settings.redis_tls_cert, settings.redis_tls_key, password="")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                f"REDIS_TLS_CERT, REDIS_TLS_KEY: {settings.redis_tls_cert} and {settings.redis_tls_key} are "
                "no certificate and its key, in PEM and without a passphrase"
            ) from error
    return context


def cause_of(error: Exception) -> str:
    """Say why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CAUSES.get(error.verify_code, f"its certificate is not valid: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "").upper()
        if reason in (
            "WRONG_VERSION_NUMBER",
            "HTTP_REQUEST",
            "PACKET_LENGTH_TOO_LONG",
            "RECORD_LAYER_FAILURE",
        ):
            return "it does not use TLS: check REDIS_PORT, or switch REDIS_TLS off"
        if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
            return "it requires a client certificate: set REDIS_TLS_CERT and REDIS_TLS_KEY"
        if "UNKNOWN_CA" in reason or "BAD_CERTIFICATE" in reason:
            return "it does not trust the client certificate of REDIS_TLS_CERT"
        return f"TLS failed: {reason.replace('_', ' ').lower()}"
    return str(error) or type(error).__name__
