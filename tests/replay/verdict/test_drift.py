"""Two environments are told apart by what they reveal, and alike ones are told alike."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import socketserver
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from capture.errors import ReplayError
from replay.verdict.drift import Drift, drift, finding_of
from replay.verdict.drift_cli import drift as command
from replay.verdict.enquiry import Enquiry, portrait_of_url
from replay.verdict.enquiry_options import EnquiryOptions
from replay.verdict.portrait import ABSENT, Portrait, answer_of, cookie_of, portrait_of
from samples.services import ROOT, shop, wiretape
from tests.replay.verdict.servers import nginx

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
with_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed here")
QUICK = EnquiryOptions(path=("/old", "/none"), pause=0, connections=4)


def portrait(*heads: str, live: bool = True, endpoint: str = "GET /", times: int = 5) -> Portrait:
    found = Portrait("x", live=live)
    for _ in range(times):
        for head in heads:
            answer = answer_of(("HTTP/1.1 200 OK\r\n" + head).encode(), 1e9)
            assert answer is not None
            found.add(endpoint, answer)
    return found


def told(a: Portrait, b: Portrait) -> dict[str, tuple[str, str, str]]:
    return {each.name: (each.a, each.b, each.severity) for each in drift(a, b).differences}


@pytest.mark.parametrize(
    ("a", "b", "name", "severity"),
    [
        ("Server: a/1", "Server: a/2", "Server", "high"),
        ("Cache-Control: max-age=60", "Cache-Control: no-store", "Cache-Control", "medium"),
        ("Content-Encoding: br", "X: y", "Content-Encoding", "medium"),
        ("X: y", "Access-Control-Allow-Origin: *", "Access-Control-Allow-Origin", "high"),
        ("Strict-Transport-Security: max-age=1", "", "Strict-Transport-Security", "high"),
        ("X-RateLimit-Limit: 600", "X-RateLimit-Limit: 60", "X-RateLimit-Limit", "high"),
        ("Keep-Alive: timeout=5, max=9", "Keep-Alive: timeout=75, max=3", "Keep-Alive", "medium"),
        ("Location: https://a.example/x", "Location: http://b.example/x", "Location", "medium"),
        ("X-Thing: 1", "x-thing: 1", "x-thing", "low"),
    ],
)
def test_what_a_header_reveals_is_told_with_its_severity(
    a: str, b: str, name: str, severity: str
) -> None:
    assert told(portrait(a + "\r\n"), portrait(b + "\r\n"))[name][2] == severity


def test_values_that_belong_to_one_answer_are_no_difference() -> None:
    a = portrait("Date: Mon, 05 Jan 2026 10:00:00 GMT\r\nETag: 1\r\nLocation: http://a:1/x?s=1\r\n")
    b = portrait("Date: Mon, 05 Jan 2026 10:00:01 GMT\r\nETag: 2\r\nLocation: http://b:2/x?s=2\r\n")
    assert told(a, b) == {}


def test_a_header_whose_value_no_two_answers_share_is_known_by_presence() -> None:
    a = portrait(*(f"X-Trace-Number: {n}\r\n" for n in range(20)), times=1)
    b = portrait(*(f"X-Trace-Number: {n}\r\n" for n in range(50, 70)), times=1)
    assert told(a, b) == {}
    assert told(a, portrait("Y: z\r\n"))["X-Trace-Number"][1] == ABSENT


def test_a_cookie_that_lost_what_protects_it_is_grave_and_its_value_is_never_told() -> None:
    a = portrait("Set-Cookie: id=4711; Path=/; Secure; HttpOnly; Expires=Mon\r\n")
    b = portrait("Set-Cookie: id=4712; Path=/; Expires=Tue\r\n")
    assert told(a, b)["cookie id"] == ("Expires; HttpOnly; Path=/; Secure", "Expires; Path=/",
                                       "high")  # fmt: skip
    assert cookie_of("id=4711; path=/") == ("id", "path=/")


def test_clocks_apart_by_more_than_the_seconds_of_a_date_are_told() -> None:
    a, b = portrait("A: b\r\n"), portrait("A: b\r\n")
    a.skews, b.skews = [0.2, -0.3], [91.0, 91.4]
    assert told(a, b) == {"clock, against ours": ("-0 s", "+91 s", "medium")}


def test_what_a_recording_could_not_keep_is_not_said_to_be_missing() -> None:
    kept = portrait("Server: a\r\n", live=False)
    whole = portrait("Server: a\r\nX-Frame-Options: DENY\r\n")
    assert told(kept, whole) == {}
    assert told(portrait("Server: a\r\n"), whole) != {}


def test_the_finding_names_the_gravest_and_counts_the_rest() -> None:
    a = portrait("Server: a/1\r\nCache-Control: x\r\nContent-Type: y\r\nX-RateLimit-Limit: 600\r\n")
    found = drift(a, portrait("X-Content-Type-Options: nosniff\r\n"))
    (finding,) = finding_of(found)
    assert finding.kind == "drift"
    assert finding.sentence.endswith("and 2 more")
    assert finding_of(drift(a, a)) == ()
    assert Drift.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_a_header_that_comes_now_and_then_is_no_difference_of_a_few_answers() -> None:
    never = portrait(*["Server: a\r\n"] * 4, times=1, live=False)
    once = portrait("Server: a\r\nVary: x\r\n", *["Server: a\r\n"] * 3, times=1, live=False)
    assert told(never, once) == {}
    often = portrait("Server: a\r\nVary: x\r\n", "Server: a\r\n", times=50, live=False)
    assert "Vary" in told(portrait("Server: a\r\n", times=50, live=False), often)


@with_nginx
def test_two_nginx_differ_in_tls_certificate_compression_keep_alive_and_redirect(
    tmp_path: Path,
) -> None:
    assert NGINX is not None
    gzip = "gzip on; gzip_types text/plain; gzip_min_length 1;"
    with (
        nginx(
            NGINX, tmp_path / "a", days=200, http=gzip, moved="https://$host/new",
            server="ssl_protocols TLSv1.2 TLSv1.3;",
        ) as a,
        nginx(
            NGINX, tmp_path / "b", days=-5, moved="/elsewhere",
            server="ssl_protocols TLSv1.2; keepalive_requests 3; server_tokens off; "
            'add_header X-Frame-Options DENY;',
        ) as b,
    ):  # fmt: skip
        found = drift(portrait_of_url(a, QUICK), portrait_of_url(b, QUICK))
        again = drift(portrait_of_url(a, QUICK), portrait_of_url(a, QUICK))
    assert again.differences == ()
    seen = {each.name: (each.a, each.b) for each in found.differences}
    assert seen["versions taken"] == ("1.2, 1.3", "1.2")
    assert seen["expiry"] == ("valid", "expired")
    assert seen["chosen"] == ("gzip of all; can gzip", "none of all; can none")
    assert seen["requests of a connection"][1] == "3"
    assert seen["Location"] == ("https://…/new", "https://…/elsewhere")
    assert seen["X-Frame-Options"] == (ABSENT, "DENY")
    assert "Server" in seen
    assert not {"signed", "names", "key"} & set(seen), "they are alike"
    consequences = {"version", "cipher", "Content-Encoding", "Transfer-Encoding", "Content-Length"}
    assert not consequences & set(seen), "each difference is named once"


@with_nginx
def test_a_limit_of_the_rate_is_told_as_one_and_its_refusals_are_no_answers(
    tmp_path: Path,
) -> None:
    assert NGINX is not None
    limit = "limit_req_zone $binary_remote_addr zone=z:1m rate=2r/s; limit_req_status 429;"
    with (
        nginx(NGINX, tmp_path / "a") as a,
        nginx(NGINX, tmp_path / "b", http=limit, server="limit_req zone=z burst=1 nodelay;") as b,
    ):
        # `return` answers before a limit is asked.
        paths = tuple(f"/limited?{n}" for n in range(5))
        quick = EnquiryOptions(pause=0, connections=4, path=paths)
        found = drift(portrait_of_url(a, quick), portrait_of_url(b, quick)).differences
        again = drift(portrait_of_url(b, quick), portrait_of_url(b, quick)).differences
    assert [(each.name, each.a, each.b, each.severity) for each in found] == [
        ("of our own requests", "none met", "refuses with 429", "high")
    ]
    assert again == ()


@with_nginx
def test_a_target_that_refuses_everything_differs_by_its_answers_and_in_nothing_else(
    tmp_path: Path,
) -> None:
    assert NGINX is not None
    with (
        nginx(NGINX, tmp_path / "a") as a,
        nginx(NGINX, tmp_path / "b", server="if ($uri) { return 503; }") as b,
    ):
        found = drift(portrait_of_url(a, QUICK), portrait_of_url(b, QUICK)).differences
        again = drift(portrait_of_url(b, QUICK), portrait_of_url(b, QUICK)).differences
    assert {each.name for each in found} == {"answer"}
    assert found[0].severity == "high"
    assert (found[0].a, found[0].b[:12]) == ("HTTP/1.1 200 OK", "HTTP/1.1 503")
    assert again == ()


def test_a_target_that_accepts_and_stays_silent_is_given_up_after_three_requests() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = EnquiryOptions(pause=0, timeout=50_000_000)
        with pytest.raises(ReplayError, match="answers no request"):
            portrait_of_url(url, options)


@pytest.mark.parametrize(
    ("was", "now", "severity"),
    [
        ("SameSite=Lax", "SameSite=Strict", "medium"),
        ("SameSite=Strict", "SameSite=Lax", "high"),
        ("SameSite=Lax", "Path=/", "medium"),
        ("Path=/", "SameSite=None", "high"),
    ],
)
def test_a_cookie_is_weaker_where_it_is_kept_to_its_site_less_strictly(
    was: str, now: str, severity: str
) -> None:
    a, b = (portrait(f"Set-Cookie: id=1; {attributes}\r\n") for attributes in (was, now))
    assert told(a, b)["cookie id"][2] == severity


class Capped(socketserver.ThreadingTCPServer):
    """A server of three connections: whoever comes fourth is turned away."""

    daemon_threads = True
    allow_reuse_address = True
    held = threading.Semaphore(3)
    requests = 0

    class Handler(socketserver.StreamRequestHandler):
        server: Capped

        def handle(self) -> None:
            if not self.server.held.acquire(blocking=False):
                return
            with contextlib.suppress(OSError):
                while line := self.rfile.readline():
                    self.server.requests += line.startswith((b"GET", b"OPTIONS"))
                    if line == b"\r\n":
                        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            self.server.held.release()


def test_a_cap_on_connections_is_seen_and_the_number_of_requests_is_kept_to() -> None:
    with Capped(("127.0.0.1", 0), Capped.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        pause = 5_000_000  # the connection before must be seen to be closed
        facts = Enquiry(url, EnquiryOptions(pause=pause, connections=8)).draw(()).facts
        before = server.requests
        Enquiry(url, EnquiryOptions(pause=pause, requests=4)).draw(())
        after = server.requests
        server.shutdown()
        thread.join()
    assert facts["connections: at once"] == "3"
    assert 0 < after - before <= 4


def test_a_url_where_nothing_listens_is_one_sentence() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(ReplayError, match="does not answer"):
            portrait_of_url(url, QUICK)


def test_another_release_of_the_shop_drifts_and_another_copy_does_not(tmp_path: Path) -> None:
    short, whole = tmp_path / "short.tape", tmp_path / "headers.tape"
    capture = ("capture", "pcap", ROOT / "samples" / "pcaps" / "polite.pcap.gz")
    wiretape(*capture, "-o", short)
    wiretape(*capture, "--responses", "headers", "-o", whole)
    with shop("--rows", "300") as a, shop("--rows", "300", "--version", "2") as b:
        live = CliRunner().invoke(command, [a, b, "--path", "/products", "--pause", "0"])
        same = CliRunner().invoke(command, [a, a, "--path", "/products", "--json"])
        taped = CliRunner().invoke(command, [str(short), b, "--json"])
        headers = CliRunner().invoke(command, [str(whole), b, "--json"])
        alike = CliRunner().invoke(command, [str(whole), a, "--json"])
    assert {each.exit_code for each in (live, same, taped, headers, alike)} == {0}
    assert json.loads(alike.stdout)["differences"] == []
    for name in ("Server", "X-RateLimit-Limit", "Access-Control-Allow-Origin", "Cache-Control",
                 "X-Content-Type-Options", "error page"):  # fmt: skip
        assert name in live.stdout
    assert json.loads(same.stdout)["differences"] == []
    names = {each["name"] for each in json.loads(taped.stdout)["differences"]}
    assert {"Server", "Cache-Control", "cookie session"} <= names
    more = {each["name"] for each in json.loads(headers.stdout)["differences"]}
    assert more - names >= {"X-RateLimit-Limit", "Access-Control-Allow-Origin"}


def test_a_tape_without_heads_is_refused_in_one_sentence(tmp_path: Path) -> None:
    from capture.tape import TapeHeader, TapeWriter
    from tests.replay.runs import run_columns

    writer = TapeWriter(tmp_path / "run.tape", TapeHeader(kind="run"))
    writer.append_rows(run_columns(count=20))
    writer.close()
    with pytest.raises(ReplayError, match="kept no heads of responses"):
        portrait_of(tmp_path / "run.tape")
