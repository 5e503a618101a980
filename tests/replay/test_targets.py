"""Every kind of target, with real sockets: TLS, IPv6, unix sockets, names resolved by hand."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
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
from tests.replay.recorder import ANSWER, get, recorder
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


def test_over_tls_the_same_bytes_arrive_and_the_handshake_is_a_column(tmp_path: Path) -> None:
    context, pem = server_context(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"https://localhost:{listener.getsockname()[1]}"
    requests = [Request(1, 0, get("/a")), Request(1, 200, get("/b")), Request(2, 500, get("/c"))]
    tape = tape_of(tmp_path / "x.tape", requests, opened_ms={2: 480})
    with served(listener, context) as came:
        trusting = options(url, ca=pem, host="keep", resolve=(f"{url[8:]}:127.0.0.1",))
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


def test_a_source_address_is_used(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder() as target:
        summary = replay(
            tape, options(target.url, source_ip=("127.0.0.2,127.0.0.3",)), tmp_path / "run.tape"
        )
    assert summary.answered == 1


def test_a_name_that_does_not_resolve_is_one_sentence(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with pytest.raises(WiretapeError, match="--resolve"):
        replay(tape, options("http://no-such-name.invalid:80"), tmp_path / "run.tape")
