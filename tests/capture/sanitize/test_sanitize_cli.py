"""The commands: what they print, and how they exit."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from capture.errors import PolicyError
from capture.exchange import Exchange
from capture.sanitize import Policy, Sanitizer
from capture.sanitize.cli import sanitize
from capture.tape import TapeHeader, TapeWriter
from tests.capture.sanitize.planting import Maker, planted_body


def write_tape(path: Path, request: bytes, level: str) -> str:
    sanitizer = Sanitizer(Policy.built_in(level), b"k" * 32)
    writer = TapeWriter(path, TapeHeader())
    made = Exchange()
    made.request, made.request_bytes = request, len(request)
    made.head_bytes = request.index(b"\r\n\r\n") + 4
    made.request_first_ns = made.request_last_ns = 1_700_000_000_000_000_000
    writer.append(sanitizer.exchange(made))
    writer.close()
    return str(path)


@pytest.mark.parametrize("level", ["standard", "strict"])
def test_a_printed_policy_can_be_read_again(level: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(sanitize, ["policy", "--level", level])
    assert result.exit_code == 0
    path = tmp_path / "policy.toml"
    path.write_text(result.output)
    assert Policy.load(path).level == level


def test_explain_names_the_place_and_the_rule_of_each_change(tmp_path: Path) -> None:
    path = tmp_path / "request"
    path.write_bytes(b"GET /a?token=abc HTTP/1.1\r\nHost: shop\r\nX-Note: me@shop.com\r\n\r\n")
    result = CliRunner().invoke(sanitize, ["explain", "--request", str(path), "--json"])
    rows = [(row["place"], row["rule"]) for row in json.loads(result.output)]
    assert ("query token", "rule 3: pseudonym") in rows
    assert ("header x-note", "detector email") in rows


def test_explain_takes_a_policy_file(tmp_path: Path) -> None:
    path, policy = tmp_path / "request", tmp_path / "policy.toml"
    path.write_bytes(b"GET /a?mine=abc HTTP/1.1\r\nHost: shop\r\n\r\n")
    policy.write_text('[[rule]]\nplaces = ["query"]\nnames = ["mine"]\n')
    result = CliRunner().invoke(
        sanitize, ["explain", "--request", str(path), "--policy", str(policy), "--json"]
    )
    rows = [(row["place"], row["rule"]) for row in json.loads(result.output)]
    assert rows == [("query mine", "rule 1: pseudonym")]


def test_an_audit_of_a_sanitized_tape_passes_and_of_a_raw_one_fails(tmp_path: Path) -> None:
    secrets = [secret.whole for secret in Maker(5).all().values()]
    request = bytes(planted_body("json", secrets, False).data)
    clean = write_tape(tmp_path / "clean.tape", request, "standard")
    raw = write_tape(tmp_path / "raw.tape", request, "none")
    passed = CliRunner().invoke(sanitize, ["audit", clean, "--json"])
    assert (passed.exit_code, json.loads(passed.output)["findings"]) == (0, [])
    failed = CliRunner().invoke(sanitize, ["audit", raw, "--json"])
    assert failed.exit_code == 1
    kinds = {finding["kind"] for finding in json.loads(failed.output)["findings"]}
    assert {"e-mail", "card", "IBAN", "SSN", "JWT", "provider key"} <= kinds


@pytest.mark.parametrize("code", ["plain", "base64", "hex", "percent"])
def test_a_canary_is_found_in_any_encoding(code: str, tmp_path: Path) -> None:
    value = b"zanzibar parrot"
    coded = {
        "plain": value,
        "base64": base64.b64encode(b"ab" + value + b"c"),
        "hex": value.hex().encode(),
        "percent": b"".join(b"%%%02x" % byte for byte in value),
    }[code]
    tape = write_tape(tmp_path / "a.tape", bytes(planted_body("json", [coded], False).data), "none")
    canaries = tmp_path / "canaries"
    canaries.write_bytes(value + b"\n")
    result = CliRunner().invoke(sanitize, ["audit", tape, "--canary", str(canaries)])
    assert result.exit_code == 1
    assert "canary 1 in body application/json" in result.output
    assert value.decode() not in result.output


@pytest.mark.parametrize("canary", [b"ab\n", b"", b"\n \n"])
def test_a_canary_too_short_to_tell_or_none_is_refused(canary: bytes, tmp_path: Path) -> None:
    canaries = tmp_path / "canaries"
    canaries.write_bytes(canary)
    tape = write_tape(tmp_path / "a.tape", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "none")
    result = CliRunner().invoke(sanitize, ["audit", tape, "--canary", str(canaries)])
    assert isinstance(result.exception, PolicyError)
