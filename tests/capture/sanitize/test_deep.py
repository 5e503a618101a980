"""Structures of very many levels: what is too deep to be read is filled whole."""

from __future__ import annotations

import pytest

from capture.sanitize.places import DEEPEST
from tests.capture.sanitize.test_odd_places import sanitized, sent

SECRET = b"correct-horse-battery"


def json_of(levels: int) -> bytes:
    return b'{"password":' + b'{"a":' * (levels - 1) + b'"' + SECRET + b'"' + b"}" * levels


@pytest.mark.parametrize("level", ["standard", "strict"])
def test_a_value_under_a_telling_name_is_replaced_as_deep_as_is_read(level: str) -> None:
    request, _ = sanitized(sent(json_of(DEEPEST), b"application/json"), level)
    assert SECRET not in request
    assert request.endswith(b"}" * DEEPEST), "the structure is kept"


@pytest.mark.parametrize("level", ["standard", "strict"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json_of(DEEPEST + 1), b"application/json"),
        (json_of(100_000), b"application/json"),
        (b"[" * 100_000 + b'"' + SECRET + b'"', b"application/json"),
        (b"{a:" * 100_000 + b"'" + SECRET + b"'", b"application/json"),
        (b"<a>" * 100_000 + SECRET + b"</a>" * 100_000, b"application/xml"),
    ],
)
def test_what_is_deeper_is_filled_whole(level: str, body: bytes, kind: bytes) -> None:
    request, _ = sanitized(sent(body, kind), level)
    kept = request.partition(b"\r\n\r\n")[2]
    assert len(kept) == len(body)
    assert SECRET not in kept
    assert sum(kept.count(sign) for sign in (b"[", b"{", b"<")) <= 2, "filler has no levels"
