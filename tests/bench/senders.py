"""Senders beside which a replay is measured, each on our core with 64 connections kept open.

What can send several requests in turn sends those of the tape: wrk (from a script that has them
ready), h2load (a list of addresses), the client of aiohttp and Locust's FastHttpUser. hey sends one
of them. Locust is installed for the time of a benchmark, into an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.common import (
    SENDER_CORE,
    Load,
    need,
    on_core,
    output_of,
    read_h2load,
    read_hey,
)

CONNECTIONS = 64
TARGETS = [f"/items/{n}" for n in range(97)]
HEADERS = {"X-Trace": "a" * 300, "Accept": "*/*"}
_SCRIPT = """local all, at = {{}}, 0
for n = 0, {count} - 1 do all[n] = "GET /items/" .. n .. " HTTP/1.1\\r\\n{rest}" end
function request() at = (at + 1) % {count}; return all[at] end
"""
_LOCUST = """from itertools import cycle
from locust import FastHttpUser, task
class User(FastHttpUser):
    targets = cycle({targets!r})
    @task
    def one(self):
        self.client.get(next(self.targets), headers={headers!r}, name="one")
"""


def request(target: str, host: str = "shop.test") -> bytes:
    """One request, about 400 bytes, as it is in the tape."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode()


def same_for_wrk(folder: Path, host: str) -> Path:
    """A script with which wrk sends all requests in turn."""
    rest = request("", host).decode().split("\r\n", 1)[1].replace("\r\n", "\\r\\n")
    path = folder / "same.lua"
    path.write_text(_SCRIPT.format(count=len(TARGETS), rest=rest))
    return path


def one_for_wrk(folder: Path) -> Path:
    """A script with which wrk sends one of the requests again and again."""
    lines = [f'wrk.path = "{TARGETS[7]}"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in HEADERS.items()]
    path = folder / "one.lua"
    path.write_text("\n".join(lines) + "\n")
    return path


def h2load(url: str, requests: int, folder: Path, *more: str) -> Load:
    """h2load speaking HTTP/1.1 on one thread, with all requests in turn."""
    addresses = folder / "addresses"
    addresses.write_text("".join(f"{url}{target}\n" for target in TARGETS))
    command = [need("h2load"), "--h1", "-t1", f"-c{CONNECTIONS}", f"-n{requests}", *_headers()]
    said = output_of(on_core(SENDER_CORE, [*command, *more, "-i", str(addresses)]))
    return read_h2load(said)


def hey(url: str, seconds: int) -> Load:
    """hey (Go) on one core, with one of the requests."""
    command = [need("hey"), "-z", f"{seconds}s", "-c", str(CONNECTIONS), "-cpus", "1", *_headers()]
    return read_hey(output_of(on_core(SENDER_CORE, [*command, url + TARGETS[7]])))


def aiohttp_client(url: str, seconds: int) -> Load:
    """A client of aiohttp whose 64 tasks send as fast as answers come."""
    command = [sys.executable, "-m", "tests.bench.senders", url, str(seconds)]
    requests, lasted = json.loads(output_of(on_core(SENDER_CORE, command)))
    return Load(requests, requests / lasted, 0.0, 0.0, 0)


def install_locust(folder: Path) -> str:
    """Locust in an environment of its own; what is in the way, or nothing."""
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin/pip"), "install", "-q", "locust"],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            return f"not installed: {(done.stderr or done.stdout).strip()[-100:]}"
    return ""


def locust(folder: Path, url: str, seconds: int) -> Load:
    """Locust's FastHttpUser, 64 users in one process."""
    script = folder / "users.py"
    script.write_text(_LOCUST.format(targets=TARGETS, headers=HEADERS))
    command = [
        str(folder / "bin/locust"), "-f", str(script), "--headless", "-H", url, "--json", "-L",
        "ERROR", "-u", str(CONNECTIONS), "-r", str(CONNECTIONS), "-t", f"{seconds}s",
        "--reset-stats",
    ]  # fmt: skip
    (found,) = json.loads(output_of(on_core(SENDER_CORE, command)))
    requests: int = found["num_requests"]
    lasted = found["last_request_timestamp"] - found["start_time"]
    return Load(requests, requests / lasted, 0.0, 0.0, found["num_failures"])


def _headers() -> Sequence[str]:
    return [word for name, value in HEADERS.items() for word in ("-H", f"{name}: {value}")]


async def _send(url: str, seconds: int) -> tuple[int, float]:
    import aiohttp

    sent = 0

    async def user(session: aiohttp.ClientSession, first: int) -> None:
        nonlocal sent
        place = first
        while time.monotonic() < until:
            place = (place + 1) % len(TARGETS)
            async with session.get(url + TARGETS[place], headers=HEADERS) as answer:
                await answer.read()
            sent += 1

    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        began = time.monotonic()
        until = began + seconds
        await asyncio.gather(*(user(session, first) for first in range(CONNECTIONS)))
    return sent, time.monotonic() - began


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_send(sys.argv[1], int(sys.argv[2])))))
