"""What an error of the system means for a request that was to go out or to be answered."""

from __future__ import annotations

import errno
from typing import Final

from capture.exchange import Outcome

_REFUSALS: Final = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ENOENT: Outcome.REFUSED,
    errno.ECONNRESET: Outcome.RESET,
    errno.EPIPE: Outcome.RESET,
    errno.ETIMEDOUT: Outcome.CONNECT_TIMED_OUT,
    errno.EMFILE: Outcome.NO_RESOURCES,
    errno.ENFILE: Outcome.NO_RESOURCES,
    errno.EADDRNOTAVAIL: Outcome.NO_RESOURCES,
    errno.ENOBUFS: Outcome.NO_RESOURCES,
}


def outcome_of(number: int | None) -> Outcome:
    """The outcome that an error of the system stands for."""
    return _REFUSALS.get(number or 0, Outcome.UNREACHABLE)
