"""Decodes bodies, and tells whether they are whole.

Bodies are stored decoded: this service does not choose by `Accept-Encoding`, so that each client must be able
to read what it is given. Decoding is also the only way to know that a body is whole: half a gzip stream with
a correct `Content-Length` looks like any other. (RFC 9110, section 8.4.1)
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

_PIECE: Final = 262_144  # bytes that one step decodes to, at most
_MOST_STACKED: Final = 3
_MOST_MEMBERS: Final = 1000  # of a stream, which may be nothing but empty ones
_GZIP: Final = 16 + zlib.MAX_WBITS
_ERRORS: list[type[Exception]] = [zlib.error]


class CodingError(Exception):
    """A body cannot be decoded, or is not whole; `reason` is one word for headers."""

    def __init__(self, reason: str, said: str) -> None:
        super().__init__(said)
        self.reason = reason


class _Decoder(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data decodes to, in pieces of `_PIECE` bytes at most."""

    @property
    def whole(self) -> bool:
        """Whether the stream has ended."""


class _Members:
    """A decoder of gzip, deflate or zstd, whose streams may consist of several members."""

    def __init__(self, new: Callable[[bytes], Any]) -> None:
        self._new = new
        self._member: Any = None
        self._members = 0

    @property
    def whole(self) -> bool:
        return self._member is not None and bool(self._member.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None or self._member.eof:
                self._members += 1
                if self._members > _MOST_MEMBERS:
                    raise zlib.error("too many members")
                self._member = self._new(data)
            while True:
                piece = self._member.decompress(data, _PIECE)
                yield piece
                # zlib hands back what it has not read; zstd keeps it, and so does the end of zlib's window.
                data = getattr(self._member, "unconsumed_tail", b"")
                if self._member.eof or (not data and len(piece) < _PIECE):
                    break
            data = self._member.unused_data


class _Brotli:
    def __init__(self) -> None:
        self._stream = _brotli.Decompressor()

    @property
    def whole(self) -> bool:
        return bool(self._stream.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            piece = self._stream.process(data, output_buffer_limit=_PIECE)
            yield piece
            data = b""
            if self.whole or (self._stream.can_accept_more_data() and len(piece) < _PIECE):
                break


def _deflated(data: bytes) -> Any:
    # "deflate" is zlib's format, but some servers send it without zlib's header: its first byte tells.
    return zlib.decompressobj(zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS)


def _imported(*names: str) -> Any:
    """Return the first of some modules that is installed; None if none is."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": lambda: _Members(lambda _: zlib.decompressobj(_GZIP)),
    "deflate": lambda: _Members(_deflated),
}
if (_brotli := _imported("brotli")) is not None:
    _DECODERS["br"] = _Brotli
    _ERRORS.append(_brotli.error)
if (_zstd := _imported("compression.zstd", "backports.zstd")) is not None:
    # The window that a stream may ask to be kept for it: 8 MB (RFC 9659, section 3).
    _WINDOW: Final = {_zstd.DecompressionParameter.window_log_max: 23}
    _DECODERS["zstd"] = lambda: _Members(lambda _: _zstd.ZstdDecompressor(options=_WINDOW))
    _ERRORS.append(_zstd.ZstdError)

ACCEPTED: Final = ", ".join(_DECODERS)  # brotli and zstd where their packages are installed
_SAME: Final = {"x-gzip": "gzip"}


class Decoding:
    """The decoding of one body.

    Raises:
        CodingError: a coding is not known here.
    """

    def __init__(self, codings: str) -> None:
        names = [name.strip().lower() for name in codings.split(",")]
        names = [_SAME.get(name, name) for name in names if name not in ("", "identity")]
        if len(names) > _MOST_STACKED or any(name not in _DECODERS for name in names):
            raise CodingError("coding-unknown", "content-encoding")
        # Codings are listed in the order in which they were applied.
        self._decoders = [_DECODERS[name]() for name in reversed(names)]
        self._empty = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data decodes to, piece by piece.

        Raises:
            CodingError: the data is no such stream.
        """
        self._empty = False
        try:
            yield from _through(self._decoders, data)
        except tuple(_ERRORS) as error:
            raise CodingError("body-broken", "the body does not match its content-encoding") from error

    def end(self) -> None:
        """Check that the body is whole; where nothing has come, there is none.

        Raises:
            CodingError: it was cut.
        """
        if not self._empty and not all(decoder.whole for decoder in self._decoders):
            raise CodingError("body-cut", "the encoded body ends before its end")


def _through(decoders: list[_Decoder], data: bytes) -> Iterator[bytes]:
    if not decoders:
        yield data
        return
    for piece in decoders[0].feed(data):
        if piece:
            yield from _through(decoders[1:], piece)
