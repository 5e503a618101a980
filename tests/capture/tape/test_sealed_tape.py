"""An encrypted tape holds nothing in plain and opens only with the right identity."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from capture.errors import TapeError
from capture.tape import Tape, TapeHeader, TapeWriter
from capture.tape.edit import cut
from capture.tape.seal import new_cipher
from tests.capture.tape.test_tape import exchange


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """A public key and the path of its identity file."""
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path / "key.txt"
    path.write_text(str(identity))
    return str(identity.to_public()), str(path)


def sealed(path: Path, public: str) -> None:
    cipher, wrapped = new_cipher([public])
    with TapeWriter(path, TapeHeader(sealed_key=wrapped), cipher=cipher) as writer:
        for number in range(30):
            writer.append(exchange(number, number, b"body"))
            if number % 10 == 9:
                writer.seal()


def test_an_encrypted_tape_opens_with_its_identity_and_shows_nothing_without(
    tmp_path: Path, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tape"
    sealed(path, pair[0])
    assert b"/orders/" not in path.read_bytes()
    monkeypatch.delenv("WIRETAPE_IDENTITY", raising=False)
    with pytest.raises(TapeError, match="--identity"):
        Tape.open(path)
    monkeypatch.setenv("WIRETAPE_IDENTITY", pair[1])
    with Tape.open(path, strict=True) as tape:
        assert tape.verify() == []
        assert b"/orders/29 " in tape.payload(29).request


def test_what_is_made_of_an_encrypted_tape_is_encrypted_under_a_new_key(
    tmp_path: Path, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(tmp_path / "a.tape", pair[0])
    monkeypatch.setenv("WIRETAPE_IDENTITY", pair[1])
    with Tape.open(tmp_path / "a.tape") as tape:
        with pytest.raises(TapeError, match="--encrypt-to"):
            cut(tape, tmp_path / "b.tape", 0, 15)
        cut(tape, tmp_path / "b.tape", 0, 15, [pair[0]])
        before = tape.header.sealed_key
    with Tape.open(tmp_path / "b.tape", strict=True) as tape:
        assert tape.header.sealed_key != before
        assert tape.exchange_count == 15
        assert b"/orders/14 " in tape.payload(14).request
    assert b"/orders/" not in (tmp_path / "b.tape").read_bytes()


def test_a_strange_identity_is_refused(
    tmp_path: Path, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(tmp_path / "a.tape", pair[0])
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    monkeypatch.setenv("WIRETAPE_IDENTITY", str(other))
    with pytest.raises(TapeError, match="no identity in it opens this tape"):
        Tape.open(tmp_path / "a.tape")
