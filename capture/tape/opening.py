"""Opening the files of a tape: one, or all of a directory, with the ciphers of encrypted ones.

A recorder's directory is read while tapes are begun and removed in it, and after the power went:
one file of it that is no tape (yet, or any more) is a loss like a damaged block, not the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..errors import TapeError
from .block import Cipher
from .file import Loss, TapeFile
from .format import TapeHeader

Opener = Callable[[TapeHeader], "Cipher | None"]
IDENTITY_VARIABLE = "WIRETAPE_IDENTITY"


def open_files(where: Path, unseal: Opener | None) -> tuple[list[TapeFile], list[Loss]]:
    """The files in the order in which they were begun, and those that cannot be opened.

    TapeError where none can be.
    """
    paths = sorted(where.glob("*.tape")) if where.is_dir() else [where]
    if not paths:
        raise TapeError(f"{where}: has no tapes in it (*.tape).")
    files: list[TapeFile] = []
    unopened: list[Loss] = []
    for path in paths:
        try:
            file = TapeFile(path)
        except TapeError as problem:
            unopened.append(Loss(path, 0, _size(path), _reason(problem, path)))
            if len(unopened) == len(paths):
                raise
            continue
        if file.header.sealed_key:
            file.cipher = unseal(file.header) if unseal else _by_environment(path, file.header)
        files.append(file)
    return sorted(files, key=lambda file: file.header.created_ns), unopened


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _reason(problem: TapeError, path: Path) -> str:
    """What is wrong with a file, without its path and without what to do about it."""
    return str(problem).removeprefix(f"{path}: ").partition(";")[0].rstrip(".")


def _by_environment(path: Path, header: TapeHeader) -> Cipher:
    from .seal import cipher_of

    identity = os.environ.get(IDENTITY_VARIABLE)
    if not identity:
        raise TapeError(f"{path}: is encrypted; give the identity file: wiretape --identity FILE …")
    return cipher_of(header.sealed_key, identity)
