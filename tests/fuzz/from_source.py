"""Runs a fuzz target on the sources of wiretape as they are written, also where they are compiled.

    python -m tests.fuzz.from_source http1 -max_total_time=60

A fuzzer is led by where the code goes, which cannot be seen in a compiled module.
"""

from __future__ import annotations

import runpy
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OURS = tuple(ROOT / name for name in ("capture", "replay", "shapes"))


def _finder(folder: str) -> FileFinder:
    """A finder that sees nothing but sources, for folders of ours."""
    if not any(Path(folder).is_relative_to(ours) for ours in _OURS):
        raise ImportError(f"{folder} is not ours")
    return FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))


def main() -> None:
    """Run the target that the first argument names; the others are the fuzzer's."""
    name = sys.argv.pop(1)
    if loaded := [each for each in sys.modules if each.partition(".")[0] in ("capture", "replay")]:
        raise RuntimeError(f"loaded before: {loaded[0]}")
    sys.path_hooks.insert(0, _finder)
    sys.path_importer_cache.clear()
    runpy.run_module(f"tests.fuzz.fuzz_{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
