"""Rewriting: as few bytes of a request as possible, in place, counted.

Only the head is looked at, and only the lines that a rule names are edited; the order and case of
everything else stays. A request without a head (malformed, or a raw protocol) is left as it is.
Content-Length is repaired only where a hook changed the length of the body.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from typing import Final

from capture.errors import ReplayError

from . import rules
from .hooks import Hook
from .identity import Identities
from .observe.trace import TraceParents
from .options import ReplayOptions
from .planning.more import clones

DROPPED: Final = "dropped by hook"
Edit = Callable[[bytes, str], bytes]
"""From a head and the authority of the target to the head as it shall be."""


class Rewriter:
    """Applies the rules of the options to requests, and counts what it changed."""

    def __init__(self, options: ReplayOptions) -> None:
        self.counts: Counter[str] = Counter()
        self._edits: list[tuple[str, Edit]] = list(_edits(options))
        self.identities = Identities(options.seed) if clones(options) else None
        self._hook = Hook(options.hook) if options.hook else None
        self._fixed_host = _fixed_host(options)

    def __call__(self, request: bytes, head_bytes: int, authority: str) -> bytes | None:
        """The request as it shall be sent; None where a hook dropped it."""
        if head_bytes:
            head = request[:head_bytes]
            edited = head
            for name, edit in self._edits:
                changed = edit(edited, authority)
                if changed is not edited and changed != edited:
                    self.counts[name] += 1
                    edited = changed
            if edited is not head:
                request = edited + request[head_bytes:]
        return request if self._hook is None else self._hooked(request, head_bytes > 0)

    def host_alone(self, authority: str) -> bytes | None:
        """The Host to set where nothing else is changed; empty: nothing is; None: more is."""
        if self._hook is not None or self.identities is not None:
            return None
        if not self._edits:
            return b""
        alone = [name for name, _ in self._edits] == ["host"]
        return (self._fixed_host or authority.encode()) if alone else None

    def _hooked(self, request: bytes, has_head: bool) -> bytes | None:
        assert self._hook is not None
        changed = self._hook(request, has_head)
        if changed is None:
            self.counts[DROPPED] += 1
        elif changed != request:
            self.counts["hook"] += 1
        return changed


def _fixed_host(options: ReplayOptions) -> bytes:
    return b"" if options.host in ("target", "keep") else rules.host_name(options.host)


def _edits(options: ReplayOptions) -> list[tuple[str, Edit]]:
    edits: list[tuple[str, Edit]] = []
    edits += [("map-path", _map_path(*rules.path_rule(rule))) for rule in options.map_path]
    edits += [("map-host", _map_host(*rules.host_rule(rule))) for rule in options.map_host]
    if options.host != "keep" and not options.map_host:
        edits.append(("host", _set_host(_fixed_host(options))))
    for name in options.del_header:
        edits.append(("del-header", _delete_header(rules.header_name(name))))
    for header in options.set_header:
        edits.append(("set-header", _set_header(*rules.header(header))))
    if options.bearer_env:
        edits.append(("bearer", _set_header(b"Authorization", _bearer(options.bearer_env))))
    if options.run_id_header:
        said = rules.header_name(options.run_id_header)
        edits.append(("run-id-header", _set_header(said, options.run_id.encode())))
    if options.trace:
        edits.append(("trace", _trace(TraceParents(options.run_id))))
    return edits


def _bearer(variable: str) -> bytes:
    token = os.environ.get(variable, "").strip()
    if not token or not token.isprintable():
        raise ReplayError(f"--bearer-env {variable}: that variable holds no token; set it.")
    return b"Bearer " + token.encode()


def _header_pattern(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?i)\n" + re.escape(name) + rb"[ \t]*:[ \t]*([^\r\n]*)")


def _set_host(fixed: bytes) -> Edit:
    pattern = _header_pattern(b"Host")

    def edit(head: bytes, authority: str) -> bytes:
        wanted = fixed or authority.encode()
        at = head.find(b"\nHost: ")
        if at >= 0:
            start = at + 7
            end = head.find(b"\r", start)
            if end < 0:
                end = head.find(b"\n", start)
            return head[:start] + wanted + head[end:]
        return pattern.sub(_keeping_name(wanted), head, count=1)

    return edit


def _keeping_name(value: bytes) -> Callable[[re.Match[bytes]], bytes]:
    return lambda match: match[0][: len(match[0]) - len(match[1])] + value


def _map_host(old: bytes, new: bytes) -> Edit:
    pattern = _header_pattern(b"Host")

    def edit(head: bytes, _authority: str) -> bytes:
        match = pattern.search(head)
        if match is None or match[1].strip() != old:
            return head
        return head[: match.start(1)] + new + head[match.end(1) :]

    return edit


def _delete_header(name: bytes) -> Edit:
    pattern = re.compile(rb"(?i)(?<=\n)" + re.escape(name) + rb"[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*")
    return lambda head, _authority: pattern.sub(b"", head)


def _trace(parents: Callable[[], bytes]) -> Edit:
    """A trace context of its own; what was left of the recorded one would contradict it."""
    others = [_delete_header(name) for name in (b"tracestate", b"traceparent")]

    def edit(head: bytes, authority: str) -> bytes:
        if b"trace" in head.lower():
            for delete in others:
                head = delete(head, authority)
        return _with_header(head, b"traceparent", parents())

    return edit


def _set_header(name: bytes, value: bytes) -> Edit:
    pattern = _header_pattern(name)

    def edit(head: bytes, _authority: str) -> bytes:
        changed, count = pattern.subn(_keeping_name(value), head, count=1)
        return changed if count else _with_header(head, name, value)

    return edit


def _with_header(head: bytes, name: bytes, value: bytes) -> bytes:
    """The head with one more header, the first of all."""
    first = head.find(b"\n") + 1
    line_end = b"\r\n" if head[:first].endswith(b"\r\n") else b"\n"
    return head[:first] + name + b": " + value + line_end + head[first:]


def _map_path(pattern: re.Pattern[bytes], new: bytes) -> Edit:
    def edit(head: bytes, _authority: str) -> bytes:
        first = head.find(b" ") + 1
        last = head.find(b" ", first)
        if not first or last < 0 or b"\n" in head[:last]:
            return head
        return head[:first] + pattern.sub(new, head[first:last]) + head[last:]

    return edit
