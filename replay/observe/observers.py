"""Those who look on while a replay runs, opened before it starts and closed after its end.

Everything that can be wrong (a port in use, a package that is missing) is found out before the
first request. Threads start with the first glance: worker processes are forked before it, and a
fork must not copy a thread's locks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from capture.log import Tell

from .glance import Glance
from .live import Live
from .options import ObserveOptions


@dataclass
class Observers:
    """Who looks on. `live` is there for whoever has findings to add."""

    live: Live
    calls: list[Callable[[Glance], None]] = field(default_factory=list)
    _opened: ExitStack = field(default_factory=ExitStack)

    def closing(self, close: Callable[[], None]) -> None:
        """Something that is to be closed at the end."""
        self._opened.callback(close)

    def close(self) -> None:
        """Tell all that it has ended; once is enough."""
        self._opened.close()


@contextmanager
def observers(options: ObserveOptions, name: str, say: Tell) -> Iterator[Observers]:
    """The observers that the options ask for, until the block ends."""
    live = Live(name)
    found = Observers(live)
    with ExitStack() as open_ones:
        open_ones.callback(found.close)
        if options.metrics or options.otlp:
            from .metrics import Endpoint, Traffic

            traffic = Traffic(lambda: Counter(f["kind"] for f in live.findings))
            found.calls.append(traffic)
            if options.metrics:
                endpoint = Endpoint(traffic, *options.metrics)
                found.closing(endpoint.close)
                found.calls.append(endpoint)
                say(f"Metrics: {endpoint.url}")
            if options.otlp:
                from .otlp import Exporter

                exporter = Exporter(traffic, options.otlp, name, say)
                found.closing(exporter.close)
                found.calls.append(exporter)
        if options.dashboard:
            from ..dashboard.feed import Dashboard

            page = Dashboard(live, *options.dashboard)
            found.closing(page.close)
            found.calls.append(page)
            say(f"Live page: {page.url}")
        yield found
