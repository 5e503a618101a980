"""What holds of any request: length or framing, never an error, nothing new at a second time."""

from __future__ import annotations

import functools
import gzip
import json
import random
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.exchange import Exchange, Kind
from capture.sanitize import Policy, Sanitizer
from capture.sanitize.audit import Auditor
from capture.sanitize.pseudonym import Pseudonyms
from tests.bench.bench_sanitize import request as sample
from tests.capture.sanitize.planting import Maker
from tests.capture.sanitize.test_pii_corpus import TEXTS

TYPES = (
    b"application/json", b"application/x-www-form-urlencoded", b"text/plain", b"application/xml",
    b"multipart/form-data; boundary=zz", b"image/png", b"",
)  # fmt: skip
LEVELS = ("standard", "strict")
SLOW = [HealthCheck.too_slow]  # a busy machine is no failure


@functools.cache
def sanitizer(level: str, key: bytes = b"k") -> Sanitizer:
    return Sanitizer(Policy.built_in(level), key * 32)


def sent(level: str, raw: bytes, head_bytes: int, key: bytes = b"k") -> Exchange:
    made = Exchange()
    made.request, made.head_bytes, made.request_bytes = raw, head_bytes, len(raw)
    made.kind = Kind.HTTP1 if head_bytes else Kind.MALFORMED
    return sanitizer(level, key).exchange(made).exchange


def post(body: bytes, kind: bytes, more: bytes = b"") -> tuple[bytes, int]:
    head = b"POST /a?b=c HTTP/1.1\r\nHost: shop\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n"
    head %= (kind, more, len(body))
    return head + body, len(head)


