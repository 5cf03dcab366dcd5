"""Surroundings that would change what is measured if they reached it."""

from __future__ import annotations

from pathlib import Path

ENVIRONMENT = {
    "REDIS_HOST": "10.0.0.1", "REDIS_URL": "redis://10.0.0.1", "CACHE_L1": "60", "CACHE_TTL": "1",
    "UPSTREAM_URL": "http://10.0.0.1", "UPSTREAM_TOKEN": "secret", "UPSTREAM_STALLED": "true",
    "UPSTREAM_LATENCY_MS": "9000", "UPSTREAM_RATE_LIMIT": "1", "UPSTREAM_LOG": "/nowhere",
    "WEB_CONCURRENCY": "4", "UVICORN_PORT": "1", "UVICORN_WORKERS": "4", "UVICORN_LOOP": "asyncio",
    "FORWARDED_ALLOW_IPS": "*", "PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "7", "PYTHONSTARTUP": "start.py",
    "PYTHONWARNINGS": "error", "PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1", "PYTHONMALLOC": "debug",
    "PYTHONUSERBASE": "/nowhere", "LOCUST_HOST": "http://10.0.0.1", "LOCUST_USERS": "1",
    "GEVENT_LOOP": "nonsense", "GEVENT_RESOLVER": "nonsense", "LIBEV_FLAGS": "1", "MALLOC_ARENA_MAX": "1",
    "MALLOC_PERTURB_": "9", "GLIBC_TUNABLES": "nonsense", "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1", "LC_ALL": "de_DE", "HOME": "/nowhere", "XDG_CONFIG_HOME": "/nowhere",
    "HTTP_PROXY": "http://10.0.0.1", "SSLKEYLOGFILE": "keys", "TZ": "Asia/Tokyo",
}  # fmt: skip
# Modules that a child imports, of ours and of others.
MODULES = ("app", "loadtests", "compose", "scenarios", "uvicorn", "redis", "locust", "json", "gevent")
_REFUSE = "raise SystemExit('the current folder was imported')"


def folder(path: Path, *, customize: bool = False) -> Path:
    """Fill a folder with modules that must never be imported.

    `customize`: with those, too, that Python itself imports before any program begins.
    """
    path.mkdir(parents=True, exist_ok=True)
    for name in (*MODULES, *(("sitecustomize", "usercustomize") if customize else ())):
        (path / f"{name}.py").write_text(_REFUSE)
    for package in ("app", "reports"):
        (path / package).mkdir()
        (path / package / "__init__.py").write_text(_REFUSE)
        (path / package / "main.py").write_text(_REFUSE)
    return path
