"""What is taken for words and what for chance, by the sanitizer and by the audit."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.sanitize.suspects import suspects
from capture.sanitize.validators import is_token
from capture.sanitize.words import in_words

WORDS = """
account address archive article basket billing blue button cancel category checkout colour
comment confirm contact country coupon currency customer daily default delivery detail
discount download edition evening export family feature filter garden gift green home image
import invoice jacket kitchen language large leather letter login message monthly mountain
notification number order overview page password payment picture price product profile
quarter question range record refund region release remote report request reset return
review running season search section seller service session settings shipping shoes size
small standard status store subscription summary summer support table ticket title tracking
transfer update upload version vintage voucher warehouse weekly white window winter wooden
""".split()  # noqa: SIM905
DRAWS = 3000


def drawn(letters: str, size: int, seed: int) -> list[bytes]:
    draw = random.Random(seed)
    texts = ("".join(draw.choices(letters, k=size - 1)) + "7" for _ in range(DRAWS))
    return [text.encode() for text in texts]


def composed(seed: int) -> list[bytes]:
    """Names as of pages and articles: words and a number."""
    draw, made = random.Random(seed), []
    while len(made) < DRAWS:
        words = draw.choices(WORDS, k=draw.randint(3, 5))
        how = draw.choice(("-".join, "_".join, lambda these: "".join(map(str.title, these))))
        text = f"{how(words)}-{draw.randint(1, 2026)}"
        if len(text) >= 24:
            made.append(text.encode())
    return made


def audited(text: bytes) -> bool:
    """Whether the audit takes the text for a random string."""
    return any(each.kind == "random string" for each in suspects(b"note: " + text + b" and"))


@pytest.mark.parametrize("size", [24, 32, 44])
@pytest.mark.parametrize(
    "letters",
    [string.ascii_letters + string.digits, string.ascii_lowercase + string.digits,
     string.ascii_uppercase + string.digits],
    ids=["62", "36 lower", "36 upper"],
)  # fmt: skip
def test_random_strings_are_hardly_ever_taken_for_words(letters: str, size: int) -> None:
    texts = drawn(letters, size, size)
    assert sum(2 * in_words(text, 0.7) > len(text) for text in texts) <= 0.005 * DRAWS
    assert sum(not is_token(text) for text in texts) <= 0.01 * DRAWS
    assert sum(not audited(text) for text in texts[::10]) <= 0.04 * DRAWS / 10


def test_names_made_of_words_are_hardly_ever_taken_for_random() -> None:
    texts = composed(3)
    assert sum(map(is_token, texts)) <= 0.03 * DRAWS
    assert sum(map(audited, texts[::10])) <= 0.01 * DRAWS / 10


@given(st.text(string.ascii_letters + string.digits + "-_", min_size=24, max_size=80))
def test_what_the_sanitizer_keeps_for_its_words_the_audit_keeps(text: str) -> None:
    raw = text.encode()
    assert in_words(raw, 0.7) <= in_words(raw, 0.6) <= len(raw)
