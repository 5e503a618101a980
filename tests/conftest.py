"""What every test begins with, whoever starts them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no defect of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# `nohup` and shells' background jobs hand ignored signals on; tests send them to what they start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
STAMP = ROOT / "build" / ".compiled"  # see Makefile


def pytest_configure() -> None:
    """Refuse to test compiled modules whose sources have changed since."""
    built = [path for name in ("capture", "replay") for path in (ROOT / name).rglob("*.so")]
    stems = [path.with_name(path.name.split(".")[0]) for path in built]
    sources = [stem.with_suffix(suffix) for stem in stems for suffix in (".py", ".pyx")]
    since = STAMP.stat().st_mtime if STAMP.exists() else 0.0
    for source in sources:
        if source.exists() and source.stat().st_mtime > since:
            pytest.exit(f"{source} is newer than what was compiled of it: run `make setup`.", 2)
