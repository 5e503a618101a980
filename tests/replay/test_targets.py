"""Every kind of target, with real sockets: TLS, IPv6, unix sockets, names resolved by hand."""

from __future__ import annotations

import datetime
import math
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from capture.errors import WiretapeError
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import ANSWER, answering, get, recorder
from tests.replay.taping import Request, tape_of


def options(url: str, **more: object) -> ReplayOptions:
    settings = {"timeout": 2_000_000_000, "no_calibrate": True, **more}
    return ReplayOptions(target=(url,), **settings)  # type: ignore[arg-type]


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate for localhost and 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(pem), str(key_pem)


@contextmanager
def served(
    listener: socket.socket, context: ssl.SSLContext | None = None
) -> Iterator[list[tuple[bytes, bool]]]:
    """Answer each request on each connection; (what came, whether its TLS was resumed)."""
    came: list[tuple[bytes, bool]] = []
    threads: list[threading.Thread] = []

    def serve(plain: socket.socket) -> None:
        plain.settimeout(5)
        try:
            sock = context.wrap_socket(plain, server_side=True) if context else plain
        except OSError:
            plain.close()
            return
        with sock:
            try:
                while data := sock.recv(65536):
                    resumed = isinstance(sock, ssl.SSLSocket) and bool(sock.session_reused)
                    came.append((data, resumed))
                    sock.sendall(ANSWER)
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(sock,)))
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield came
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(6)
        for thread in threads:
            thread.join(6)


def server_context(folder: Path) -> tuple[ssl.SSLContext, str]:
    pem, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context, pem


def column(run: Path, name: str) -> list[int]:
    with Tape.open(run) as tape:
        blocks = [np.asarray(block[name]) for block in tape.columns([name])]
    found: list[int] = np.concatenate(blocks).tolist()
    return found


