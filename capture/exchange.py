"""The things that are recorded: exchanges and connections, and the codes that describe them.

An exchange holds the bytes of one request exactly as they stood on the wire and the times, in ns
since the epoch, at which its first and last bytes and those of its answer were seen. Nothing here
parses, reads or writes; this module imports nothing of the project.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

NEVER: Final = -1
"""A time (or an exchange number) that there never was."""


class Kind(IntEnum):
    """What the bytes of an exchange mean. Codes are stored in tapes: never renumber one."""

    HTTP1 = 0
    MALFORMED = 1  # a request that no parser can frame, its bytes kept as they were
    TCP = 2  # the client's bytes after CONNECT or an upgrade to an unknown protocol
    WEBSOCKET = 3  # the client's bytes after an upgrade to websocket
    HTTP2 = 4  # reserved
    GRPC = 5  # reserved
    UDP = 6  # reserved


class Close(IntEnum):
    """How a connection ended. Codes are stored in tapes: never renumber one."""

    CAPTURE_END = 0  # still open when the capture ended
    FIN_CLIENT = 1  # the client closed first
    FIN_SERVER = 2  # the server closed first
    RST_CLIENT = 3
    RST_SERVER = 4
    IDLE = 5  # given up after a long silence
    REUSED = 6  # a new connection took the same pair of ports


class RequestEnd(IntEnum):
    """How the bytes of a request ended. Codes are stored in tapes: never renumber one."""

    COMPLETE = 0
    FIN = 1  # cut off: the client closed its side
    RST = 2  # cut off: either side reset
    SILENCE = 3  # cut off: no more bytes until the connection was given up
    CAPTURE_END = 4  # the capture ended first
    GAP = 5  # packets are missing where its end must have been


class Flag(IntFlag):
    """Facts about an exchange that are true or not. Bits are stored in tapes: never move one."""

    NONE = 0
    EXPECT_CONTINUE = 1 << 0  # the client waited for "100 Continue"
    EARLY_RESPONSE = 1 << 1  # the response began before the request had ended
    NO_RESPONSE = 1 << 2  # the connection ended, or the capture did, without an answer
    UNSOLICITED_RESPONSE = 1 << 3  # a response that no request asked for (request is empty)
    UPGRADED = 1 << 4  # the answer switched the connection to another protocol
    CUT_BY_CAPTURE = 1 << 5  # request_bytes is more than what was kept of it
    MIDSTREAM = 1 << 6  # the connection was already open when the capture began
    RESIZED = 1 << 7  # sanitizing changed the length and repaired the framing
    PIPELINED = 1 << 8  # sent before the answer to its predecessor had ended
    RESPONSE_CUT = 1 << 9  # the response ended before its framing said so
    RESPONSE_MALFORMED = 1 << 10  # no parser can frame the response
    RESPONSE_GAP = 1 << 11  # bytes of the response are missing from the capture
    FILLED = 1 << 12  # sanitizing could not open the body: filler took its place
    HALF_CLOSED = 1 << 13  # the client closed its side after it, and waited for the answer


class Outcome(IntEnum):
    """What became of a planned request in a run. Codes are stored in tapes: never renumber one."""

    NONE = 0  # a recording, not a run
    ANSWERED = 1  # a whole response came back
    REFUSED = 2  # the target refused the connection
    RESET = 3  # the target reset the connection before the response was whole
    CLOSED = 4  # the target closed the connection before the response began
    SHORT = 5  # the target closed the connection in the middle of the response
    TIMED_OUT = 6  # no whole response within the time allowed
    CONNECT_TIMED_OUT = 7
    TLS_FAILED = 8
    GARBAGE = 9  # what came back is no HTTP response
    UNREACHABLE = 10  # no route, no address, name not known
    ABANDONED = 11  # ended by us as the recorded client ended it: no answer was waited for
    UNSENT = 12  # never sent: the run ended, or its worker died, before it was due
    NO_RESOURCES = 13  # this machine ran out of file descriptors or ports

    @property
    def words(self) -> str:
        """As people read it: `timed out`."""
        return self.name.lower().replace("_", " ")


FINE: Final = (Outcome.NONE, Outcome.ANSWERED, Outcome.ABANDONED, Outcome.UNSENT)
"""Outcomes in which the target did not fail: it answered in full, or no answer was waited for."""


class Lateness(IntEnum):
    """Why a request of a run went out after it was due. Codes are stored in tapes."""

    NONE = 0  # on time, to within the noise floor
    LOOP = 1  # our own loop was busy
    CONNECTION = 2  # its connection was still busy with an earlier answer (order strict)
    WINDOW = 3  # the target did not take our bytes
    CONNECT = 4  # connecting took longer than the head start it was given
    TLS = 5  # the TLS handshake did


class Reuse(IntEnum):
    """On which connection a request of a run went out. Codes are stored in tapes."""

    FRESH = 0  # the first request of its connection
    REUSED = 1  # a connection that had carried a request before, as recorded
    SPARE = 2  # an extra connection, because the recorded one was still busy or was closed


class Exchange:
    """One request on a connection and the response that answered it, as it was seen.

    Times are ns since the epoch, `NEVER` where there was none. Sizes are bytes on the wire.
    Mutable while it is being put together; whoever holds it last owns it.
    """

    __slots__ = (
        "client",
        "client_port",
        "connection",
        "defects",
        "ended",
        "flags",
        "head_bytes",
        "kind",
        "missing_bytes",
        "opened_ns",
        "pieces",
        "position",
        "request",
        "request_bytes",
        "request_first_ns",
        "request_last_ns",
        "response",
        "response_bytes",
        "response_digest",
        "response_first_ns",
        "response_head_bytes",
        "response_last_ns",
        "server",
        "status",
    )

    connection: int  # number of its connection in this capture
    position: int  # 0 for the first exchange of the connection, 1 for the next, …
    client: bytes  # packed address of the client: 4 or 16 bytes
    client_port: int
    server: str  # "203.0.113.7:8080" or "[2001:db8::7]:8080"
    opened_ns: int  # when the connection was opened (or first seen)
    kind: Kind
    defects: int  # bits of capture.defects.Defect
    flags: int  # bits of Flag
    ended: RequestEnd
    request: bytes  # the bytes that were kept, from the first; missing ones filled with b"x"
    request_bytes: int  # its length on the wire, kept or not, missing bytes included
    head_bytes: int  # up to and including the empty line; 0 where there is no head
    missing_bytes: int  # how many of request_bytes the capture never saw
    pieces: tuple[tuple[int, int], ...]  # (offset, ns) of pieces after a pause; () when in one go
    request_first_ns: int
    request_last_ns: int
    status: int  # 0 where there is no response
    response: bytes  # what was kept of it, from the first byte of its final head
    response_head_bytes: int
    response_bytes: int  # on the wire, head and body, interim responses included
    response_digest: int  # keyed digest of the body, 64 bits; 0 where there is none
    response_first_ns: int
    response_last_ns: int

    def __init__(
        self,
        connection: int = 0,
        position: int = 0,
        client: bytes = b"\0\0\0\0",
        client_port: int = 0,
        server: str = "",
        opened_ns: int = NEVER,
    ) -> None:
        self.connection = connection
        self.position = position
        self.client = client
        self.client_port = client_port
        self.server = server
        self.opened_ns = opened_ns
        self.kind = Kind.HTTP1
        self.defects = 0
        self.flags = 0
        self.ended = RequestEnd.COMPLETE
        self.request = b""
        self.request_bytes = 0
        self.head_bytes = 0
        self.missing_bytes = 0
        self.pieces = ()
        self.request_first_ns = NEVER
        self.request_last_ns = NEVER
        self.status = 0
        self.response = b""
        self.response_head_bytes = 0
        self.response_bytes = 0
        self.response_digest = 0
        self.response_first_ns = NEVER
        self.response_last_ns = NEVER

    def __repr__(self) -> str:
        line = self.request.split(b"\n", 1)[0].rstrip(b"\r")[:60]
        return f"<Exchange {self.connection}.{self.position} {self.kind.name} {line!r}>"


class Connection:
    """One TCP connection: when it was opened, by whom, and when and how it ended."""

    __slots__ = (
        "client",
        "client_bytes",
        "client_port",
        "close",
        "closed_ns",
        "connection",
        "exchanges",
        "missing_bytes",
        "open_seen",
        "opened_ns",
        "server",
        "server_bytes",
    )

    def __init__(
        self,
        connection: int,
        client: bytes,
        client_port: int,
        server: str,
        opened_ns: int,
        open_seen: bool,
    ) -> None:
        self.connection = connection
        self.client = client  # packed address
        self.client_port = client_port
        self.server = server
        self.opened_ns = opened_ns
        self.open_seen = open_seen  # False where the capture began in mid-stream
        self.closed_ns = NEVER
        self.close = Close.CAPTURE_END
        self.client_bytes = 0  # of the client's stream, missing bytes included
        self.server_bytes = 0
        self.missing_bytes = 0  # of both directions
        self.exchanges = 0
