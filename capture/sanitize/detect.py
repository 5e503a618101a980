"""What a secret or a personal datum looks like, wherever it stands: one row a detector.

Two engines share the work. `trigger` is for hyperscan, which runs in linear time over any bytes and
only says which detectors might match in a chunk. `pattern` (Python `re`, written without nested
repeats) then finds the exact spans in the few chunks where its trigger fired, and `valid` makes a
candidate certain.
A trigger asks for what must stand on either side as its pattern does (it takes the neighbours in,
for hyperscan looks at none; data begin and end with a line break for it): else a body of things
that only nearly match has each looked at. Before the trigger of a costly form come its `sieves`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from . import national_ids as id_
from . import validators as is_
from .anchored import Search, anchored


@dataclass(frozen=True)
class Detector:
    """One thing that is found wherever it stands."""

    name: str
    trigger: str  # hyperscan: matches at least wherever `pattern` does; cheap and linear
    pattern: re.Pattern[bytes]  # its group `secret`, or all of it, is what is replaced
    kind: str  # which pseudonym it gets (pseudonym.KINDS)
    valid: Callable[[bytes], bool] | None = None
    sieves: tuple[str, ...] = ()  # what stands wherever the pattern finds it, the cheapest first
    reach: int = 0  # how far beyond what the trigger asks for the pattern may have to look
    search: Search | None = None  # what finds the pattern faster than it does itself


def _row(
    name: str,
    trigger: str,
    pattern: str,
    kind: str,
    valid: Callable[[bytes], bool] | None = None,
    sieves: tuple[str, ...] = (),
    reach: int = 0,
    begins: tuple[str, str] | None = None,  # a class of bytes and the sign after a run of them
) -> Detector:
    compiled = re.compile(pattern.encode("latin-1"), re.S)
    search = anchored(compiled, *begins) if begins else None
    return Detector(name, trigger, compiled, kind, valid, sieves, reach, search)


_A = r"A-Za-z0-9"
_RUN = rf"{_A}_+-"
_NO_DASH = r"[^\d-]"
# Sieves; of a run of a class hyperscan makes nearly nothing, of a few digits little.
_DIGITS = (r"\d(?:[ .+-]?\d){8}",)
_LONG_NUMBER = (*_DIGITS, r"\d(?:[ +-]?\d){10}")
_SIGN = "[ -/:]"  # of a class of few characters hyperscan looks for each: many are one automaton
# A version follows a product (`Server/1.2.3.4`), an address in a path a segment (`/ip/192.0.2.7`).
_IN_PATH = "|".join(rf"(?<=/[\w-]{{{size}}}[A-Za-z]/)" for size in range(16))
_LOCAL = r"A-Za-z0-9._%+'\x80-\xff-"


def _phone_trigger() -> str:
    """The forms of the pattern of telephone numbers, of two groups those with seven digits."""
    begins, ends = r"[^\w.+/=-]", r"(?:[^\w.-]|[.-]\D)"
    more, extension = r"(?:[ .-]\d{2,7})", r"(?:[x#]\d{1,6})?"
    pairs = "|".join(
        rf"\d{{{first}}}[ .-]\d{{{second},7}}"
        for first, second in (("1", 6), ("2", 5), ("3", 4), ("4", 3), ("5,7", 2))
    )
    return "|".join((
        r"[^\w.+-]\+\d{8,15}\D",
        rf"{begins}[2-9]\d\d[2-9]\d{{6}}{ends}",
        rf"{begins}\d{{9,12}}\W{{1,3}}(?:fax|mobile|office|phone|home|work|cell)",
        rf"{begins}(?:\+\d{{1,3}}[ .-]?|00\d{{1,3}}[ .-])(?:\(\d{{1,5}}\)[ .-]?)?"
        rf"\d{{1,7}}{more}{{0,5}}{extension}{ends}",
        rf"{begins}\(\d{{1,5}}\)[ .-]?\d{{1,7}}{more}{{0,5}}{extension}{ends}",
        rf"{begins}\d{{1,7}}{more}{{2,5}}{extension}{ends}",
        rf"{begins}(?:{pairs}){extension}{ends}",
        rf"{begins}\d{{7}}[x#]\d{{1,6}}{ends}",
    ))  # fmt: skip


def _phone_sieve() -> str:
    """Seven digits with a sign somewhere in between, or what makes do without."""
    sign = "[ .()+x#-]"
    spread = [
        rf"\d{{{before}}}{sign}{{1,3}}\d(?:{sign}{{0,3}}\d){{{6 - before}}}"
        for before in range(1, 6)
    ]
    alone = (r"\d{10}", r"\+\d{8}", r"\d{9}\W{1,3}[fmophwc]")
    return "|".join((*alone, *spread, rf"\d{{6}}{sign}{{1,3}}\d"))


TABLE: tuple[Detector, ...] = (
    _row(
        "jwt", r"eyJ[\w-]{8,}\.[\w-]{4}",  # its end may stand in another chunk
        r"eyJ[\w-]{8,8000}+\.[\w-]{4,16000}+\.[\w-]*", "jwt", is_.is_jwt, (), 24_100,
    ),
    _row(
        "pem", r"-----BEGIN [A-Z ]{0,40}-----[^-]{16}",
        r"-----BEGIN [A-Z ]{0,40}-----(?P<secret>[^-]{16,16000})", "text",
    ),
    _row(
        "basic-auth", r"\Wbasic\s+[a-z0-9+/]{8}",
        r"(?i:\bbasic\s+)(?P<secret>[A-Za-z0-9+/]{8,4096}={0,2})", "basic",
    ),
    _row(
        "bearer", r"\Wbearer\s+[\w.~+/-]{8}",
        r"(?i:\bbearer\s+)(?P<secret>[\w.~+/-]{8,8192}=*)", "value",
    ),
    _row(
        "url-credentials", r"://[^\s/?#@:\"'<>]{1,200}:[^\s/?#@\"'<>]{1,200}@",
        r"://(?P<secret>[^\s/?#@:\"'<>]{1,200}:[^\s/?#@\"'<>]{1,200})@", "text",
    ),
    _row(
        "email", rf"[{_LOCAL}]@[a-z0-9-][a-z0-9.-]*\.[a-z]{{2}}",
        rf"(?<![{_LOCAL}])[{_LOCAL}]++@(?:[{_A}-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,24}}", "email",
        begins=(_LOCAL, "@"),
    ),
    _row("aws-key", r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}",
         r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)(?P<secret>[A-Z0-9]{16})", "key"),
    _row("gcp-key", r"AIza[\w-]{35}", r"AIza(?P<secret>[\w-]{35})", "key"),
    _row("gcp-token", r"ya29\.[\w-]{20,}", r"ya29\.(?P<secret>[\w-]{20,512})", "key"),
    _row("github-key", r"(?:gh[pousr]_|github_pat_)\w{22}",
         r"(?:gh[pousr]_|github_pat_)(?P<secret>\w{22,255})", "key"),
    _row("gitlab-key", r"glpat-[\w-]{20}", r"glpat-(?P<secret>[\w-]{20,64})", "key"),
    _row("slack-key", r"(?:xox[abeprs]-|hooks\.slack\.com/services/)[\w/-]{10,}",
         r"(?:xox[abeprs]-|hooks\.slack\.com/services/)(?P<secret>[\w/-]{10,250})", "key"),
    _row("stripe-key", r"(?:[srp]k_(?:live|test)_|whsec_)[a-z0-9]{10,}",
         r"(?:[srp]k_(?:live|test)_|whsec_)(?P<secret>[A-Za-z0-9]{10,250})", "key"),
    _row("twilio-key", r"(?:AC|SK)[0-9a-f]{32}",
         rf"(?<![{_A}])(?:AC|SK)(?P<secret>[0-9a-f]{{32}})", "key"),
    _row("sendgrid-key", r"SG\.[\w-]{16,}\.[\w-]{16,}",
         r"SG\.(?P<secret>[\w-]{16,64}\.[\w-]{16,128})", "key"),
    _row("openai-key", r"sk-[\w-]{20,}", rf"(?<![{_A}])sk-(?P<secret>[\w-]{{20,250}})", "key"),
    _row("azure-key", r"(?:accountkey|sharedaccesskey|sig)=[\w+/%]{20,}",
         r"(?i:accountkey|sharedaccesskey|sig)=(?P<secret>[\w+/%]{20,250}={0,2})", "key"),
    _row("iban", r"[^a-z0-9][a-z]{2}\d\d(?:[ -]?[a-z0-9]{4}){2}",
         rf"(?<![{_A}])[A-Za-z]{{2}}\d\d(?:[ -]?[{_A}]{{4}}){{2,7}}(?:[ -]?[{_A}]{{1,4}})?",
         "iban", is_.is_iban, (r"[a-z]{2}\d\d",)),
    _row("cn-id", r"\D[1-9]\d{5}(?:19|20)\d{9}[\dx][^a-z\d]",
         r"(?<!\d)[1-9]\d{5}(?:19|20)\d{9}[\dXx](?![\dA-Za-z])", "digits", id_.is_cn_id,
         _LONG_NUMBER),
    _row("card", r"[^\d.][1-68](?:[ +-]?\d){11,18}\D",
         r"(?<![\d.])[1-68](?:[ +-]?\d){11,18}(?!\d)", "card", is_.is_card, _LONG_NUMBER),
    _row("fr-nir",
         r"\D[12] ?\d\d ?[01]\d ?\d\d ?\d{3} ?\d{3} ?\d\d\D",
         r"(?<!\d)[12] ?\d\d ?[01]\d ?\d\d ?\d{3} ?\d{3} ?\d\d(?!\d)", "digits", id_.is_nir,
         _LONG_NUMBER),
    _row("br-cpf", r"\D\d{3}\.\d{3}\.\d{3}-\d\d\D",
         r"(?<!\d)\d{3}\.\d{3}\.\d{3}-\d\d(?!\d)", "digits", id_.is_cpf, _DIGITS),
    _row("in-aadhaar", rf"{_NO_DASH}[2-9]\d{{3}}[ -]\d{{4}}[ -]\d{{4}}{_NO_DASH}",
         r"(?<![\d-])[2-9]\d{3}([ -])\d{4}\1\d{4}(?![\d-])", "digits", id_.is_aadhaar, _DIGITS),
    _row("de-tax-id",
         r"[^\d.+-][1-9](?:\d{10}|\d \d{3} \d{3} \d{3})(?:[^\d.-]|[.-]\D)",
         r"(?<![\d.+-])[1-9](?:\d{10}|\d \d{3} \d{3} \d{3})(?![.-]?\d)",
         "digits", id_.is_de_tax_id, _LONG_NUMBER),
    _row("jp-number", rf"{_NO_DASH}\d{{4}}[ -]\d{{4}}[ -]\d{{4}}{_NO_DASH}",
         r"(?<![\d-])\d{4}([ -])\d{4}\1\d{4}(?![\d-])", "digits", id_.is_jp_number, _DIGITS),
    _row("uk-nhs", rf"{_NO_DASH}\d{{3}}[ -]\d{{3}}[ -]\d{{4}}{_NO_DASH}",
         r"(?<![\d-])\d{3}([ -])\d{3}\1\d{4}(?![\d-])", "digits", id_.is_nhs_number, _DIGITS),
    _row("ca-sin", rf"{_NO_DASH}\d{{3}}[ -]\d{{3}}[ -]\d{{3}}{_NO_DASH}",
         r"(?<![\d-])\d{3}([ -])\d{3}\1\d{3}(?![\d-])", "digits", id_.is_ca_sin, _DIGITS),
    _row("it-cf", r"[^a-z\d][a-z]{6}\d\d[abcdehlmprst]\d\d[a-z]\d{3}[a-z][^a-z\d]",
         rf"(?<![{_A}])(?i:[A-Z]{{6}}\d\d[ABCDEHLMPRST]\d\d[A-Z]\d{{3}}[A-Z])(?![{_A}])",
         "text", id_.is_codice_fiscale, (r"[a-z\d]{16}",)),
    _row("us-ssn", rf"{_NO_DASH}\d{{3}}-\d\d-\d{{4}}{_NO_DASH}",
         r"(?<![\d-])\d{3}-\d\d-\d{4}(?![\d-])", "ssn", is_.is_ssn,
         (*_DIGITS, rf"{_NO_DASH}[\d-]{{11}}{_NO_DASH}")),
    _row("ipv4",
         r"(?:[^\d./]|[^a-z]/|/[\w-]{0,15}[a-z]/)(?:\d{1,3}\.){3}\d{1,3}(?:[^\d.]|\.\D)",
         rf"(?<![\d.])(?>(?<![A-Za-z]/)|{_IN_PATH})(?:\d{{1,3}}+\.){{3}}\d{{1,3}}+(?!\.?\d)",
         "ipv4", is_.is_ipv4, (r"[\d.]{7}",)),
    _row("ipv6", r"[^a-z\d:](?:[\da-f]{0,4}:){2,7}[\da-f]{1,4}[^a-z\d:]",
         rf"(?<![{_A}:])(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}[0-9A-Fa-f]{{1,4}}(?![{_A}:])",
         "ipv6", is_.is_ipv6, (r":[\da-f]{0,4}:",)),
    _row("mac", r"[^a-z\d:-][\da-f]{2}(?:[:-][\da-f]{2}){5}[^a-z\d:-]",
         rf"(?<![{_A}:-])[0-9A-Fa-f]{{2}}(?:([:-])[0-9A-Fa-f]{{2}})(?:\1[0-9A-Fa-f]{{2}}){{4}}"
         rf"(?![{_A}:-])", "hex", None,
         (r"[\da-f:-]{17}", rf"[^a-z\d:-][\da-f]{{2}}(?:{_SIGN}[\da-f]{{2}}){{5}}[^a-z\d:-]")),
    _row("coordinates",
         r"[^\d.]-?\d{1,3}\.\d{4,15}, ?-?\d{1,3}\.\d{4,15}\D",
         r"(?<![\d.])(?P<secret>-?\d{1,3}\.\d{4,15}, ?-?\d{1,3}\.\d{4,15})(?!\d)", "degrees", None,
         (r"\d{4}, ?-?\d{1,3}\.\d{4}",)),
    _row("phone", _phone_trigger(),
         r"(?<![\w.+-])\+\d{8,15}(?!\d)|(?<![\w.+/=-])(?<!\d )(?:[2-9]\d\d[2-9]\d{6}(?![\w]|[.-]\d)"
         r"|\d{9,12}(?=\W{1,3}(?i:fax|mobile|office|phone|home|work|cell)\b)"
         r"|(?:\+\d{1,3}[ .-]?|00\d{1,3}[ .-])?(?:\(\d{1,5}\)[ .-]?)?"
         r"\d{1,7}(?:[ .-]\d{2,7}){0,5}(?:[xX#]\d{1,6})?(?![\w]|[.-]\d))", "phone", is_.is_phone,
         (_phone_sieve(),)),
    _row("token", rf"[^{_RUN}][{_RUN}]{{24,512}}[^{_RUN}]",
         rf"(?<![{_RUN}])(?<![{_A}+/]{{16}}/)[{_RUN}]{{24,512}}(?![{_RUN}])(?!/[{_A}+/]{{16}})",
         "text", is_.is_token, (rf"[{_RUN}]{{24}}", rf"[^{_RUN}][{_RUN}]{{24}}")),
)  # fmt: skip
"""In order of precedence: where two matches overlap, the earlier row has it."""
