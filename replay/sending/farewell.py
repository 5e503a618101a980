"""How the client's side of a connection ends."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Final

from capture.exchange import Close

_LINGER_RST: Final = struct.pack("ii", 1, 0)


def by_client(close: int) -> bool:
    """Whether it was the client that ended a connection which ended so."""
    return close in (Close.FIN_CLIENT, Close.RST_CLIENT)


def half_close(sock: socket.socket) -> None:
    """Say that no more will come: below TLS, since OpenSSL reads no answer once it said so."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_WR)
    except OSError:
        pass


def reset_once_closed(sock: socket.socket) -> None:
    """What closes it resets the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RST)


def say_farewell(sock: socket.socket) -> None:
    """Before it is closed: without its word of TLS an end is a truncation."""
    if isinstance(sock, ssl.SSLSocket):
        try:
            sock.unwrap()
        except (OSError, ValueError):
            pass  # it is said; the target has not said it yet
