"""Ending where it is safe: a signal is noted, and obeyed between two batches of packets.

An exception in the middle of a batch would leave packets that are seen and not accounted for. A
second signal is the operator's last word: it ends the process at once, as if nobody listened.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Asked:
    """Whether a signal has asked for the end, while this is entered."""

    def __init__(self) -> None:
        self._end = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may listen
            for number in _SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's `&`
                    self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def check(self) -> None:
        """KeyboardInterrupt where the end was asked for."""
        if self._end:
            raise KeyboardInterrupt

    def _heard(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._end = True
        self._restore()

    def _restore(self) -> None:
        before, self._before = self._before, {}
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
