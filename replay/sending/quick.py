"""The short way of a plain request: one send, one recv, one look-up, four stores.

What takes the time of a busy replay is the path of a whole request in one piece whose answer comes
whole. That path is written out here, without calls. A wire that is `calm` may take it; while the
request is on its way the wire is `quick`. Whatever is not plain (a piece of an answer, a close,
pieces, a fresh wire) is left to the wire and the lanes, which do at length what is done here in
short, with the same results.
"""

from __future__ import annotations

import select
import ssl
from abc import abstractmethod
from typing import Final

from capture.exchange import NEVER, Lateness

from ..handover.batch import Batch
from .answers import Answers
from .clock import now_ns
from .connection import RECEIVE, Wire
from .lanes import Lanes
from .refusal import outcome_of

_READABLE: Final = select.EPOLLIN
_LATER: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Quick(Lanes):
    """The wires of a run and the short way over them."""

    _poll: select.epoll
    _answers: Answers

    @abstractmethod
    def _on_event(self, wire: Wire, event: int) -> None:
        """Something came to pass on a wire that is not quick."""

    @abstractmethod
    def _housekeeping(self, fd: int, event: int) -> None:
        """Something came to pass on what is no wire."""

    def _send_quick(self, wire: Wire) -> None:
        """Send the plain request that is the next of a quick wire."""
        memory, at, sizes, sent_at = wire.batch.outgoing
        row = wire.row
        start, size = at[row], sizes[row]
        sent_at[row] = now_ns()
        try:
            sent = wire.send(memory[start : start + size])
        except OSError as failure:
            self._not_sent(wire, failure)
            return
        wire.sent += sent
        if sent != size:
            self._sent_in_part(wire, sent)

    def _hear(self, timeout: float, limit: int) -> list[Wire]:
        """Take what the sockets have; the wires whose next row is to be sent now, as `wire.row`."""
        wires, known, now_ns_ = self._wires, self._answers.known, now_ns
        answered = 0
        ready: list[Wire] = []
        for fd, event in self._poll.poll(timeout, limit):
            wire = wires.get(fd)
            if wire is None:
                self._housekeeping(fd, event)
                continue
            quick = wire.quick
            if quick is None or event != _READABLE:
                wire.take_back()
                self._on_event(wire, event)
                continue
            try:
                data = wire.recv(RECEIVE)
            except _LATER:
                continue
            except OSError:
                wire.take_back()
                wire.receive()
                continue
            now = now_ns_()
            answer = known.get(data) or self._answers.learn(data)
            if answer is None:
                wire.take_back()
                wire.take(data, now)
                continue
            following, answered_at, answers, digests = quick
            row = wire.row
            answered_at[row] = now
            answers[row], digests[row] = answer
            wire.received += len(data)
            wire.served += 1
            answered += 1
            batch = wire.batch
            batch.open_rows -= 1
            row = following[row]
            if -1 < row < batch.reached:
                wire.row = row
                ready.append(wire)
            else:
                wire.quick = None
                self._free(wire, batch, row)
            if not batch.open_rows:
                self._settled(batch)
        self.in_flight -= answered
        self.answered_count += answered
        return ready

    def _free(self, wire: Wire, batch: Batch, row: int) -> None:
        """A quick wire was answered, and no row of its batch is to be sent on it at once."""
        if row >= 0:
            batch.parked.add(row)
        if wire.tls_ns >= 0:
            self._dialer.answered(wire)
        if wire.waiting:
            self._send(wire, *wire.waiting.popleft(), Lateness.CONNECTION)
        elif wire.spare:
            self._unused(wire)
        else:
            wire.calm = True

    def _sent_in_part(self, wire: Wire, sent: int) -> None:
        wire.take_back()
        batch, row = wire.outstanding[0]
        batch.sent_last[row] = NEVER
        wire.rest = batch.request(row)[sent:]
        self._dialer.watch(wire)

    def _not_sent(self, wire: Wire, failure: OSError) -> None:
        if isinstance(failure, _LATER):
            self._sent_in_part(wire, 0)
        else:
            wire.fail(outcome_of(failure.errno))
