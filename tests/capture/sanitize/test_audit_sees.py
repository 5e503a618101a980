"""The audit sees a raw secret wherever it stands, however it is spelt, and no pseudonym."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.parse

import pytest

from capture.sanitize.audit import Auditor

from .planting import Maker
from .test_every_line import KINDS, cases, sanitized
from .test_odd_places import FORM, JSON, got, sent

UNJUDGED = {
    "basic-auth", "url-credentials", "cn-id", "fr-nir", "br-cpf", "in-aadhaar", "de-tax-id",
    "jp-number", "uk-nhs", "ca-sin", "it-cf", "coordinates",
}  # fmt: skip
"""Of no certain form, or without room for a mark: docs/sanitization.md says so."""
JUDGED = [kind for kind in KINDS if kind not in UNJUDGED]


def seen(request: bytes) -> bool:
    return Auditor().look(0, request)


def spelt(kind: str, seed: int) -> dict[str, bytes]:
    """Requests with a secret in a body, a query and a path."""
    raw = Maker(seed).all()[kind].whole
    text, quoted = raw.decode("latin-1"), urllib.parse.quote(raw, safe="").encode()
    zipped = sent(gzip.compress(raw), b"text/plain", b"Content-Encoding: gzip\r\n")
    inner = json.dumps({"a": text}).encode()
    pieces = [raw[at : at + 5] for at in range(0, len(raw), 5)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    made = {
        "JSON": sent(inner, JSON),
        "JSON in base64": sent(b'{"t":"%s"}' % base64.b64encode(inner), JSON),
        "escapes": sent(b'{"a":"%s"}' % b"".join(b"\\u%04x" % byte for byte in raw), JSON),
        "form": sent(b"a=%s&b=1" % quoted, FORM),
        "query": got(b"/?a=" + quoted),
        "path": got(b"/a/" + quoted + b"/b"),
        "base64": sent(base64.b64encode(b"xx " + raw + b" yy"), b"text/plain"),
        "gzip": zipped,
        "UTF-16": sent(text.encode("utf-16-le"), b"text/plain"),
        "entities": sent(b"".join(b"&#x%02x;" % byte for byte in raw), b"text/xml"),
        "chunks": sent(chunks + b"0\r\n\r\n", b"text/plain", b"Transfer-Encoding: chunked\r\n"),
    }
    return {place: case.request for place, case in made.items()}


@pytest.mark.parametrize("kind", JUDGED)
def test_an_audit_sees_a_secret_in_each_line(kind: str) -> None:
    for place, _, request in cases(kind):
        assert seen(request), place
        assert not seen(sanitized(request)), place


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", JUDGED)
def test_an_audit_sees_a_secret_in_each_spelling(kind: str, seed: int) -> None:
    for place, request in spelt(kind, seed).items():
        assert seen(request), place
        assert not seen(sanitized(request)), place


def test_a_fold_elsewhere_does_not_count_a_line_twice() -> None:
    auditor = Auditor()
    mail = Maker(8).all()["email"].whole
    auditor.look(0, got(b"/", b"X-Note: " + mail + b"\r\nX-Long: a\r\n b\r\n").request)
    assert [each.count for each in auditor.report().findings] == [1]
