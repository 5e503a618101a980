"""Alerts: each new finding goes to a webhook (POST) or a command (JSON on its stdin), once.

They go out on a thread of their own, so that a webhook that hangs holds up nothing; each is tried
three times. What could not be delivered is counted and told, and never tried for ever.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from capture.log import Tell

from .findings import Found
from .web import request_to

PATIENCE_S = 10.0
TRIES = 3
PAUSE_S = 1.0
WAITING = 1000
_FAILURES = (OSError, ValueError, http.client.HTTPException, subprocess.SubprocessError)


class Alerts:
    """Delivers findings. `say` is told of what cannot be delivered."""

    def __init__(
        self, webhooks: Sequence[str], commands: Sequence[str], run: str,
        say: Tell,
    ) -> None:  # fmt: skip
        self._webhooks, self._commands = tuple(webhooks), tuple(commands)
        self._run, self._say = run, say
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.delivered = self.failed = 0

    def __call__(self, found: Found) -> None:
        """A finding that is new."""
        if not (self._webhooks or self._commands):
            return
        try:
            self._queue.put_nowait({"run": self._run, **asdict(found), "text": found.sentence})
        except queue.Full:
            self.failed += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Deliver what waits, in bounded time."""
        if self._thread is None:
            return
        self._closed.set()
        self._queue.put(None)
        self._thread.join(2 * PATIENCE_S)

    def _work(self) -> None:
        while (alert := self._queue.get()) is not None:
            for url in self._webhooks:
                self._deliver(f"--alert-webhook {_shown(url)}", self._post, url, alert)
            for command in self._commands:
                self._deliver(f"--alert-command {command!r}", self._run_it, command, alert)

    def _deliver(
        self, told: str, how: Callable[[str, dict[str, Any]], None], to: str, alert: dict[str, Any]
    ) -> None:
        for left in reversed(range(1 if self._closed.is_set() else TRIES)):
            try:
                how(to, alert)
                self.delivered += 1
                return
            except _FAILURES as failure:
                if not left:
                    self.failed += 1
                    self._say(f"Warning: {told}: an alert was not delivered ({failure}).")
                    return
                self._closed.wait(PAUSE_S)

    def _post(self, url: str, alert: dict[str, Any]) -> None:
        request = request_to(url, {"Content-Type": "application/json"}, json.dumps(alert).encode())
        with self._opener.open(request, timeout=PATIENCE_S) as answer:
            answer.read(1 << 16)

    def _run_it(self, command: str, alert: dict[str, Any]) -> None:
        words = {"WIRETAPE_KIND": alert["kind"], "WIRETAPE_TEXT": alert["text"]}
        subprocess.run(
            command, shell=True, input=json.dumps(alert).encode(), env=os.environ | words,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=True,
            start_new_session=True,
        )  # fmt: skip


def _shown(url: str) -> str:
    """A webhook without what lets anybody post to it, which may be its path or its user."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"
