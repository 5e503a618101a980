"""Opens wires: addresses in turn, local addresses in turn, the TLS handshake and its resumption."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import select
import socket
import ssl
from typing import Final

from capture.exchange import Outcome

from ..keeping import BODY, HEADERS, MOST_OF_A_BODY, NONE
from ..options import ReplayOptions
from ..planning.needs import RESERVED
from ..targets import Target, source_addresses, tls_context
from .clock import now_ns
from .connection import CLOSED, CONNECTING, HANDSHAKE, Settle, Wire
from .framing import Head, ResponseReader
from .refusal import outcome_of

_BOTH: Final = select.EPOLLIN | select.EPOLLOUT
_IN_PROGRESS: Final = (0, errno.EINPROGRESS)


def _open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            return len(os.listdir(folder))
    return 0


class Dialer:
    """Makes wires and brings them to the point where a request can be written."""

    def __init__(
        self, targets: list[Target], options: ReplayOptions, poll: select.epoll, settle: Settle
    ) -> None:
        self._targets = targets
        self._responses = options.responses
        self._poll = poll
        self._settle = settle
        self._tls = tls_context(options) if any(t.secure for t in targets) else None
        self._session: dict[int, ssl.SSLSession] = {}
        self._sources = itertools.cycle(source_addresses(options) or [""])
        self._places = [itertools.cycle(target.addresses) for target in targets]
        self.heads: dict[bytes, Head] = {}
        self.wires: dict[int, Wire] = {}
        self._most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED - _open_files()

    @property
    def full(self) -> bool:
        """Whether all descriptors that there may be are in use."""
        return len(self.wires) >= self._most

    def reader(self) -> ResponseReader:
        """A reader of the answers of one wire."""
        way = self._responses
        most = MOST_OF_A_BODY if way == BODY else 1
        return ResponseReader(self.heads, way in (HEADERS, BODY), most, way != NONE)

    def open(self, lane: int, target: int) -> Wire | Outcome:
        """A wire that is connecting, or why there is none."""
        if self.full:
            return Outcome.NO_RESOURCES
        place = next(self._places[target])
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
            failure = error.errno or -1
        if sock is None or failure not in _IN_PROGRESS:
            if sock is not None:
                sock.close()
            return outcome_of(failure)
        wire = Wire(sock, lane, target, self.reader(), self._settle)
        self.wires[wire.fd] = wire
        self._poll.register(wire.fd, _BOTH)
        return wire

    def advance(self, wire: Wire) -> bool:
        """Go on connecting; True when requests can be written."""
        if wire.state == CONNECTING:
            number = wire.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                wire.fail(outcome_of(number))
                return False
            wire.connect_ns = now_ns() - wire.began
            if not self._targets[wire.target].secure:
                return True
            self._secure(wire)
        return wire.state == HANDSHAKE and self._handshake(wire)

    def _secure(self, wire: Wire) -> None:
        assert self._tls is not None
        self.forget(wire)
        wire.began = now_ns()
        try:
            secured = self._tls.wrap_socket(
                wire.sock,
                server_hostname=self._targets[wire.target].hostname,
                do_handshake_on_connect=False,
                session=self._session.get(wire.target),
            )
        except OSError:
            wire.fail(Outcome.TLS_FAILED)
            return
        wire.use(secured)
        wire.state = HANDSHAKE
        self.wires[wire.fd] = wire
        self._poll.register(wire.fd, _BOTH)

    def _handshake(self, wire: Wire) -> bool:
        sock = wire.sock
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._poll.modify(wire.fd, select.EPOLLIN)
            return False
        except ssl.SSLWantWriteError:
            self._poll.modify(wire.fd, select.EPOLLOUT)
            return False
        except OSError:
            wire.fail(Outcome.TLS_FAILED)
            return False
        wire.tls_ns = now_ns() - wire.began
        return True

    def answered(self, wire: Wire) -> None:
        """Keep the TLS session: a server may hand it out only after the handshake."""
        if self._tls is not None and wire.target not in self._session:
            session = getattr(wire.sock, "session", None)
            if session is not None:
                self._session[wire.target] = session

    def watch(self, wire: Wire) -> None:
        """Be told when it can be read, and written while there is something to write."""
        if wire.state != CLOSED:
            self._poll.modify(wire.fd, _BOTH if wire.writing else select.EPOLLIN)

    def forget(self, wire: Wire) -> None:
        """It is closed, or its socket is another from now on."""
        if self.wires.pop(wire.fd, None) is not None:
            try:
                self._poll.unregister(wire.fd)
            except (OSError, ValueError):
                pass
