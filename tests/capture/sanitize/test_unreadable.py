"""Bodies that do not read as they stand: character sets, compression not announced."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import partial

import pytest

from capture.sanitize import codings

from .planting import LOWER, Maker
from .test_odd_places import FORM, JSON, raw_deflate, sanitized, sent

MAKE = Maker(43)


@pytest.mark.parametrize("close", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("spoil", [lambda b: b[:-5], lambda b: b + b"\0" * 9], ids=["cut", "more"])
def test_a_compressed_body_that_nothing_announces_and_that_is_not_whole_is_filled(
    close: Callable[[bytes], bytes], spoil: Callable[[bytes], bytes]
) -> None:
    body = spoil(close(b'{"password":"%s"}' % MAKE.some(90)))
    request, _ = sanitized(sent(body, JSON))
    assert request.endswith(codings.filler(len(body), JSON))


def test_a_bomb_that_nothing_announces_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings.opened, "__defaults__", (1000,))
    for body in (gzip.compress(bytes(1001)), zlib.compress(bytes(1001))):
        assert sanitized(sent(body, JSON))[0].endswith(codings.filler(len(body), JSON))


@pytest.mark.parametrize("close", [gzip.compress, zlib.compress, raw_deflate])
def test_a_compressed_body_is_opened_once(
    close: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []

    def counted(data: bytes, most: int, opener: codings.Opener) -> bytes | None:
        opened.append(data)
        return opener(data, most)

    for coding, opener in tuple(codings._OPENERS.items()):
        monkeypatch.setitem(codings._OPENERS, coding, partial(counted, opener=opener))
    body = close(b'{"password":"%s"}' % MAKE.some(9))
    sanitized(sent(body, JSON))
    assert opened.count(body) == 1


@pytest.mark.parametrize("level", ["standard", "strict"])
@pytest.mark.parametrize("charset", ["cp037", "IBM500", "latin-1", "cp1252", "shift_jis"])
def test_a_secret_is_found_in_the_character_set_of_its_body(charset: str, level: str) -> None:
    word = MAKE.some(9)
    mail = MAKE.some(9, LOWER) + b"@" + MAKE.some(8, LOWER) + b".com"
    kind = b"; charset=" + charset.encode()
    for what, text in (
        (JSON, b'{"password":"%s","note":"%s"}'),
        (FORM, b"password=%s&note=%s"),
        (b"text/xml", b"<r><password>%s</password><note>%s</note></r>"),
    ):
        body = (text % (word, mail)).decode().encode(charset)
        after = sanitized(sent(body, what + kind), level)[0].partition(b"\r\n\r\n")[2]
        assert len(after) == len(body)
        assert word not in after.decode(charset).encode()
        assert mail not in after.decode(charset).encode()
        assert b"password" in after.decode(charset).encode()


def test_a_document_in_ebcdic_that_tells_so_itself_is_read() -> None:
    word = MAKE.some(9).decode()
    body = f'<?xml version="1.0" encoding="cp037"?><password>{word}</password>'.encode("cp037")
    assert word.encode("cp037") not in sanitized(sent(body, b"text/xml"))[0]


@pytest.mark.parametrize("charset", [b"IBM1047x", b"hex", b"none", b"cp1140"])
def test_a_body_in_a_character_set_that_is_not_known_is_filled_unless_it_is_utf8(
    charset: bytes,
) -> None:
    body = MAKE.some(30).decode().encode("cp037")
    kind = b"text/plain; charset=" + charset
    assert sanitized(sent(body, kind))[0].endswith(codings.filler(len(body), kind))
    body = "gr\u00fcn".encode()
    assert sanitized(sent(body, kind))[0].endswith(body)
