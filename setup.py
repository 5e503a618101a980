"""Builds wiretape. Where there is a C compiler, its hot modules are compiled, by mypyc and Cython.

What mypyc compiles stays the same typed Python, and does the same uncompiled, only slower; so does
what has no module of Cython. See "Compiled modules" in docs/architecture.md. WIRETAPE_COMPILE=0
leaves everything interpreted.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from setuptools import Extension, setup

ROOT = Path(__file__).parent
CACHE = ROOT / "build" / "mypyc"
CYTHON = ("capture/sanitize/letters.pyx", "replay/sending/express.pyx")
"""What is written in Cython, beside a Python module that does the same."""
COMPILED = (
    "capture/exchange.py",
    "capture/flow.py",
    "capture/flows.py",
    "capture/ledger.py",
    "capture/recent.py",
    "capture/rivals.py",
    "capture/stream.py",
    "capture/http1/*.py",
    "capture/sanitize/anchored.py",
    "capture/sanitize/blind.py",
    "capture/sanitize/characters.py",
    "capture/sanitize/content.py",
    "capture/sanitize/edits.py",
    "capture/sanitize/headers.py",
    "capture/sanitize/kinds.py",
    "capture/sanitize/lines.py",
    "capture/sanitize/marks.py",
    "capture/sanitize/memory.py",
    "capture/sanitize/places.py",
    "capture/sanitize/pseudonym.py",
    "capture/sanitize/responses.py",
    "capture/sanitize/rewrite.py",
    "capture/sanitize/sanitized.py",
    "capture/sanitize/scanner.py",
    "capture/sanitize/spelling.py",
    "capture/sanitize/templates.py",
    "capture/sanitize/triggers.py",
    "capture/sanitize/validators.py",
    "capture/sanitize/views.py",
    "replay/handover/batch.py",
    "replay/sending/*.py",
)
"""Patterns of what runs once or more for each packet, message or value."""
INTERPRETED = {"replay/sending/clock.py"}  # it talks to the C library through ctypes


def compiled() -> list[str]:
    """The paths of the modules that are compiled, in order."""
    found = {path for pattern in COMPILED for path in ROOT.glob(pattern)}
    names = {path.relative_to(ROOT).as_posix() for path in found if path.name != "__init__.py"}
    return sorted(names - INTERPRETED)


def missing() -> str:
    """What keeps the modules from being compiled; empty where nothing does."""
    if os.environ.get("WIRETAPE_COMPILE") == "0":
        return "WIRETAPE_COMPILE is 0"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers are not there (Debian: python3-dev)"
    return ""


def extensions() -> list[Any]:
    """The compiled modules, or none, which is said."""
    if lacking := missing():
        print(f"wiretape runs interpreted, and slower: {lacking}.", file=sys.stderr)
        return []
    from Cython.Build import cythonize
    from mypyc.build import mypycify

    # Types were checked by `make lint`; whoever only installs has not the stubs for that.
    options = ["--config-file=", "--python-version=3.11"]
    options += ["--ignore-missing-imports", "--follow-imports=silent"]
    # What mypyc remembers of modules that did not change is not always enough for those that did:
    # it reads all anew.
    shutil.rmtree(CACHE, ignore_errors=True)
    options.append(f"--cache-dir={CACHE}")
    # Apart, so that they are compiled side by side, and only what became other C than before.
    found: list[Any] = mypycify(
        [*options, *compiled()], opt_level="1", debug_level="0", separate=True
    )
    others = [Extension(path.removesuffix(".pyx").replace("/", "."), [path]) for path in CYTHON]
    return found + cythonize(others, build_dir="build/cython", quiet=True)


if __name__ == "__main__":
    setup(ext_modules=extensions())
