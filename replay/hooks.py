"""A user's own changes: a Python file whose functions see each request before it is sent.

    def rewrite(request: bytes) -> bytes | None: ...
    def rewrite_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]] | None: ...

One of them is enough; with both, headers come first. `None` leaves the request out. Lines that
come back as they were keep their bytes (order, spaces, line ends); a request without a head
(malformed, or a raw protocol) has no headers to give. Content-Length is put right where the body's
length was changed, and left where it was not, even if it is wrong: that may be what was recorded.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from capture.errors import ReplayError

_LINE = re.compile(rb"[^\n]*\n(?:[ \t]+[^\r\n][^\n]*\n)*")  # with what is folded onto it
_LENGTH = re.compile(rb"(?i)\nContent-Length[ \t]*:[ \t]*([^\r\n]*)")


class Hook:
    """The functions of one file."""

    def __init__(self, path: str) -> None:
        self._path = path
        module = _loaded(path)
        self._bytes = _function(module, "rewrite")
        self._headers = _function(module, "rewrite_headers")
        if self._bytes is None and self._headers is None:
            raise ReplayError(
                f"--hook {path}: defines neither rewrite(request) nor rewrite_headers(headers)."
            )

    def __call__(self, request: bytes, has_head: bool) -> bytes | None:
        """The request as the functions want it; None where it is to be left out."""
        changed: bytes | None = request
        try:
            if self._headers is not None and has_head:
                changed = self._with_headers(request)
            if self._bytes is not None and changed is not None:
                changed = self._bytes(changed)
        except BaseException as failure:  # whatever it is, it is the hook's
            raise ReplayError(f"--hook {self._path} failed on a request: {failure!r}.") from failure
        if changed is None:
            return None
        if not isinstance(changed, bytes):
            raise ReplayError(
                f"--hook {self._path}: rewrite gave {type(changed).__name__}, not bytes or None."
            )
        if not changed:
            raise ReplayError(
                f"--hook {self._path}: rewrite gave no bytes: None leaves a request out."
            )
        return _reframed(request, changed) if changed != request else request

    def _with_headers(self, request: bytes) -> bytes | None:
        assert self._headers is not None
        first, lines, rest = _apart(request)
        pairs = [_pair(line) for line in lines]
        wanted = self._headers(list(pairs))
        if wanted is None:
            return None
        kept: dict[tuple[bytes, bytes], list[bytes]] = {}
        for pair, line in zip(pairs, lines, strict=True):
            kept.setdefault(pair, []).append(line)
        end = b"\r\n" if first.endswith(b"\r\n") else b"\n"
        made = [_line(pair, kept, end) for pair in wanted]
        return b"".join([first, *made, rest])


def _line(
    pair: tuple[bytes, bytes], kept: dict[tuple[bytes, bytes], list[bytes]], end: bytes
) -> bytes:
    name, value = pair
    as_it_was = kept.get((name, value))
    if as_it_was:
        return as_it_was.pop(0)
    if not name or set(b"\r\n") & set(name + value):
        raise ValueError(f"{name!r}: {value!r} is no header")
    return name + b": " + value + end


def _apart(request: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The request line, the lines of headers, and the rest from the empty line on."""
    at = request.find(b"\n") + 1
    first, lines = request[:at], []
    while at < len(request) and request[at : at + 1] not in (b"\r", b"\n"):
        match = _LINE.match(request, at)
        if match is None:
            break
        lines.append(match[0])
        at = match.end()
    return first, lines, request[at:]


def _pair(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip(), value.strip()


def _reframed(before: bytes, after: bytes) -> bytes:
    """`after` with its Content-Length put right, if the length of the body was changed."""
    head_end = after.find(b"\r\n\r\n") + 4
    old_end = before.find(b"\r\n\r\n") + 4
    length = len(after) - head_end
    if head_end < 4 or old_end < 4 or length == len(before) - old_end:
        return after
    found = _LENGTH.search(after[:head_end])
    if found is None:
        return after
    return after[: found.start(1)] + b"%d" % length + after[found.end(1) :]


def _loaded(path: str) -> Any:
    if not Path(path).is_file():
        raise ReplayError(f"--hook {path}: there is no such Python file.")
    loader = SourceFileLoader("wiretape_hook", path)
    spec = importlib.util.spec_from_loader("wiretape_hook", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as failure:
        raise ReplayError(f"--hook {path}: cannot be loaded ({failure!r}).") from None
    return module


def _function(module: Any, name: str) -> Callable[..., Any] | None:
    found = getattr(module, name, None)
    return found if callable(found) else None
