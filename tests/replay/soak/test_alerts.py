"""Each finding is delivered once, whatever a webhook or a command does."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

import pytest

from replay.soak.alerts import Alerts
from replay.soak.findings import Found
from tests.replay.recorder import recorder, waited
from tests.replay.soak.test_sources import serving


def found(kind: str = "leak", subject: str = "rss") -> Found:
    return Found(kind, subject, f"{subject} grows", 1.0, 1.0)


def test_an_alert_that_cannot_be_delivered_is_counted_and_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("replay.soak.alerts.PAUSE_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as held:
        dead = f"http://127.0.0.1:{held.getsockname()[1]}/"
    said: list[str] = []
    out = tmp_path / "told"
    writes = f"cat > {shlex.quote(str(out))}"
    alerts = Alerts([dead], [writes, "exit 3"], "soak", said.append)
    alerts(found())
    assert waited(lambda: alerts.delivered == 1 and alerts.failed == 2)
    alerts.close()
    assert json.loads(out.read_text())["text"] == "rss grows"
    assert [line.split(":")[0] for line in said] == ["Warning", "Warning"]


def test_a_webhook_that_refuses_is_no_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replay.soak.alerts.PAUSE_S", 0.01)
    said: list[str] = []
    with serving(b"", 500) as url:
        alerts = Alerts([url], [], "soak", said.append)
        alerts(found())
        assert waited(lambda: alerts.failed == 1)
        alerts.close()
    assert "was not delivered" in said[0]


def test_a_webhook_that_speaks_no_http_ends_no_alert_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("replay.soak.alerts.PAUSE_S", 0.01)
    said: list[str] = []
    out = tmp_path / "told"

    def garbage(sock: socket.socket, _: list[bytes]) -> None:
        sock.recv(65536)
        sock.sendall(b"no http\r\n")

    with recorder(garbage) as hook:
        url = f"{hook.url}/services/" + "y" * 12
        alerts = Alerts([url], [f"cat > {shlex.quote(str(out))}"], "soak", said.append)
        alerts(found())
        assert waited(lambda: alerts.delivered == 1 and alerts.failed == 1)
        alerts.close()
    assert json.loads(out.read_text())["subject"] == "rss"
    assert said[0].startswith(f"Warning: --alert-webhook {hook.url}/…: an alert was not delivered")