@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_over_tls_the_same_bytes_arrive_and_the_handshake_is_a_column(
    tmp_path: Path, speed: float
) -> None:
    context, pem = server_context(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"https://localhost:{listener.getsockname()[1]}"
    requests = [Request(1, 0, get("/a")), Request(1, 200, get("/b")), Request(2, 500, get("/c"))]
    tape = tape_of(tmp_path / "x.tape", requests, opened_ms={2: 480})
    with served(listener, context) as came:
        trusting = options(
            url, ca=pem, host="keep", resolve=(f"{url[8:]}:127.0.0.1",), speed=speed,
            max_in_flight=1,
        )  # fmt: skip
        summary = replay(tape, trusting, tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 3}
    assert [data for data, _ in came] == [get("/a"), get("/b"), get("/c")]
    assert [resumed for _, resumed in came] == [False, False, True]
    assert [ns > 0 for ns in column(tmp_path / "run.tape", "tls_ns")].count(True) == 2


def test_a_certificate_that_is_not_trusted_is_an_outcome_unless_insecure(tmp_path: Path) -> None:
    context, _ = server_context(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with served(listener, context):
        careful = replay(tape, options(url), tmp_path / "run.tape")
        careless = replay(tape, options(url, insecure=True), tmp_path / "run.tape")
    assert careful.outcomes == {"TLS_FAILED": 1}
    assert careless.outcomes == {"ANSWERED": 1}


def test_plain_http_where_tls_is_asked_for_is_an_outcome(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder() as target:
        url = target.url.replace("http", "https")
        summary = replay(tape, options(url, insecure=True), tmp_path / "run.tape")
    assert summary.outcomes == {"TLS_FAILED": 1}


def test_a_unix_socket_is_a_target(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with served(listener) as came:
        summary = replay(tape, options(f"http+unix://{tmp_path}/s"), tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 1}
    assert came[0][0] == get("/", "localhost")


def test_an_ipv6_address_is_a_target(tmp_path: Path) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    authority = f"[::1]:{listener.getsockname()[1]}"
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with served(listener) as came:
        summary = replay(tape, options(f"http://{authority}"), tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 1}
    assert came[0][0] == get("/", authority)


def test_a_name_can_be_resolved_by_hand(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder() as target:
        port = target.url.rpartition(":")[2]
        by_hand = options(
            f"http://shop.invalid:{port}", resolve=(f"shop.invalid:{port}:127.0.0.1",)
        )
        replay(tape, by_hand, tmp_path / "run.tape")
    assert target.received == [[get("/", f"shop.invalid:{port}")]]


def test_two_targets_get_each_request_at_the_same_due_time(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, n * 20, get(f"/{n}")) for n in range(3)])
    with recorder() as one, recorder() as two:
        both = ReplayOptions(
            target=(f"old={one.url}", f"new={two.url}"),
            no_calibrate=True,
            host="keep",
            order="strict",  # on a busy machine an answer may come after the next is due
        )
        summary = replay(tape, both, tmp_path / "run.tape")
    assert summary.answered == 6
    assert one.received == two.received == [[get("/0"), get("/1"), get("/2")]]
    due, index = (column(tmp_path / "run.tape", name) for name in ("due_ns", "target_index"))
    pairs = sorted(zip(due, index, strict=True))
    assert [target for _, target in pairs] == [0, 1] * 3


def test_source_addresses_are_used_in_turn(tmp_path: Path) -> None:
    seen: list[str] = []

    def peers(sock: socket.socket, pieces: list[bytes]) -> None:
        seen.append(sock.getpeername()[0])
        answering()(sock, pieces)

    tape = tape_of(tmp_path / "x.tape", [Request(n, n * 20, get()) for n in range(4)])
    with recorder(peers) as target:
        two = options(target.url, source_ip=("127.0.0.2,127.0.0.3",))
        assert replay(tape, two, tmp_path / "run.tape").answered == 4
    assert sorted(seen) == ["127.0.0.2"] * 2 + ["127.0.0.3"] * 2


@pytest.mark.parametrize(
    ("given", "words"),
    [("192.0.2.1", "of this machine"), ("::1", "none of that kind"), ("127.0.0.1,::1", "mixes")],
)
def test_source_addresses_that_cannot_be_used_are_one_sentence(
    tmp_path: Path, given: str, words: str
) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    wrong = options("http://127.0.0.1:9", source_ip=(given,))
    with pytest.raises(WiretapeError, match=words):
        replay(tape, wrong, tmp_path / "run.tape")


def test_a_name_with_several_addresses_is_reached_at_each_in_turn(tmp_path: Path) -> None:
    reached: list[str] = []

    def ends(sock: socket.socket, pieces: list[bytes]) -> None:
        reached.append(sock.getsockname()[0])
        answering()(sock, pieces)

    tape = tape_of(tmp_path / "x.tape", [Request(n, n * 30, get()) for n in range(4)])
    with recorder(ends, host="0.0.0.0") as target:
        port = target.url.rpartition(":")[2]
        rules = tuple(f"shop.invalid:{port}:127.0.0.{n}" for n in (2, 3))
        many = options(f"http://shop.invalid:{port}", resolve=rules, workers=1)
        assert replay(tape, many, tmp_path / "run.tape").answered == 4
    # A connection each to see whether they answer, then four in turn.
    assert sorted(reached) == ["127.0.0.2"] * 3 + ["127.0.0.3"] * 3


def test_an_address_of_several_where_nobody_listens_is_left_out(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(n, n * 10, get()) for n in range(6)])
    notes: list[str] = []
    with recorder() as target:
        port = target.url.rpartition(":")[2]
        rules = tuple(f"shop.invalid:{port}:127.0.0.{n}" for n in (1, 9))
        many = options(f"http://shop.invalid:{port}", resolve=rules)
        summary = replay(tape, many, tmp_path / "run.tape", on_note=notes.append)
    assert summary.answered == 6
    assert "127.0.0.9" in notes[0]


def test_replays_that_start_at_one_time_are_due_at_the_same_instants(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, n * 20, get(f"/{n}")) for n in range(3)])
    runs = [tmp_path / "one.tape", tmp_path / "two.tape"]
    with recorder() as target:
        for lead_s in (2, 5, 15):  # on a busy machine it takes long until all is ready
            at = time.time_ns() + lead_s * 1_000_000_000
            processes = [
                subprocess.Popen(
                    [sys.executable, "-m", "wiretape", "replay", str(tape), "--target", target.url,
                     "--start-at", f"{at / 1e9:.6f}", "-o", str(run), "--no-calibrate"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
                for run in runs
            ]  # fmt: skip
            if [process.wait(60) for process in processes] == [0, 0]:
                break
    due = [column(run, "due_ns") for run in runs]
    assert due[0] == due[1]
    assert abs(due[0][0] - at) <= 1000  # as written, to the µs


def test_a_start_that_is_past_when_all_is_ready_is_refused(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder() as target:
        late = options(target.url, start_at=time.time_ns() - 1_000_000_000)
        with pytest.raises(WiretapeError, match="--start-at"):
            replay(tape, late, tmp_path / "run.tape")
        assert not target.received


def test_a_name_that_does_not_resolve_is_one_sentence(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with pytest.raises(WiretapeError, match="--resolve"):
        replay(tape, options("http://no-such-name.invalid:80"), tmp_path / "run.tape")