STRUCTURED = st.lists(
    st.sampled_from(
        [b'{"', b'":"', b'","', b'"}', b"[", b"]", b"<a b='", b"'>", b"</a>", b"&", b"=", b"%4",
         b"%40", b"\\u00e9", b"\\", b"\\n", b"+", b"--zz\r\n", b"\r\n\r\n", b"\r\n ", b"password",
         b"email", b"a@b.co", b"4111 1111 1111 1111", b"eyJhbGciOiJub25lIn0.", b"\0a\0b",
         b"3\r\nabc\r\n",
         b"Basic YTpi", b"::1", b"10.1.2.3", b"\xff\xfe", b"\xc3\xa9", b"-----BEGIN ", b"x" * 40]
    ),
    max_size=30,
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@given(
    body=st.one_of(st.binary(max_size=300), STRUCTURED),
    kind=st.sampled_from(TYPES),
    framed=st.booleans(),
)
@settings(max_examples=120, deadline=None, suppress_health_check=SLOW)
def test_any_bytes_keep_their_length_and_never_raise(
    level: str, body: bytes, kind: bytes, framed: bool
) -> None:
    raw, head_bytes = post(body, kind)
    done = sent(level, raw, head_bytes if framed else 0)
    assert len(done.request) == len(raw)
    assert done.request_bytes == len(raw)


@pytest.mark.parametrize("level", LEVELS)
@given(body=STRUCTURED, kind=st.sampled_from(TYPES))
@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
def test_a_compressed_body_has_the_length_that_its_head_says(
    level: str, body: bytes, kind: bytes
) -> None:
    raw, head_bytes = post(gzip.compress(body), kind, b"Content-Encoding: gzip\r\n")
    done = sent(level, raw, head_bytes)
    now = done.request[done.head_bytes :]
    said = re.search(rb"Content-Length: (\d+)", done.request[: done.head_bytes])
    assert said is not None
    assert int(said[1]) == len(now)
    assert len(gzip.decompress(now)) == len(body)
    assert done.request_bytes == len(raw)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@given(value=JSON, ascii_only=st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
def test_json_stays_json_of_the_same_shape(level: str, value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    done = sent(level, *post(text, b"application/json"))
    assert shape(json.loads(done.request[done.head_bytes :].decode("utf-8", "replace"))) == shape(
        value
    )


def shape(value: object) -> object:
    """The structure of a JSON value: how many of what stand where, no matter what they say."""
    if isinstance(value, dict):
        return [shape(each) for each in value.values()]
    if isinstance(value, list):
        return [shape(each) for each in value]
    return (
        "number"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else str(type(value))
    )


@given(
    st.text("abcXYZ019 @.-_é", min_size=1, max_size=40).filter(lambda t: any(map(str.isalnum, t)))
)
@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
def test_a_pseudonym_is_as_long_as_its_plaintext_and_never_equal_to_it(text: str) -> None:
    made, plain = Pseudonyms(b"key"), text.encode()
    for new in (made.text(plain), made.value(plain)):
        assert len(new) == len(plain)
        assert new != plain


def test_pseudonyms_collide_no_more_often_than_chance() -> None:
    made = Pseudonyms(b"key")
    numbers = {made.text(b"%04d" % number) for number in range(1000, 10_000)}
    # 9000 balls in 9000 urns: 63 % of them are hit; those that begin with zero are none.
    assert len(numbers) > 0.6 * 9000
    draw = Maker(3)
    words = {draw.some(9) for _ in range(20_000)}
    assert len({made.text(word) for word in words}) == len(words)


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(
    st.lists(
        st.tuples(
            STRUCTURED,
            st.sampled_from(TYPES),
            st.sampled_from((b"", b"c\r\n\td", b"e=a@b.co", b"4111 1111 1111 1111")),
        ),
        min_size=2,
        max_size=20,
    ),
    st.integers(0, 1 << 32),
)
def test_requests_together_become_what_each_becomes_alone(
    level: str, made: list[tuple[bytes, bytes, bytes]], seed: int
) -> None:
    """Whatever was sanitized before, too: `sent` remembers what it saw."""
    draw = random.Random(seed)
    texts = [post(body, kind, b"X-B: %s\r\n" % more) for body, kind, more in made]
    texts += [(each.request, each.head_bytes) for each in (sample(draw) for _ in range(12))]
    draw.shuffle(texts)
    batch = []
    for raw, head_bytes in texts:
        one = Exchange()
        one.request, one.head_bytes, one.request_bytes = raw, head_bytes, len(raw)
        batch.append(one)
    together = Sanitizer(Policy.built_in(level), b"k" * 32).exchanges(batch)
    for (raw, head_bytes), one in zip(texts, together, strict=True):
        assert one.exchange.request == sent(level, raw, head_bytes).request


def traffic() -> Iterator[tuple[bytes, int]]:
    """Requests of a shop, and labelled texts in each kind of body."""
    for seed in range(150):
        made = sample(random.Random(seed))
        yield made.request, made.head_bytes
    if TEXTS.exists():
        for row in json.loads(TEXTS.read_text("utf-8"))[::4]:
            text = row["full_text"]
            yield post(json.dumps({"x": text}).encode(), TYPES[0])
            yield post(b"x=" + quote(text).encode(), TYPES[1])
            yield post(text.encode(), TYPES[2])


@pytest.mark.parametrize("level", LEVELS)
def test_sanitizing_again_finds_nothing_new_and_an_audit_finds_nothing(level: str) -> None:
    auditor = Auditor()
    size = new = 0
    for number, (raw, head_bytes) in enumerate(traffic()):
        once = sent(level, raw, head_bytes).request
        twice = sent(level, once, head_bytes, b"j").request
        assert not auditor.look(number, once), auditor.report().findings
        changed = {at for at, (a, b) in enumerate(zip(raw, once, strict=True)) if a != b}
        near = {at + step for at in changed for step in range(-3, 4)}
        again = {at for at, (a, b) in enumerate(zip(once, twice, strict=True)) if a != b}
        size, new = size + len(raw), new + len(again - near)
    # By chance: letters that a pseudonym shares with what it replaces, a date become a number.
    assert new <= 0.0005 * size, f"{new} of {size}"
