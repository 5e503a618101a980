"""Where a response ends: a reader that is fed bytes and says so, without any socket.

The rules are those of RFC 9112, section 6.3: no body for HEAD, 1xx, 204 and 304; chunked before
Content-Length; else until the connection closes. A head that was seen before is looked up whole,
because a server's heads differ by little more than the second of their Date: one dictionary probe
is the usual cost of a response. Bodies are hashed as they pass and not kept unless asked for.
"""

from __future__ import annotations

import re
from typing import Final

import xxhash

MAX_HEAD: Final = 256 * 1024
UNTIL_CLOSE: Final = -1
CHUNKED: Final = -2
_KNOWN_HEADS: Final = 4096
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: |$)")
_LENGTH: Final = re.compile(rb"\d{1,18}")
_CHUNK_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,15}[ \t]*(?:;|$)")

# What the next byte is part of.
_HEAD: Final = 0
_BODY: Final = 1
_SIZE: Final = 2
_CHUNK: Final = 3
_CHUNK_END: Final = 4
_TRAILER: Final = 5

Head = tuple[int, int, bool]
"""Status, length of the body (or UNTIL_CLOSE or CHUNKED), whether the connection stays open."""


class Garbage(Exception):
    """The bytes are no HTTP response."""


def _head_of(head: bytes) -> Head:
    """What a response head (up to its empty line) says about the body that follows."""
    lines = head.split(b"\r\n") if b"\r\n" in head else head.split(b"\n")
    match = _STATUS.match(lines[0])
    if match is None:
        raise Garbage(head[:40])
    status = int(match[2])
    length, chunked = UNTIL_CLOSE, False
    stays = match[1] == b"1"
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip().lower()
        if name == b"content-length":
            if _LENGTH.fullmatch(value) is None:
                raise Garbage(line[:40])
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = value.endswith(b"chunked")
        elif name == b"connection":
            stays = b"keep-alive" in value or (stays and b"close" not in value)
    if chunked:
        length = CHUNKED
    if status < 200 or status in (204, 304):
        length = 0
    return status, length, stays and length != UNTIL_CLOSE


class ResponseReader:
    """Reads the responses of one connection, one after another.

    `feed` takes what was received and returns what it did not need; `done` says whether a response
    is complete. Between responses the caller calls `expect` with whether the request was HEAD.
    """

    __slots__ = (
        "_bodiless", "_digests", "_hash", "_heads", "_left", "_most", "_size_line", "_state",
        "_waiting", "body", "bytes_in", "digest", "done", "head", "keep", "status", "stays",
        "tunnel",
    )  # fmt: skip

    def __init__(
        self, heads: dict[bytes, Head], keep: bool = False, most: int = 0, digests: bool = True
    ) -> None:
        self._heads = heads
        self.keep = keep
        self._most = most  # of a body that is kept; 0: all
        self._digests = digests
        self.expect(bodiless=False)

    def expect(self, bodiless: bool, tunnel: bool = False) -> None:
        """Start afresh for the answer to a HEAD (`bodiless`), a CONNECT (`tunnel`) or another."""
        self._bodiless = bodiless
        self.tunnel = tunnel
        self._waiting = b""
        self._state = _HEAD
        self._hash: xxhash.xxh3_64 | None = None
        self._left = 0
        self._size_line = b""
        self.status = 0
        self.bytes_in = 0
        self.digest = 0
        self.stays = True
        self.done = False
        self.head = b""
        self.body = b""

    @property
    def started(self) -> bool:
        """Whether any byte of the response came."""
        return self.bytes_in > 0

    def feed(self, data: bytes) -> bytes:
        """Read on; the bytes after the response's end are returned, and `done` is set."""
        while not self.done:
            if self._state == _HEAD:
                data = self._read_head(data)
                if self._state == _HEAD and not self.done and not data:
                    return b""
                continue
            if not data:
                return b""
            data = self._read_body(data)
        return data

    def end(self) -> bool:
        """The connection was closed: whether that completes the response."""
        if self._state == _BODY and self._left == UNTIL_CLOSE:
            self._finish()
        return self.done

    def _read_head(self, data: bytes) -> bytes:
        if self._waiting:
            self.bytes_in -= len(self._waiting)
            data = self._waiting + data
            self._waiting = b""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            end = data.find(b"\n\n") + 2 if b"\n\n" in data else 0
            if not end:
                return self._wait_for_head(data)
        raw = data[:end]
        head = self._heads.get(raw)
        if head is None:
            head = self._learn(raw)
        self.bytes_in += end
        status, length, self.stays = head
        if status < 200 and status != 101:
            return data[end:]
        self.status = status
        if self.keep:
            self.head = raw
        if self._bodiless or status == 101 or (self.tunnel and status < 300):
            length = 0
        if length == 0:
            self.done = True
            return data[end:]
        if 0 < length <= len(data) - end:
            self.bytes_in += length
            body = data[end : end + length]
            if self._digests:
                self.digest = xxhash.xxh3_64_intdigest(body)
            if self.keep:
                self.body = body[: self._most] if self._most else body
            self.done = True
            return data[end + length :]
        self._hash = xxhash.xxh3_64() if self._digests else None
        self._left = length
        self._state = _BODY if length != CHUNKED else _SIZE
        return data[end:]

    def _wait_for_head(self, data: bytes) -> bytes:
        if len(data) > MAX_HEAD or not b"HTTP/1."[: len(data)] == data[:7]:
            raise Garbage(data[:40])
        self._waiting = data
        self.bytes_in += len(data)
        return b""

    def _learn(self, raw: bytes) -> Head:
        if len(raw) > MAX_HEAD:
            raise Garbage(raw[:40])
        head = _head_of(raw.rstrip(b"\r\n"))
        if len(self._heads) >= _KNOWN_HEADS:
            self._heads.clear()
        self._heads[raw] = head
        return head

    def _read_body(self, data: bytes) -> bytes:
        if self._state in (_SIZE, _TRAILER, _CHUNK_END):
            return self._read_line(data)
        take = len(data) if self._left < 0 else min(self._left, len(data))
        self._absorb(data[:take])
        if self._left > 0:
            self._left -= take
            if not self._left:
                if self._state == _CHUNK:
                    self._state = _CHUNK_END
                else:
                    self._finish()
        return data[take:]

    def _read_line(self, data: bytes) -> bytes:
        end = data.find(b"\n") + 1
        self.bytes_in += end or len(data)
        self._size_line += data[:end] if end else data
        if len(self._size_line) > MAX_HEAD:
            raise Garbage(self._size_line[:40])
        if not end:
            return b""
        line, self._size_line = self._size_line.strip(), b""
        if self._state == _CHUNK_END:
            self._state = _SIZE
        elif self._state == _TRAILER:
            if not line:
                self._finish()
        else:
            self._start_chunk(line)
        return data[end:]

    def _start_chunk(self, line: bytes) -> None:
        if _CHUNK_SIZE.match(line) is None:
            raise Garbage(line[:40])
        self._left = int(line.split(b";", 1)[0], 16)
        self._state = _CHUNK if self._left else _TRAILER

    def _absorb(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if self._hash is not None:
            self._hash.update(data)
        if self.keep and not (self._most and len(self.body) >= self._most):
            self.body += data[: self._most - len(self.body)] if self._most else data

    def _finish(self) -> None:
        if self._hash is not None:
            self.digest = self._hash.intdigest()
        self.done = True
