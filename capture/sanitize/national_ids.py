"""National numbers of persons, known by their check digits.

Each takes the bytes a pattern matched and answers yes or no. Where a tenth of all numbers would
pass the check, the pattern asks for the groups in which people write such a number.
"""

from __future__ import annotations

from collections import Counter

from .validators import digits_of, luhn_sum


def _weighted(digits: bytes, weights: tuple[int, ...]) -> int:
    return sum((byte - 48) * weight for byte, weight in zip(digits, weights, strict=False))


def is_cpf(text: bytes) -> bool:
    """A Brazilian CPF: two check digits."""
    digits = digits_of(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    first = _weighted(digits, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = _weighted(digits, tuple(range(11, 1, -1))) * 10 % 11 % 10
    return digits[9] - 48 == first and digits[10] - 48 == second


def is_cn_id(text: bytes) -> bool:
    """A Chinese resident number: birth date and ISO 7064 check character."""
    if not (text[:17].isdigit() and 1 <= int(text[10:12]) <= 12 and 1 <= int(text[12:14]) <= 31):
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return b"10X98765432"[_weighted(text[:17], weights) % 11] == text[17:18].upper()[0]


_VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_P = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def is_aadhaar(text: bytes) -> bool:
    """An Indian Aadhaar number: twelve digits with the Verhoeff check."""
    digits = digits_of(text)
    check = 0
    for place, byte in enumerate(reversed(digits)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[place % 8][byte - 48])])
    return len(digits) == 12 and digits[:1] not in (b"0", b"1") and check == 0


def is_nir(text: bytes) -> bool:
    """A French social security number with its mod-97 key."""
    digits = digits_of(text)
    return len(digits) == 15 and 97 - int(digits[:13]) % 97 == int(digits[13:])


def is_codice_fiscale(text: bytes) -> bool:
    """An Italian tax code with its check letter."""
    odd = (
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18,
        20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    )  # fmt: skip
    total = 0
    for place, byte in enumerate(text.upper()[:15]):
        value = byte - 48 if byte < 58 else byte - 65
        total += odd[value] if place % 2 == 0 else value
    return total % 26 == text.upper()[15] - 65


def is_de_tax_id(text: bytes) -> bool:
    """A German tax number: one digit two or three times, the others once at most, ISO 7064."""
    digits = digits_of(text)
    if len(digits) != 11 or digits[:1] == b"0":
        return False
    often = sorted(Counter(digits[:10]).values())
    if often[-1] not in (2, 3) or often[-2] != 1:
        return False
    check = 10
    for byte in digits[:10]:
        check = 2 * ((check + byte - 48) % 10 or 10) % 11
    return (11 - check) % 10 == digits[10] - 48


def is_jp_number(text: bytes) -> bool:
    """A Japanese individual number: twelve digits, the last of them a check digit."""
    digits = digits_of(text)
    if len(digits) != 12 or len(set(digits)) == 1:
        return False
    rest = _weighted(digits, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return digits[11] - 48 == (0 if rest <= 1 else 11 - rest)


def is_nhs_number(text: bytes) -> bool:
    """A number of the British health service: ten digits, modulus 11."""
    digits = digits_of(text)
    check = 11 - _weighted(digits, tuple(range(10, 1, -1))) % 11
    return len(digits) == 10 and check % 11 == digits[9] - 48


def is_ca_sin(text: bytes) -> bool:
    """A Canadian social insurance number: nine digits with the Luhn check."""
    digits = digits_of(text)
    return len(digits) == 9 and digits[:1] not in (b"0", b"8") and luhn_sum(digits) % 10 == 0
