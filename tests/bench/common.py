"""What the benchmarks share: peers started and stopped by pid, their figures read, medians, tables.

A figure is worth something only beside a peer's figure from the same run: `alternate` measures them
in turns and a `Table` prints medians and their ratio.
On two cores the target has core 0 and the sender core 1 (`on_core`).
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET_CORE = 0
SENDER_CORE = max(0, (os.cpu_count() or 1) - 1)

NGINX_CONFIG = """
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 30000; multi_accept on; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_max_body_size 0;
  large_client_header_buffers 8 64k;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=16384;
    location / {{ {location} }}
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A server that was started for a benchmark."""

    port: int
    pid: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Load:
    """What a load generator said of itself."""

    requests: int
    rate: float  # requests/s
    p50_ms: float
    p99_ms: float
    errors: int


def free_port() -> int:
    """A port of loopback on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def need(program: str) -> str:
    """The path of a peer; ends the benchmark with one sentence where it is not installed."""
    for folder in (None, "/usr/sbin:/sbin:/usr/local/sbin"):
        if found := shutil.which(program, path=folder):
            return found
    sys.exit(f"{program} is not installed: it is the peer of this benchmark (apt install it).")


def have(program: str) -> bool:
    """Whether a peer is installed."""
    return shutil.which(program) is not None


def on_core(core: int | None, command: Sequence[str]) -> list[str]:
    """The command, kept on one core where there are several."""
    if core is None or (os.cpu_count() or 1) < 2 or not have("taskset"):
        return list(command)
    return ["taskset", "-c", str(core), *command]


def stay_on_core(core: int) -> None:
    """Keep this process (and the children it starts) on one core."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def steadiness(seconds: float = 2.0) -> float:
    """The share of its usual work that this core does in the slowest tenth of 10-ms spans.

    A machine whose cores are shared out by a host we cannot see has less than 1, and what is timed
    on it is late by no fault of its own.
    """
    work = []
    for _ in range(round(seconds * 100)):
        until, turns = time.perf_counter_ns() + 10_000_000, 0
        while time.perf_counter_ns() < until:
            turns += 1
        work.append(turns)
    work.sort()
    return work[len(work) // 10] / work[len(work) // 2]


@contextlib.contextmanager
def nginx(
    answer_bytes: int = 12, workers: int = 1, core: int | None = TARGET_CORE
) -> Iterator[Server]:
    """nginx with a configuration of its own on a free port, answering 200 with that many bytes."""
    program = need("nginx")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="wiretape-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        location = f'return 200 "{"x" * answer_bytes}";'
        config = folder / "nginx.conf"
        config.write_text(
            NGINX_CONFIG.format(folder=folder, port=port, workers=workers, location=location)
        )
        command = on_core(core, [program, "-p", name, "-e", f"{name}/error.log", "-c", str(config)])
        with running(command) as process:
            wait_for_port(port, process)
            yield Server(port, process.pid, folder)


@contextlib.contextmanager
def running(command: Sequence[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, ended by its own pid when the block ends."""
    process = subprocess.Popen(list(command), cwd=ROOT, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """End a process we started: politely, then not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def wait_for_port(port: int, process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """Return when the port answers; end the benchmark if the process ends first."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args!r} ended with {process.returncode} before it listened.")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.02)
    sys.exit(f"Nothing listened on port {port} within {patience:g} s.")


