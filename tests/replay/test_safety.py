"""Before a byte is sent: not the recorded server by mistake, and no unsafe method unnoticed."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from capture.errors import WiretapeError
from capture.exchange import Close
from capture.tape import Tape
from replay.cli import plan as plan_command
from replay.cli import replay as command
from replay.options import ReplayOptions
from replay.run import replay
from replay.safety import refuse_production, unsafe_notice
from replay.targets import Target, targets_of
from tests.replay.recorder import get, recorder
from tests.replay.taping import Request, tape_of

ROOT = Path(__file__).resolve().parents[2]

POST = b"POST /pay HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\n\r\n"


def recorded_at(path: Path, server: str, host: str = "shop.test") -> Path:
    requests = [Request(1, 0, get("/", host)), Request(1, 30, POST)]
    return tape_of(path, requests, closed_ms={1: (60.0, Close.FIN_CLIENT)}, server=server)


def refused(tape: Path, url: str, **more: Any) -> bool:
    options = ReplayOptions(target=(url,), **more)
    named = [rule.partition(":")[0] for rule in options.resolve]
    with Tape.open(tape) as opened:
        try:
            refuse_production(opened, targets_of(options), named)
        except WiretapeError as told:
            return "--yes-this-is-production" in str(told)
    return False


@pytest.mark.parametrize(
    ("server", "url", "more", "wrong"),
    [
        ("192.0.2.7:80", "http://192.0.2.7", {}, True),
        ("192.0.2.7:80", "http://192.0.2.7:8443", {}, True),  # another port of the same machine
        ("192.0.2.7:80", "http://192.0.2.8", {}, False),
        ("127.0.0.1:80", "http://127.0.0.1:80", {}, True),
        ("127.0.0.1:80", "http://127.0.0.1:81", {}, False),  # on loopback much else listens
        ("[2001:db8::7]:80", "http://[2001:DB8:0::7]", {}, True),
        ("192.0.2.7:80", "http://[::ffff:192.0.2.7]", {}, True),
        ("192.0.2.7:80", "http://any.test", {"resolve": ("any.test:80:192.0.2.7",)}, True),
        # The name in the tape, but --resolve says that it is somewhere else.
        ("192.0.2.7:80", "http://shop.test", {"resolve": ("shop.test:80:192.0.2.9",)}, False),
    ],
)
def test_the_recorded_server_is_refused_by_address(
    tmp_path: Path, server: str, url: str, more: dict[str, Any], wrong: bool
) -> None:
    tape = recorded_at(tmp_path / "x.tape", server)
    assert refused(tape, url, **more) is wrong


@pytest.mark.parametrize(("asked", "wrong"), [("shop.test", True), ("SHOP.test:8443", True),
                                              ("other.test", False)])  # fmt: skip
def test_the_recorded_server_is_refused_by_the_name_it_was_asked_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, wrong: bool
) -> None:
    import replay.targets
    from replay.targets import Address

    there = (Address(2, ("192.0.2.9", 80)),)
    monkeypatch.setattr(replay.targets, "_addresses", lambda _host, _port: there)
    tape = recorded_at(tmp_path / "x.tape", "192.0.2.7:80")
    assert refused(tape, f"http://{asked}") is wrong


def test_who_is_sure_sends_to_the_recorded_server(tmp_path: Path) -> None:
    with recorder() as target:
        tape = recorded_at(tmp_path / "x.tape", target.url.removeprefix("http://"))
        options = ReplayOptions(target=(target.url,), no_calibrate=True)
        with pytest.raises(WiretapeError, match="--yes-this-is-production"):
            replay(tape, options, tmp_path / "run.tape")
        assert not target.received
        sure = ReplayOptions(
            target=(target.url,), no_calibrate=True, yes_this_is_production=True
        )  # fmt: skip
        assert replay(tape, sure, tmp_path / "run.tape").answered == 2


def far(addresses: tuple[Any, ...] = ()) -> Target:
    return Target("a", "http://192.0.2.1", "192.0.2.1", "192.0.2.1", addresses, False)


def test_a_run_holds_no_requests_and_is_neither_planned_nor_sent(tmp_path: Path) -> None:
    tape, run = recorded_at(tmp_path / "x.tape", "192.0.2.7:80"), tmp_path / "run.tape"
    with recorder() as target:
        options = ReplayOptions(target=(target.url,), no_calibrate=True)
        replay(tape, options, run)
        with pytest.raises(WiretapeError, match="is a run"):
            replay(run, options, tmp_path / "again.tape")
    assert not (tmp_path / "again.tape").exists()
    said = CliRunner().invoke(plan_command, [str(run)])
    assert "is a run" in str(said.exception)


def test_a_notice_names_the_methods_with_counts_and_the_way_out() -> None:
    from replay.targets import Address

    remote = far((Address(2, ("192.0.2.1", 80)),))
    told = unsafe_notice({"POST": 1200, "DELETE": 3}, [remote], about=False)
    assert "http://192.0.2.1" in told
    assert "POST 1,200, DELETE 3" in told
    assert "--read-only" in told
    assert unsafe_notice({}, [remote], about=False) == ""
    here = far((Address(2, ("127.0.0.1", 80)), Address(10, ("::1", 80, 0, 0))))
    assert unsafe_notice({"POST": 1}, [here], about=False) == ""


def test_unsafe_methods_to_another_machine_are_named_before_the_first_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Target, "loopback", property(lambda _self: False))
    tape = recorded_at(tmp_path / "x.tape", "192.0.2.7:80")
    with recorder() as target:
        notes: list[tuple[str, int]] = []
        options = ReplayOptions(target=(target.url,), no_calibrate=True)
        replay(
            tape, options, tmp_path / "run.tape",
            on_note=lambda note: notes.append((note, len(target.received))),
        )  # fmt: skip
        ((note, sent_by_then),) = notes
        assert "POST 1" in note
        assert sent_by_then == 0
        args = [str(tape), "--target", target.url, "-o", str(tmp_path / "run.tape")]
        safe = CliRunner().invoke(command, [*args, "--no-calibrate", "--read-only"])
        assert "Note" not in safe.output
        told = CliRunner().invoke(command, [*args, "--no-calibrate", "--json"])
        assert any(
            "POST 1" in json.loads(line).get("note", "") for line in told.stderr.splitlines()
        )


def test_a_limit_of_open_files_that_leaves_none_for_connections_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder() as target:
        chosen = ReplayOptions(target=(target.url,), no_calibrate=True)
        with pytest.raises(WiretapeError, match="allows 64 open files"):
            replay(tape, chosen, tmp_path / "run.tape")
    assert target.received == []


def test_few_open_files_are_enough_for_many_connections_one_after_another(tmp_path: Path) -> None:
    requests = [Request(n, n, get(f"/{n}")) for n in range(200)]
    tape = tape_of(tmp_path / "x.tape", requests)
    with recorder() as target:
        command = [sys.executable, "-m", "wiretape", "replay", str(tape), "--target", target.url]
        done = subprocess.run(
            [*command, "-o", str(tmp_path / "run.tape"), "--no-calibrate", "--json"],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)),
        )  # fmt: skip
    assert json.loads(done.stdout)["summary"]["outcomes"] == {"ANSWERED": 200}
