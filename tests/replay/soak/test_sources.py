"""Sources: what is taken of what a target exposes, and one sentence where nothing comes."""

from __future__ import annotations

import base64
import os
import secrets
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import ReplayError
from replay.soak.sources import Command, Process, Scrape, SourceLost, parsed, process_of
from replay.soak.web import web_address

EXPOSED = b"""# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1.5e+08
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7e9
# TYPE requests_total counter
requests_total 12345
# TYPE took_seconds histogram
took_seconds_bucket{le="+Inf"} 7
took_seconds_sum 3
took_seconds_count 7
# TYPE pool_in_use gauge
pool_in_use{pool="db"} 4
pool_in_use{pool="cache"} NaN
queue_length 9
"""


@contextmanager
def serving(body: bytes, status: int = 200, password: str = "") -> Iterator[str]:
    signed = "Basic " + base64.b64encode(f"prom:{password}".encode()).decode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if password and self.headers["Authorization"] != signed:
                self.send_error(401)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


def test_what_is_in_use_is_taken_and_what_only_rises_is_not() -> None:
    with serving(EXPOSED) as url:
        assert Scrape(url).sample() == {
            "process_resident_memory_bytes": 1.5e8,
            'pool_in_use{pool="db"}': 4.0,
            "queue_length": 9.0,
        }
        assert list(Scrape(url, ["*memory*"]).sample()) == ["process_resident_memory_bytes"]


@pytest.mark.parametrize("body", [b"<html>no</html>", b"\xff\xfe\x00", b"", b"a b c\n", b"x 1x\n"])
def test_an_endpoint_that_answers_garbage_is_one_sentence(body: bytes) -> None:
    with serving(body) as url, pytest.raises(SourceLost, match=r"gives no metric"):
        Scrape(url).sample()


def test_an_endpoint_that_is_dead_or_refuses_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}/metrics"
    with pytest.raises(SourceLost, match="cannot be read"):
        Scrape(url).sample()
    with serving(b"", 503) as url, pytest.raises(SourceLost, match="cannot be read"):
        Scrape(url).sample()


def test_an_endpoint_with_a_password_is_read_and_its_password_is_never_shown() -> None:
    password = secrets.token_hex(8) + "/@"
    with serving(EXPOSED, 200, password) as url:
        for said, right in ((password, True), (password + "x", False)):
            source = Scrape(url.replace("//", f"//prom:{quote(said, safe='')}@"))
            assert "prom" not in source.name
            if right:
                assert source.sample()["queue_length"] == 9
                continue
            with pytest.raises(SourceLost, match="401") as told:
                source.sample()
            assert "prom" not in str(told.value)


@pytest.mark.parametrize("url", ["ftp://%s@h/", "http://%s@", "http://%s@h:x/", "http://%s@[h/"])
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    password = secrets.token_hex(8)
    with pytest.raises(ReplayError, match="is no address") as told:
        web_address(url % f"me:{password}")
    assert password not in str(told.value)


@given(st.binary(max_size=300))
def test_whatever_an_endpoint_answers_is_a_sample_or_a_sentence(raw: bytes) -> None:
    with suppress(SourceLost):
        assert parsed(raw, "x", [])


def test_a_process_shows_its_memory_threads_and_descriptors() -> None:
    found = process_of(os.getpid()).sample()
    prefix = f"pid_{os.getpid()}_"
    assert found[prefix + "rss_bytes"] > 1 << 20
    assert found[prefix + "threads"] >= 1
    assert found[prefix + "open_fds"] >= 3


def test_a_process_that_ends_is_told_as_ended_for_good() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    source = process_of(process.pid)
    assert source.sample()
    process.communicate()
    with pytest.raises(SourceLost, match="has ended") as told:
        source.sample()
    assert told.value.final
    with pytest.raises(ReplayError, match="there is no such process"):
        process_of(process.pid)


def test_another_process_of_the_same_pid_is_not_taken_for_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    fields = ["S", *("0" for _ in range(18)), "100", "0"]
    (folder / "stat").write_text("7 (a) b) " + " ".join(fields))
    (folder / "statm").write_text("10 5 1")
    (folder / "status").write_text("Threads:\t3\n")
    (folder / "fd").mkdir()
    source = Process(7, tmp_path)
    assert source.sample()["pid_7_threads"] == 3
    (folder / "stat").write_text("7 (a) " + " ".join([*fields[:19], "200", "0"]))
    with pytest.raises(SourceLost, match="has ended"):
        source.sample()


def test_a_command_prints_metrics_or_its_failure_is_one_sentence() -> None:
    code = "print('connections 12'); print('heap_bytes 5e6')"
    assert Command(shlex.join([sys.executable, "-c", code])).sample() == {
        "connections": 12.0, "heap_bytes": 5e6,
    }  # fmt: skip
    with pytest.raises(SourceLost, match="ended with 3: no such pool"):
        Command("echo no such pool >&2; exit 3").sample()
    with pytest.raises(SourceLost, match="gives no metric"):
        Command("echo hello").sample()
