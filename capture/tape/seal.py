"""Encryption at rest: sections sealed under a random data key, the key wrapped by age.

The data key lives as long as the process; the tape holds it only encrypted to the public keys of
those who may read. Each section is ChaCha20-Poly1305 under a nonce that is its number, so sections
cannot be swapped, and a changed one does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from ..errors import TapeError


class Cipher:
    """Seals and opens the sections of one tape; every number is used once."""

    def __init__(self, data_key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        self._box = ChaCha20Poly1305(data_key)

    def seal(self, section: bytes, number: int) -> bytes:
        """The section encrypted, 16 bytes longer."""
        return self._box.encrypt(number.to_bytes(12, "little"), section, None)

    def open(self, sealed: bytes, number: int) -> bytes:
        """The section that was sealed under this number."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._box.decrypt(number.to_bytes(12, "little"), sealed, None)
        except InvalidTag:
            raise TapeError(
                f"section {number} does not open with this key: it is damaged or of another tape."
            ) from None


def new_cipher(recipients: Sequence[str]) -> tuple[Cipher, bytes]:
    """A cipher with a new data key, and that key wrapped for the recipients (age1…)."""
    import pyrage

    try:
        keys = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
    except Exception:  # the library's errors share no base; each means that a key is none
        raise TapeError(
            "a recipient is no age public key (age1...); make a pair with age-keygen."
        ) from None
    data_key = secrets.token_bytes(32)
    return Cipher(data_key), bytes(pyrage.encrypt(data_key, keys))


def cipher_of(wrapped: bytes, identity_file: str) -> Cipher:
    """The cipher of a tape whose wrapped key one of the file's identities opens."""
    import pyrage

    try:
        lines = Path(identity_file).read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        raise TapeError(f"{identity_file}: the identity cannot be read.") from None
    try:
        found = [
            pyrage.x25519.Identity.from_str(line)
            for line in lines
            if line.startswith("AGE-SECRET-KEY-")
        ]
        return Cipher(bytes(pyrage.decrypt(wrapped, found)))
    except Exception:  # see above: no identity, or none that fits
        raise TapeError(
            f"{identity_file}: no identity in it opens this tape; use the one it was sealed to."
        ) from None