def output_of(command: Sequence[str]) -> str:
    """What a command prints; ends the benchmark where it fails."""
    done = subprocess.run(list(command), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def wrk(
    url: str,
    seconds: int = 5,
    connections: int = 64,
    core: int | None = SENDER_CORE,
    script: Path | None = None,
) -> Load:
    """wrk on one thread."""
    extra = ["-s", str(script)] if script else []
    command = [need("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *extra, url]
    return read_wrk(output_of(on_core(core, command)))


def read_wrk(said: str) -> Load:
    """wrk's figures from what it printed."""
    return Load(
        requests=int(_number(r"(\d+) requests in", said)),
        rate=_number(r"Requests/sec:\s+([\d.]+)", said),
        p50_ms=_duration_ms(r"50%\s+([\d.]+)(us|ms|s|m)\b", said),
        p99_ms=_duration_ms(r"99%\s+([\d.]+)(us|ms|s|m)\b", said),
        errors=int(_number(r"Non-2xx or 3xx responses: (\d+)", said, 0.0)),
    )


def read_h2load(said: str) -> Load:
    """h2load's figures; it tells minimum, maximum and mean only, so the mean stands for p50."""
    times = re.search(r"time for request:\s+(\S+)\s+(\S+)\s+(\S+)", said)
    slowest, mean = (_ms(times[2]), _ms(times[3])) if times else (0.0, 0.0)
    return Load(
        requests=int(_number(r"(\d+) succeeded", said)),
        rate=_number(r"finished in [^,]+, ([\d.]+) req/s", said),
        p50_ms=mean,
        p99_ms=slowest,
        errors=int(_number(r"(\d+) failed", said, 0.0)),
    )


def read_hey(said: str) -> Load:
    """hey's figures from what it printed."""
    counts = [int(n) for n in re.findall(r"\[\d+\]\s+(\d+) responses", said)]
    return Load(
        requests=sum(counts),
        rate=_number(r"Requests/sec:\s+([\d.]+)", said),
        p50_ms=1000 * _number(r"50%% in ([\d.]+) secs|50% in ([\d.]+) secs", said, 0.0),
        p99_ms=1000 * _number(r"99%% in ([\d.]+) secs|99% in ([\d.]+) secs", said, 0.0),
        errors=sum(int(n) for n in re.findall(r"^\s*\[(\d+)\]\s+\S+ .*error", said, re.M)),
    )


def tshark_requests(
    capture: Path, port: int | None = None, core: int | None = SENDER_CORE
) -> tuple[int, float]:
    """How many HTTP/1 requests tshark finds in a capture, and the seconds it took."""
    decode = ["-d", f"tcp.port=={port},http"] if port else []
    fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "http.request.method"]
    command = [need("tshark"), "-n", "-r", str(capture), *decode, "-Y", "http.request", *fields]
    started = time.perf_counter()
    said = output_of(on_core(core, command))
    return len(said.splitlines()), time.perf_counter() - started


def timed(work: Callable[[], object]) -> float:
    """The seconds that some work took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def alternate(
    measurements: dict[str, Callable[[], float]], rounds: int = 3
) -> dict[str, list[float]]:
    """Measure each in turn, so many rounds, so that noise of the machine falls on all of them."""
    figures: dict[str, list[float]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            figures[name].append(measure())
    return figures


def median(figures: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    return statistics.median(figures) if figures else 0.0


def peak_rss_mb(children: bool = False) -> float:
    """The largest resident memory this process (or any child it waited for) ever had."""
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss / 1024


def rss_mb(pid: int) -> float:
    """The resident memory of a process now; 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass
class Table:
    """Medians side by side, each with its ratio to the first row and the spread of its rounds."""

    title: str
    unit: str
    rows: list[tuple[str, list[float], str]] = field(default_factory=list)

    def add(self, name: str, figures: Sequence[float], note: str = "") -> None:
        self.rows.append((name, list(figures), note))

    def __str__(self) -> str:
        lines = [f"## {self.title}", "", f"| what | {self.unit} (median) | ratio | rounds | |"]
        lines.append("|---|---|---|---|---|")
        base = median(self.rows[0][1]) if self.rows else 0.0
        for name, figures, note in self.rows:
            middle = median(figures)
            ratio = f"{middle / base:.2f}" if base else "–"
            spread = " ".join(_short(figure) for figure in figures)
            lines.append(f"| {name} | {_short(middle)} | {ratio} | {spread} | {note} |")
        return "\n".join(lines) + "\n"


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def _number(pattern: str, said: str, default: float | None = None) -> float:
    if match := re.search(pattern, said):
        return float(next(group for group in match.groups() if group is not None))
    if default is None:
        sys.exit(f"Could not find {pattern!r} in what the peer printed:\n{said}")
    return default


def _duration_ms(pattern: str, said: str) -> float:
    match = re.search(pattern, said)
    return _ms(match[1] + match[2]) if match else 0.0


def _ms(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
    return float(match[1]) * units[match[2]] if match else 0.0
