"""TLS with keep-alive at full speed beside h2load: the same server, certificate and requests."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import senders
from tests.bench.bench_replay import make_tape
from tests.bench.common import (
    NGINX_CONFIG,
    SENDER_CORE,
    TARGET_CORE,
    Table,
    alternate,
    free_port,
    need,
    on_core,
    output_of,
    running,
    stay_on_core,
    wait_for_port,
)

REQUESTS = 100_000


@contextmanager
def secure_nginx() -> Iterator[str]:
    """nginx with a certificate of its own, on one core."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="wiretape-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        output_of([
            need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}/key.pem", "-out", f"{name}/cert.pem", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        ])  # fmt: skip
        text = NGINX_CONFIG.format(
            folder=folder, port=port, workers=1, location=f'return 200 "{"x" * 12}";'
        )
        text = text.replace(
            "backlog=16384;",
            f"backlog=16384 ssl; ssl_certificate {name}/cert.pem;"
            f" ssl_certificate_key {name}/key.pem;",
        )
        config = folder / "nginx.conf"
        config.write_text(text)
        command = [need("nginx"), "-p", name, "-e", f"{name}/error.log", "-c", str(config)]
        with running(on_core(TARGET_CORE, command)) as process:
            wait_for_port(port, process)
            yield f"https://localhost:{port}"


def main() -> None:
    from replay.options import ReplayOptions
    from replay.run import replay

    with tempfile.TemporaryDirectory() as name, secure_nginx() as url:
        tape, run = Path(name) / "x.tape", Path(name) / "run.tape"
        make_tape(tape, REQUESTS)
        stay_on_core(SENDER_CORE)
        options = ReplayOptions(target=(url,), speed=math.inf, no_calibrate=True, insecure=True)

        def peer() -> float:
            return senders.h2load(url, REQUESTS, Path(name)).rate

        def ours() -> float:
            summary = replay(tape, options, run)
            assert summary.answered == REQUESTS, summary.outcomes
            return summary.rate

        figures = alternate({"h2load --h1": peer, "wiretape": ours})
    table = Table("TLS at full speed, one core, full accounting", "requests/s")
    for sender, rates in figures.items():
        table.add(sender, rates)
    print(table)


if __name__ == "__main__":
    main()
