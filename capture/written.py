"""What a command is to write, looked at before it does what takes long: in one place, for all.

    @click.option("-o", "--output", type=Written(KEPT))
    …
    apart({"-o": output, "--html": page}, [tape])

What will not do is wrong usage, told before a byte is sent or read: a folder where a file is meant,
a place that is not there or may not be written to, and what is read itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from .errors import WiretapeError
from .options import ParamType

Where = str | Path

FILE: Final = "file"
"""A file, or whatever else takes bytes."""
KEPT: Final = "kept"
"""A file that is read again, or replaced as a whole."""
FOLDER: Final = "folder"
"""A folder, which is made where it is not there."""


class Written(ParamType):
    """A path that something is written to."""

    name = "path"

    def __init__(self, kind: str = FILE, path_type: type = Path) -> None:
        self._kind = kind
        self._made = path_type

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "" and param is not None and param.default == "":
            return value  # not given
        if wrong := unfit(Path(value), self._kind):
            self.fail(f"{value}: {wrong}.", param, ctx)
        return self._made(value)


def unfit(path: Path, kind: str) -> str:
    """Why nothing can be written there; empty where it can."""
    try:
        return _unfit(path, kind)
    except OSError as problem:
        return f"cannot be written ({problem.strerror}); give another path"
    except RuntimeError:  # what older versions of Python say of a loop
        return "is a symbolic link that leads to itself; give another path"


def require(path: Where, kind: str) -> None:
    """WiretapeError where nothing can be written there, for callers without a command line."""
    if wrong := unfit(Path(path), kind):
        raise WiretapeError(f"{path}: {wrong}.")


def _unfit(path: Path, kind: str) -> str:
    whole = path.resolve()
    try:
        mode = whole.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return _unfit_parent(whole.parent, kind)
    if kind == FOLDER:
        if not stat.S_ISDIR(mode):
            return "is no folder; give another"
        return _closed(whole)
    if stat.S_ISDIR(mode):
        return "is a folder; give the path of a file"
    if kind == KEPT and not stat.S_ISREG(mode):
        return "is no file that could be read again; give the path of one"
    return "" if os.access(whole, os.W_OK) else "may not be written; give another path"


def _unfit_parent(parent: Path, kind: str) -> str:
    while kind == FOLDER and not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        return f"there is no folder {parent}; make it, or give another path"
    return _closed(parent)


def _closed(folder: Path) -> str:
    fits = os.access(folder, os.W_OK | os.X_OK)
    return "" if fits else f"nothing may be written in {folder}; give another path"


def apart(outputs: Mapping[str, Where | None], inputs: Iterable[Where | None] = ()) -> None:
    """Refuse to write two things to one file, or anything over what is read or into its midst."""
    sources = [Path(source) for source in inputs if source]
    seen: dict[str, Path] = {}
    for name, path in ((name, Path(path)) for name, path in outputs.items() if path):
        for source in sources:
            if _same(path, source):
                raise click.UsageError(f"{name} would be written over {source}: give another.")
            if path.suffix == ".tape" and source.is_dir() and _same(path.parent, source):
                raise click.UsageError(
                    f"{name} would become a part of {source}, which is read: give another folder."
                )
        for other, taken in seen.items():
            if _same(path, taken):
                raise click.UsageError(f"{other} and {name} name the same file: give two.")
        seen[name] = path


def _same(path: Path, other: Path) -> bool:
    try:
        if path.exists() and other.exists():
            whole = path.stat().st_mode
            return path.samefile(other) and (stat.S_ISREG(whole) or stat.S_ISDIR(whole))
        return path.resolve() == other.resolve()
    except (OSError, RuntimeError):
        return False


def write_text(path: Where, text: str, mode: str = "w") -> None:
    """Write a file as a whole (`a`: append to it); WiretapeError where that cannot be done."""
    try:
        with open(path, mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise WiretapeError(f"{path}: cannot be written ({problem.strerror}).") from None
