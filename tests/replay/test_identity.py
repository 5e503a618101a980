"""Clones get identities of their own: the same throughout a clone, others in every other."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.identity import Identities

HEAD = (
    b"POST /u?token=%s&q=shoes HTTP/1.1\r\nHost: shop\r\nCookie: session=%s; theme=dark\r\n"
    b"Authorization: Bearer %s\r\nContent-Type: application/json\r\n\r\n"
)
WORD = st.text("abcdef0123456789", min_size=12, max_size=40).map(str.encode)


def sent(word: bytes, body: bytes, clone: int, seed: int = 1) -> tuple[bytes, bytes]:
    head = HEAD % (word, word, word)
    request = Identities(seed)(head + body, len(head), clone)
    assert len(request) == len(head) + len(body)
    return request[: len(head)], request[len(head) :]


@given(WORD, st.integers(1, 10**6))
def test_a_value_is_replaced_alike_wherever_it_stands(word: bytes, clone: int) -> None:
    head, body = sent(word, b'{"user_token": "%s"}' % word, clone)
    fresh = head.partition(b"token=")[2].partition(b"&")[0]
    assert fresh != word
    assert head == HEAD % (fresh, fresh, fresh)
    assert json.loads(body) == {"user_token": fresh.decode()}


def test_clones_and_seeds_differ_and_the_recorded_one_is_itself() -> None:
    word = b"0123abcd4567"
    heads = {sent(word, b"", clone)[0] for clone in range(50)}
    assert len(heads) == 50
    assert sent(word, b"", 0)[0] == HEAD % (word, word, word)
    assert sent(word, b"", 1, seed=2) != sent(word, b"", 1, seed=1)
    assert sent(word, b"", 1) == sent(word, b"", 1)


def test_what_says_nothing_of_a_person_stays() -> None:
    body = b'{"qty": 2, "size": "large", "password": null}'
    head, found = sent(b"0123abcd4567", body, 3)
    assert b"theme=dark" in head
    assert b"&q=shoes" in head
    assert found == body


def test_the_same_address_is_the_same_in_json_and_in_a_form() -> None:
    local = "jane.doe"
    _, body = sent(b"0" * 12, b'{"to": "%s@example.com"}' % local.encode(), 5)
    _, form = sent(b"0" * 12, b"email=%s%%40example.com" % local.encode(), 5)
    fresh = json.loads(body)["to"].partition("@")[0]
    assert fresh != local
    assert form == b"email=%s%%40example.com" % fresh.encode()


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["user", "email", "password", "user_id", "qty", "note"]),
                       st.text() | st.integers() | st.none()), st.integers(1, 99))  # fmt: skip
def test_json_stays_json_of_the_same_form(value: dict[str, object], clone: int) -> None:
    for ascii_only in (True, False):
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
        found = json.loads(sent(b"0" * 12, body, clone)[1])
        assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in value.items()}


@given(st.binary(max_size=400), st.integers(0, 400), st.integers(0, 3))
def test_any_bytes_keep_their_length(data: bytes, head_bytes: int, clone: int) -> None:
    assert len(Identities(7)(data, min(head_bytes, len(data)), clone)) == len(data)


@pytest.mark.parametrize("kind", [b"Basic YWxhZGRpbjpvcGVuc2VzYW1l", b"Bearer a.b-c_d~e"])
def test_a_credential_keeps_its_scheme(kind: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nAuthorization: %s\r\n\r\n" % kind
    found = Identities(1)(head, len(head), 1)
    assert found.partition(b"Authorization: ")[2].split(b" ")[0] == kind.split(b" ")[0]
    assert found != head


def test_who_a_path_names_is_the_same_somebody_as_in_the_rest_of_the_clone() -> None:
    def line(path: bytes, clone: int = 3, body: bytes = b"") -> bytes:
        head = b"GET " + path + b" HTTP/1.1\r\nHost: shop\r\n\r\n"
        return Identities(1)(head + body, len(head), clone)

    fresh = line(b"/users/48213/orders").split(b"/")[2]
    assert fresh != b"48213"
    assert fresh.isdigit()
    assert line(b"/api/customers/48213?page=2").startswith(b"GET /api/customers/%s?page=2 " % fresh)
    assert line(b"/x", body=b'{"user_id": 48213}').endswith(b'{"user_id": %s}' % fresh)
    assert line(b"/users/48213", clone=4).split(b"/")[2].split()[0] != fresh
    for path in (b"/users/login", b"/users/me/cart", b"/items/48213", b"/users/"):
        assert line(path).startswith(b"GET " + path + b" ")


@pytest.mark.parametrize(
    "name",
    [
        "session", "token", "password", "passwd", "secret", "email", "e-mail", "phone",
        "user", "user_name", "username", "login", "account", "customer", "member", "apikey",
        "api_key", "api-key", "csrf", "nonce", "sid", "uid", "pin", "jti", "sub",
    ],
)  # fmt: skip
@pytest.mark.parametrize("spelt", [str.lower, str.upper, str.title])
def test_every_name_that_says_who_somebody_is_has_its_value_replaced(
    name: str, spelt: Callable[[str], str]
) -> None:
    identities = Identities(1)
    line = f"GET /?{spelt(name)}=Ab3dEf7h HTTP/1.1\r\n\r\n".encode()
    assert b"Ab3dEf7h" not in identities(line, len(line), 1)
    body = f'{{"{spelt(name)}": "Ab3dEf7h"}}'.encode()
    assert b"Ab3dEf7h" not in identities(line[:8] + body, 8, 1)
