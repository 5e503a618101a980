"""Sealing: what is sealed opens with its identity and number, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import TapeError
from capture.tape.seal import Cipher, cipher_of, new_cipher


@given(st.binary(), st.integers(0, 2**63))
def test_a_sealed_section_opens_as_it_was(section: bytes, number: int) -> None:
    cipher = Cipher(b"k" * 32)
    assert cipher.open(cipher.seal(section, number), number) == section


def test_only_the_right_identity_opens_a_tape(tmp_path: Path) -> None:
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    cipher, wrapped = new_cipher([str(mine.to_public())])
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(str(mine))
    bad.write_text(str(other))
    assert cipher_of(wrapped, str(good)).open(cipher.seal(b"x", 3), 3) == b"x"
    with pytest.raises(TapeError):
        cipher_of(wrapped, str(bad))


def test_a_section_does_not_open_under_another_number() -> None:
    cipher = Cipher(b"k" * 32)
    with pytest.raises(TapeError):
        cipher.open(cipher.seal(b"x", 1), 2)


def test_a_recipient_that_is_no_key_is_the_users_mistake() -> None:
    with pytest.raises(TapeError):
        new_cipher(["nobody"])
