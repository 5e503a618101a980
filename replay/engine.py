"""The engine: carries out a plan on time, on one thread, with one poll.

Each turn sends everything that is due, in order, then takes what the sockets have, then waits for
the next absolute deadline: a timerfd set a little early, and a spin for the rest. A poll of sockets
of our own rather than an event loop's transports, because these put a write off to the end of their
turn: here a send is the system call, so its time stamp is the truth, and a connection can be half
closed or reset as it was recorded.

Open loop: a request whose lane is still busy goes out on a spare wire. With `order strict`, and at
speed `max`, it waits for its lane; the wait is booked to the connection, not to us.
"""

from __future__ import annotations

import gc
import heapq
import itertools
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable

from capture.exchange import Flag, Lateness, Outcome, Reuse

from .batch import Ahead, Batch, unsent
from .clock import NS, SPIN_NS, alarm, now_ns
from .connection import CLOSED, CONNECTING, HANDSHAKE, OPEN, Settle, Wire, outcome_of
from .framing import Head
from .options import ReplayOptions
from .targets import Target, source_addresses, tls_context

LATE_NS = 1_000_000
MAX_WINDOW = 256
EVENTS_A_TURN = 32
SWEEP_NS = 50_000_000
_READ = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class Engine(Settle):
    """Sends batches and hands each to `on_batch` when the fate of all its rows is known."""

    def __init__(
        self,
        ahead: Ahead,
        targets: list[Target],
        options: ReplayOptions,
        on_batch: Callable[[Batch], None],
    ) -> None:
        self._ahead = ahead
        self._targets = targets
        self._options = options
        self._on_batch = on_batch
        self._strict = options.order == "strict" or options.at_max
        self._tls = tls_context(options) if any(t.secure for t in targets) else None
        self._session: dict[int, ssl.SSLSession] = {}
        self._sources = itertools.cycle(source_addresses(options) or [""])
        self._places = [itertools.cycle(target.addresses) for target in targets]
        self._poll = select.epoll()
        self._alarm = alarm()
        if self._alarm is not None:
            self._poll.register(self._alarm.fd, select.EPOLLIN)
        self._wires: dict[int, Wire] = {}
        self._lanes: dict[tuple[int, int], Wire] = {}
        self._spares: list[list[Wire]] = [[] for _ in targets]
        self._heads: dict[bytes, Head] = {}
        self._held: deque[tuple[int, Batch, int]] = deque()
        self._deadlines: list[tuple[int, int, Wire, Batch, int]] = []
        self._sequence = itertools.count()
        self._sweep_at = 0
        self._live: dict[int, Batch] = {}
        self.in_flight = 0
        self.sent = 0
        self.answered_count = 0
        self.stopping = False
        self.killed = False

    def run(self, start: int) -> None:
        """Carry out the plan; `start` is the monotonic instant of due time 0."""
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            self._run(start)
        finally:
            gc.enable()
            gc.unfreeze()
            self._end()

    def _run(self, start: int) -> None:
        options = self._options
        end = start + options.duration if options.duration else 0
        at_max = options.at_max
        window = options.max_in_flight or (MAX_WINDOW if at_max else 0)
        batch, row, rows = None, 0, 0
        while True:
            now = now_ns()
            if self.stopping or (end and now >= end):
                break
            turn = 0
            while turn < EVENTS_A_TURN:
                if batch is None or row == rows:
                    batch, row = self._ahead.next(wait=self._nothing_on()), 0
                    if batch is None:
                        rows = 0
                        break
                    rows = len(batch.due)
                    self._live[id(batch)] = batch
                if window and self.in_flight >= window:
                    break
                if not at_max and start + batch.due[row] > now:
                    break
                self._dispatch(batch, row, start, now)
                row += 1
                turn += 1
                if not turn & 7:
                    now = now_ns()
            if batch is None and self._ahead.ended and not self.in_flight:
                return
            self._wait(start + batch.due[row] if batch and row < rows and not at_max else 0, turn)
        self._drain(batch, row)

    def _nothing_on(self) -> bool:
        return not self.in_flight

    def _wait(self, due: int, turn: int) -> None:
        now = now_ns()
        timeout = 0.0
        window_closed = turn < EVENTS_A_TURN
        if due:
            early = due - SPIN_NS
            if now < early:
                timeout = min(0.05, (early - now) / NS)
                if self._alarm is not None and early - now < 50_000_000:
                    self._alarm.arm(early)
                    timeout = 0.06
        elif window_closed:
            timeout = 0.001 if not self._ahead.ended and self.in_flight == 0 else 0.02
        bell = -1 if self._alarm is None else self._alarm.fd
        limit = EVENTS_A_TURN if due else 256
        for fd, event in self._poll.poll(timeout, limit):
            if fd == bell:
                self._alarm.clear()  # type: ignore[union-attr]
                continue
            wire = self._wires.get(fd)
            if wire is not None:
                self._on_event(wire, event)
        if now > self._sweep_at:
            self._sweep_at = now + SWEEP_NS
            self._sweep(now)

    def _on_event(self, wire: Wire, event: int) -> None:
        if wire.state == OPEN:
            if event & _READ:
                wire.receive()
            if event & select.EPOLLOUT and wire.state == OPEN and wire.rest:
                wire.flush()
            if wire.state == OPEN and not wire.rest and event & select.EPOLLOUT:
                self._poll.modify(wire.fd, select.EPOLLIN)
            return
        if wire.state == CONNECTING:
            number = wire.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                wire.fail(outcome_of(number))
                return
            wire.connect_ns = now_ns() - wire.began
            if self._targets[wire.target].secure:
                self._secure(wire)
            else:
                self._opened(wire)
        if wire.state == HANDSHAKE:
            self._handshake(wire)

    def _opened(self, wire: Wire) -> None:
        wire.opened()
        if wire.state == OPEN:
            self._watch(wire)

    def _watch(self, wire: Wire) -> None:
        wanted = select.EPOLLIN | (select.EPOLLOUT if wire.rest else 0)
        self._poll.modify(wire.fd, wanted)

    def _secure(self, wire: Wire) -> None:
        assert self._tls is not None
        self._wires.pop(wire.fd)
        self._poll.unregister(wire.fd)
        wire.began = now_ns()
        secured = self._tls.wrap_socket(
            wire.sock,
            server_hostname=self._targets[wire.target].hostname,
            do_handshake_on_connect=False,
            session=self._session.get(wire.target),
        )
        wire.sock, wire.fd, wire.state = secured, secured.fileno(), HANDSHAKE
        self._wires[wire.fd] = wire
        self._poll.register(wire.fd, select.EPOLLIN | select.EPOLLOUT)

    def _handshake(self, wire: Wire) -> None:
        sock = wire.sock
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._poll.modify(wire.fd, select.EPOLLIN)
            return
        except ssl.SSLWantWriteError:
            self._poll.modify(wire.fd, select.EPOLLOUT)
            return
        except OSError:
            wire.fail(Outcome.TLS_FAILED)
            return
        wire.tls_ns = now_ns() - wire.began
        if sock.session is not None:
            self._session[wire.target] = sock.session
        self._opened(wire)

    def _dispatch(self, batch: Batch, row: int, start: int, now: int) -> None:
        if batch.requests[row] is None:
            self._settle_row(batch, row, Outcome.UNSENT)
            return
        if self._options.at_max:
            batch.due[row] = now - start
        self.in_flight += 1
        self.sent += 1
        key = (batch.lane[row], batch.target)
        wire = self._lanes.get(key)
        if wire is None or wire.state == CLOSED:
            wire = self._connect(batch, row, key)
            if wire is None:
                return
        elif (wire.outstanding or wire.waiting) and wire.state == OPEN:
            if self._strict:
                wire.waiting.append((batch, row))
                return
            if not batch.flags[row] & (Flag.PIPELINED | Flag.EARLY_RESPONSE):
                wire = self._spare(batch, row)
                if wire is None:
                    return
        if wire.state != OPEN:
            wire.waiting.append((batch, row))
            return
        late = now - start - batch.due[row]
        self._send(wire, batch, row, Lateness.LOOP if late > LATE_NS else Lateness.NONE)

    def _send(self, wire: Wire, batch: Batch, row: int, cause: int) -> None:
        wire.send(batch, row, cause)
        if wire.rest:
            self._watch(wire)

    def _spare(self, batch: Batch, row: int) -> Wire | None:
        spares = self._spares[batch.target]
        while spares:
            wire = spares.pop()
            if wire.state == OPEN and wire.idle:
                return wire
        wire_or_none = self._connect(batch, row, None)
        if wire_or_none is not None:
            wire_or_none.spare = True
        return wire_or_none

    def _connect(self, batch: Batch, row: int, key: tuple[int, int] | None) -> Wire | None:
        place = next(self._places[batch.target])
        source = next(self._sources)
        sock = None
        try:
            sock = socket.socket(place.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            if place.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source:
                sock.bind((source, 0))
            failure = sock.connect_ex(place.sockaddr)
        except OSError as error:
            failure = error.errno or 0
        if sock is None or failure not in (0, 115, 36):
            if sock is not None:
                sock.close()
            self.in_flight -= 1
            self._settle_row(batch, row, outcome_of(failure))
            return None
        wire = Wire(sock, batch.lane[row], batch.target, self._heads, self)
        self._wires[wire.fd] = wire
        self._poll.register(wire.fd, select.EPOLLIN | select.EPOLLOUT)
        self._push_deadline(wire, batch, row, self._options.connect_timeout)
        if key is not None:
            self._lanes[key] = wire
        return wire

    def _push_deadline(self, wire: Wire, batch: Batch, row: int, after: int) -> None:
        entry = (now_ns() + after, next(self._sequence), wire, batch, row)
        heapq.heappush(self._deadlines, entry)

    def _sweep(self, now: int) -> None:
        """Give up what has taken too long, to within the pace of sweeps."""
        while self._deadlines and self._deadlines[0][0] <= now:
            wire = heapq.heappop(self._deadlines)[2]
            if wire.state in (CONNECTING, HANDSHAKE):
                wire.fail(Outcome.CONNECT_TIMED_OUT)
        for wire in list(self._wires.values()):
            if wire.state == OPEN and wire.outstanding:
                batch, row = wire.outstanding[0]
                if now - batch.results["request_first_ns"][row] > self._options.timeout:
                    wire.fail(Outcome.TIMED_OUT)

    def answered(self, wire: Wire, batch: Batch, now: int) -> None:
        """See Settle: the next that waits for this lane goes out, or the wire is done with."""
        del now
        self.in_flight -= 1
        self.answered_count += 1
        self._row_settled(batch)
        if wire.outstanding:
            return
        if not wire.reader.stays and not wire.tunnelled:
            lost = list(wire.waiting)
            wire.waiting.clear()
            wire.fail(Outcome.NONE)
            for waiting, row in lost:
                self._again(waiting, row)
        elif wire.waiting:
            following, row = wire.waiting.popleft()
            self._send(wire, following, row, Lateness.CONNECTION)
        elif wire.spare:
            self._spares[wire.target].append(wire)

    def _again(self, batch: Batch, row: int) -> None:
        """A request that waited for a connection that the target closed gets a new one."""
        key = (batch.lane[row], batch.target)
        wire = self._lanes.get(key)
        if wire is None or wire.state == CLOSED:
            wire = self._connect(batch, row, key)
        if wire is not None:
            batch.results["reuse"][row] = Reuse.SPARE
            wire.waiting.append((batch, row))

    def closed(self, wire: Wire, lost: list[tuple[Batch, int]]) -> None:
        """See Settle."""
        self._wires.pop(wire.fd, None)
        try:
            self._poll.unregister(wire.fd)
        except (OSError, ValueError):
            pass
        for batch, _row in lost:
            self.in_flight -= 1
            self._row_settled(batch)

    def _settle_row(self, batch: Batch, row: int, outcome: Outcome) -> None:
        batch.results["outcome"][row] = outcome
        self._row_settled(batch)

    def _row_settled(self, batch: Batch) -> None:
        batch.open_rows -= 1
        if not batch.open_rows:
            del self._live[id(batch)]
            self._on_batch(batch)

    def _drain(self, batch: Batch | None, row: int) -> None:
        """Wait for what is on its way, then book what was never sent."""
        del batch, row
        until = now_ns() + self._options.timeout
        while self.in_flight and not self.killed and now_ns() < until:
            self._wait(0, 0)

    def _end(self) -> None:
        for wire in list(self._wires.values()):
            wire.fail(Outcome.TIMED_OUT if self.stopping else Outcome.ABANDONED)
        for batch in list(self._live.values()):
            unsent(batch)
            self._on_batch(batch)
        self._live.clear()
        self._poll.close()
        if self._alarm is not None:
            self._alarm.close()
