"""Bodies as their sender meant them: out of their chunks, out of their coding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A kept message: its header lines (names in lower case) and its body, opened."""

    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def value(self, name: bytes) -> bytes:
        """The value of a header; empty where there is none."""
        return b", ".join(value for each, value in self.fields if each == name)


def message_of(data: bytes, head_bytes: int) -> Message:
    """The message that these bytes are."""
    lines = data[:head_bytes].split(b"\n")[1:]
    pairs = (line.partition(b":") for line in lines if b":" in line)
    fields = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
    message = Message(fields, data[head_bytes:])
    body = message.body
    if b"chunked" in message.value(b"transfer-encoding").lower():
        body = unchunked(body)
    coding = message.value(b"content-encoding")
    if coding and body:
        from capture.sanitize.codings import names, opened

        body = opened(body, names(coding)) or body
    return Message(fields, body)


def unchunked(body: bytes) -> bytes:
    """A chunked body without its frame; what cannot be read is left out."""
    parts, at = [], 0
    while (end := body.find(b"\r\n", at)) >= 0:
        try:
            size = int(body[at:end].partition(b";")[0], 16)
        except ValueError:
            break
        if size <= 0:
            break
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 4 + size
    return b"".join(parts)
