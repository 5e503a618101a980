"""What a replay is told: wrong values and contradictions are usage errors, before any byte."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import ReplayError
from capture.tape import Tape
from replay import rules
from replay.cli import plan as plan_command
from replay.cli import replay as replay_command
from replay.options import PlanOptions, ReplayOptions, SendOptions
from replay.verdict.trial_options import TrialOptions
from tests.replay.recorder import get, recorder, write_tape

TARGET = ("--target", "http://127.0.0.1:9")
READERS: tuple[Callable[[str], object], ...] = (
    rules.target_url, rules.header, rules.header_name, rules.host_name, rules.host_rule,
    rules.path_rule, rules.address_rule, rules.source_addresses,
)  # fmt: skip
WRONG = [
    ("--start-at", "yesterday-ish"),
    ("--start-at", "nan"),
    ("--start-at", "1e300"),
    ("--start-at", "2001-01-01T00:00:00Z"),
    ("--target", "http://127.0.0.1:0"),
    ("--target", "http://127.0.0.1:65536"),
    ("--target", "http://x\r\nEvil: 1"),
    ("--target", "http://me:secret@x"),
    ("--target", "http://x/api"),
    ("--target", "http://x?y"),
    ("--target", "x"),
    ("--target", "=http://x"),
    ("--target", "http+unix:relative"),
    ("--target", "http+unix:///" + "x" * 200),
    ("--set-header", "X: 1\r\nEvil: 2"),
    ("--set-header", "X: 1\nEvil: 2"),
    ("--set-header", "no colon"),
    ("--set-header", "a b: c"),
    ("--set-header", ": x"),
    ("--del-header", "X:"),
    ("--host", "a b"),
    ("--host", "x\r\nEvil: 1"),
    ("--host", ""),
    ("--map-host", "a"),
    ("--map-host", "a=b\nc"),
    ("--map-path", "(=x"),
    ("--map-path", "a=\\9"),
    ("--map-path", "a=/x\\ny"),
    ("--map-path", "a=x y"),
    ("--resolve", "nonsense"),
    ("--resolve", "127.0.0.1:9:localhost"),
    ("--resolve", "127.0.0.1:0:127.0.0.1"),
    ("--resolve", "elsewhere:9:127.0.0.1"),
    ("--source-ip", "not-an-address"),
    ("--source-ip", ","),
    ("--workers", "0"),
    ("--workers", "²"),
    ("--workers", "9" * 40),
    ("--timeout", "0"),
    ("--connect-timeout", "0s"),
    ("--duration", "0"),
    ("--for", "0"),
    ("--for", "99999999999d"),
    ("--seed", "-1"),
    ("--sessions", "0%"),
    ("--sessions", "120%"),
    ("--hook", "no-such-file.py"),
    ("--arrivals", "no-such-file.csv"),
    ("--cert", "no-such-file.pem"),
    ("--cert-key", "pyproject.toml"),
    ("--insecure",),
    ("--from", "10s", "--to", "10s"),
    ("--to", "10s", "--for", "5s"),
    ("--host", "x", "--map-host", "a=b"),
    ("--bearer-env", "T", "--set-header", "authorization: x"),
    ("--speed", "max", "--think", "keep"),
    ("--speed", "max", "--max-gap", "1s"),
    ("--speed", "max", "--herd", "at=1s,users=5"),
    ("--target", "b=http://127.0.0.1:9", "--target", "b=http://127.0.0.1:9"),
    ("--split", "5%"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=" ".join)
def test_what_makes_no_sense_is_a_usage_error(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    run = tmp_path / "run.tape"
    said = CliRunner().invoke(replay_command, [str(tape), *TARGET, "-o", str(run), *wrong])
    assert said.exit_code == 2, said.output
    assert "Error: " in said.output
    assert not run.exists()


def test_a_plan_takes_what_it_uses_and_refuses_what_only_a_sender_does(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    of_plan = {field.name for field in dataclasses.fields(PlanOptions)}
    for param in replay_command.params:
        given = param.opts[0]
        if not given.startswith("--") or param.name in of_plan | {"as_json"}:
            continue
        said = CliRunner().invoke(plan_command, [str(tape), given])
        assert said.exit_code == 2, given
        assert "No such option" in said.output, given


def test_a_trial_takes_its_targets_as_baseline_and_candidate() -> None:
    options = TrialOptions(baseline="http://a", candidate="http://b", speed=3.0, host="keep")
    sent = options.toward(options.candidate)
    assert (sent.target, sent.speed, sent.host) == (("http://b",), 3.0, "keep")
    assert not hasattr(options, "target")


@pytest.mark.parametrize(
    ("text", "inside"),
    [("2100-01-01T00:00:00Z", 4102444800), ("4102444800", 4102444800),
     ("2100-01-01T02:00:00+02:00", 4102444800)],
)  # fmt: skip
def test_an_instant_is_iso_or_seconds(text: str, inside: int) -> None:
    (param,) = [each for each in replay_command.params if each.name == "start_at"]
    assert param.type.convert(text, None, None) == inside * 10**9


def test_an_instant_without_a_zone_is_local_time() -> None:
    (param,) = [each for each in replay_command.params if each.name == "start_at"]
    local = time.mktime((2100, 6, 1, 12, 0, 0, 0, 0, -1))
    assert param.type.convert("2100-06-01T12:00:00", None, None) == round(local * 1e9)


def test_contradictions_are_refused_from_python_as_well() -> None:
    with pytest.raises(click.UsageError, match="--cert-key needs its --cert"):
        SendOptions(cert_key="key.pem")
    with pytest.raises(click.UsageError, match="is for no target"):
        ReplayOptions(target=("http://a",), resolve=("b:80:127.0.0.1",))


@pytest.mark.parametrize("wrong", [{"speed": 0.0}, {"speed": float("nan")}, {"scale": -1.0}])
def test_a_speed_or_scale_that_is_none_is_refused_from_python_as_well(
    wrong: dict[str, float],
) -> None:
    with pytest.raises(click.UsageError, match="above 0"):
        PlanOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", range(3))
def test_targets_are_called_by_their_names_or_by_letters(number: int) -> None:
    assert rules.target_url("http://x", number).name == "abc"[number]
    assert rules.target_url("old=http://x", number).name == "old"


@pytest.mark.parametrize(
    "url",
    ["http://%s@h", "http://%s@h:0", "http://%s@h:x", "http://%s@h/a b", "a=https://%s@h/path",
     "ftp://%s@h", "http+unix://%s@h", "http://%s@[h"],
)  # fmt: skip
def test_a_target_that_is_refused_does_not_show_its_password(url: str) -> None:
    password = secrets.token_hex(8)
    with pytest.raises(ReplayError) as told:
        rules.target_url(url % f"me:{password}")
    assert password not in str(told.value)


def test_a_name_of_another_script_goes_out_as_ascii() -> None:
    url = rules.target_url("http://bücher.example:81")
    assert (url.authority, url.port) == ("xn--bcher-kva.example:81", 81)


@given(st.text())
def test_any_text_is_a_rule_or_one_sentence(text: str) -> None:
    for read in READERS:
        told = ""
        try:
            read(text)
        except ReplayError as wrong:
            told = str(wrong)
        assert "\n" not in told


@given(st.text(st.characters(codec="latin-1")), st.text(st.characters(codec="latin-1")))
def test_no_header_brings_a_line_of_its_own(name: str, value: str) -> None:
    try:
        made = rules.header(f"{name}:{value}")
    except ReplayError:
        return
    assert not set(b"\r\n\0") & set(made[0] + made[1])


def test_bytes_that_are_no_text_go_out_as_given(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    header = b"X-Name: caf\xe9".decode("utf-8", "surrogateescape")
    with recorder() as target:
        args = [str(tape), "--target", target.url, "--set-header", header, "--no-calibrate"]
        said = CliRunner().invoke(replay_command, [*args, "-o", str(tmp_path / "run.tape")])
    assert said.exit_code == 0, said.output
    assert b"\r\nX-Name: caf\xe9\r\n" in target.received[0][0]


def test_a_run_is_never_written_over_its_tape(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    before = tape.read_bytes()
    said = CliRunner().invoke(replay_command, [str(tape), *TARGET, "-o", str(tape)])
    assert said.exit_code == 2
    assert tape.read_bytes() == before


def test_junit_without_a_gate_is_wrong_usage(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    said = CliRunner().invoke(replay_command, [str(tape), *TARGET, "--junit", str(tmp_path / "x")])
    assert said.exit_code == 2
    assert "--fail-if" in said.output


def test_the_run_keeps_the_names_of_headers_that_were_set_but_not_their_values(
    tmp_path: Path,
) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    run = tmp_path / "run.tape"
    with recorder() as target:
        args = [str(tape), "--target", target.url, "--no-calibrate", "-o", str(run)]
        said = CliRunner().invoke(replay_command, [*args, "--set-header", "X-Key: of the house"])
    assert said.exit_code == 0, said.output
    assert b"of the house" in target.received[0][0]
    with Tape.open(run) as opened:
        assert "X-Key" in opened.header.options["set_header"]
    assert b"of the house" not in run.read_bytes()


def test_what_is_said_of_one_target_of_a_trial_is_left_out_for_the_other():
    told = TrialOptions(
        baseline="http://old.invalid:80", candidate="https://new.invalid:443", insecure=True,
        cert="c.pem", resolve=("old.invalid:80:127.0.0.1", "new.invalid:443:127.0.0.2"),
    )  # fmt: skip
    old, new = told.side("baseline"), told.side("candidate")
    assert (old.insecure, old.cert, old.resolve) == (False, "", told.resolve[:1])
    assert (new.insecure, new.cert, new.resolve) == (True, "c.pem", told.resolve[1:])
    assert (*old.target, *new.target) == (told.baseline, told.candidate)


@pytest.mark.parametrize("said", [{"insecure": True}, {"resolve": ("other.invalid:80:127.0.0.1",)}])
def test_what_fits_no_target_of_a_trial_is_a_usage_error(said: dict[str, Any]):
    told = TrialOptions(baseline="http://a.invalid", candidate="http://b.invalid", **said)
    with pytest.raises(click.UsageError):
        told.side("baseline")
