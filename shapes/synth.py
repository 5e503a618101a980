"""A tape made from a shape alone, for those who may not keep even sanitized requests.

Arrivals follow the dispersion of the shape at every timescale (`cascade`), users its mix of
sessions (`walks`), sizes, statuses and service times its quantiles for each endpoint. Requests are
filled with values that mean nothing: placeholders of a path with numbers and letters, as often the
same ones again as the shape says, bodies and padding with dots. They are valid HTTP/1.1 and go
through the sanitizer like any others. Malformed requests are not made up: a shape holds none.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from capture.errors import TapeError
from capture.exchange import NEVER, Close, Connection, Exchange, Flag
from capture.tape.made import MadeTape

from .cascade import Moved, arrivals
from .counts import Ints
from .quantiles import Drawn, Quantiles
from .walks import Chain, Step, walks

BEGIN_NS = 1_704_067_200_000_000_000
_BATCH = 1000
_HOST = "synthetic.test"
_SERVER = "192.0.2.1:80"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_PLACEHOLDER = re.compile(r"\{(id|uuid|date|email|hex|token)\}")
_MOST_KNOWN = 1000


@dataclass
class Made:
    """What was made."""

    exchanges: int
    users: int
    connections: int


def synthesize(
    shape: dict[str, Any], path: str, for_ns: int, seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Made:  # fmt: skip
    """Write a tape like a shape, that lasts so long."""
    chain = Chain(shape["mix"], shape["sessions"]["first"], shape["sessions"]["count"])
    if not chain.names:
        raise TapeError("This shape has no endpoint of HTTP/1, so there is nothing to ask.")

    def steps(times: Ints) -> Iterator[Step]:
        return walks(shape, chain, times, np.random.default_rng([seed & 0x7FFFFFFF, 11]))

    def moved(times: Ints) -> Ints:
        return np.fromiter((step.at_ns for step in steps(times)), np.int64, times.size)

    times = _times_of(shape, for_ns, seed, moved)
    maker = _Maker(shape, chain, np.random.default_rng([seed & 0x7FFFFFFF, 12]))
    made = 0
    with MadeTape(path, "synthetic", seed) as tape:
        batch: list[Exchange] = []
        for step in steps(times):
            step.at_ns += BEGIN_NS
            exchange, ended = maker.make(step)
            batch.append(exchange)
            if ended is not None:
                tape.add_connection(ended)
            if len(batch) == _BATCH:
                tape.add(batch)
                made += len(batch)
                batch = []
                if on_progress is not None:
                    on_progress(made, times.size)
        tape.add(batch)
        for connection in maker.still_open():
            tape.add_connection(connection)
    return Made(times.size, maker.users, maker.connections)


def _times_of(
    shape: dict[str, Any], for_ns: int, seed: int = 0, moved: Moved | None = None
) -> Ints:
    """When requests arrive, in ns from the start, before `moved` moves them to those sent."""
    said = shape["arrivals"]
    total = round(said["rate_per_s"] * for_ns / 1e9)
    if total < 1:
        raise TapeError("This shape has too low a rate to make a request in that time.")
    return arrivals(said["idc"], total, for_ns, seed, to_s=said["span_s"] / 30 * 1.001,
                    moved=moved)  # fmt: skip


class _Maker:
    """Makes the exchange of each step, and keeps the connections under way."""

    def __init__(self, shape: dict[str, Any], chain: Chain, random: np.random.Generator) -> None:
        self._random = random
        self._endpoints = {each["endpoint"]: each for each in shape["mix"]["endpoints"]}
        self._kinds = [_Endpoint(name, self._endpoints[name], random) for name in chain.names]
        self._reuse = float(shape["mix"]["key_reuse"])
        sessions = max(shape["sessions"]["count"], 1)
        self._per_client = max(sessions / max(shape["clients"]["count"], 1), 1.0)
        told = shape["connections"]
        self._carries = max(told["mean_requests"], 1.0) if told["count"] else 1e9
        self._open: dict[int, tuple[Connection, int]] = {}
        self._known: dict[int, list[str]] = {}
        self.users = self.connections = 0

    def make(self, step: Step) -> tuple[Exchange, Connection | None]:
        """The exchange of a step, and the connection that ends with it."""
        kind = self._kinds[step.endpoint]
        connection, planned = self._connection(step)
        exchange = Exchange(
            connection.connection, connection.exchanges, connection.client,
            connection.client_port, _SERVER, connection.opened_ns,
        )  # fmt: skip
        exchange.request_first_ns = exchange.request_last_ns = step.at_ns
        head, body = kind.request(self._path(step.endpoint, kind), step.user)
        exchange.request = head + body
        exchange.request_bytes, exchange.head_bytes = len(exchange.request), len(head)
        kind.answer(exchange, step.took_ns)
        connection.exchanges += 1
        connection.client_bytes += exchange.request_bytes
        connection.server_bytes += exchange.response_bytes
        if not step.last and connection.exchanges < planned:
            return exchange, None
        del self._open[step.user]
        connection.closed_ns = max(exchange.response_last_ns, step.at_ns)
        connection.close = Close.FIN_CLIENT
        return exchange, connection

    def still_open(self) -> Iterator[Connection]:
        """The connections that the end of the tape found open."""
        for connection, _ in self._open.values():
            yield connection

    def _connection(self, step: Step) -> tuple[Connection, int]:
        known = self._open.get(step.user)
        if known is None:
            self.connections += 1
            self.users += step.turn == 0
            client = int(step.user / self._per_client)
            address = (10 << 24 | client & 0xFFFFFF).to_bytes(4, "big")
            port = 1024 + self.connections % 60_000
            connection = Connection(
                self.connections, address, port, _SERVER, step.at_ns, open_seen=True
            )
            known = connection, max(1, int(self._random.geometric(1 / self._carries)))
            self._open[step.user] = known
        return known

    def _path(self, endpoint: int, kind: _Endpoint) -> str:
        known = self._known.setdefault(endpoint, [])
        if known and self._random.random() < self._reuse:
            return known[int(self._random.integers(len(known)))]
        path = kind.path()
        if len(known) < _MOST_KNOWN:
            known.append(path)
        return path


class _Endpoint:
    """Requests and answers of one endpoint."""

    def __init__(self, name: str, said: dict[str, Any], random: np.random.Generator) -> None:
        self._method, _, self._template = name.partition(" ")
        self._random = random
        self._requests = Drawn(Quantiles(said["request_bytes"]), random)
        self._responses = Drawn(Quantiles(said["response_bytes"]), random)
        self._statuses = np.array([int(code) for code in said["statuses"]] or [200])
        weights = np.array(list(said["statuses"].values()) or [1], float)
        self._shares = np.cumsum(weights) / weights.sum()

    def path(self) -> str:
        """The path with fresh values in its places."""
        return _PLACEHOLDER.sub(lambda match: self._value(match[1]), self._template)

    def request(self, path: str, user: int) -> tuple[bytes, bytes]:
        """A request of about the size that requests of this endpoint have: its head and body."""
        size = int(self._requests.next())
        session = uuid.UUID(int=user * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)).hex
        lines = f"{self._method} {path} HTTP/1.1\r\nHost: {_HOST}\r\nCookie: session={session}\r\n"
        if self._method not in _WITH_BODY:
            spare = size - len(lines) - len("X-Padding: \r\n\r\n")
            padding = f"X-Padding: {'.' * spare}\r\n" if spare > 0 else ""
            return f"{lines}{padding}\r\n".encode("latin-1", "replace"), b""
        lines += "Content-Type: application/json\r\n"
        spare = size - len(lines) - len("Content-Length: 000\r\n\r\n") - len('{"filler":""}')
        body = f'{{"filler":"{"." * max(spare, 0)}"}}'.encode()
        head = f"{lines}Content-Length: {len(body)}\r\n\r\n"
        return head.encode("latin-1", "replace"), body

    def answer(self, exchange: Exchange, took: int) -> None:
        """Say how it was answered, after so many ns; a status of 0 is no answer."""
        at = int(np.searchsorted(self._shares, self._random.random(), "right"))
        exchange.status = int(self._statuses[min(at, self._statuses.size - 1)])
        if not exchange.status:
            exchange.flags |= Flag.NO_RESPONSE
            exchange.response_first_ns = exchange.response_last_ns = NEVER
            return
        exchange.response_bytes = int(self._responses.next())
        exchange.response_first_ns = exchange.request_last_ns + took * 9 // 10
        exchange.response_last_ns = exchange.request_last_ns + took

    def _value(self, kind: str) -> str:
        number = int(self._random.integers(1, 1 << 40))
        if kind == "id":
            return str(number % 1_000_000)
        if kind == "date":
            return f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}"
        if kind == "uuid":
            return str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)))
        if kind == "email":
            return f"user{number % 100_000}@{_HOST}"
        return f"{number:016x}" if kind == "hex" else f"t{number:020x}Z"
