"""The process that serves the live page: states come in by a socket, go out as server-sent events.

It answers GET of four files and of `/events` and `/state`, changes nothing and knows no secret.
Bound to loopback it answers only to loopback's names, so that no page of the web can read it
through a name of its own (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

HERE = Path(__file__).parent
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:"
)
LARGEST = 1 << 20
BEAT_S = 5.0
LINGER_S = 1.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The last state, and the readers who wait for the next one."""

    def __init__(self) -> None:
        self.state = b"{}"
        self.ended = asyncio.Event()
        self._readers: set[asyncio.Queue[bytes]] = set()

    def tell(self, state: bytes) -> None:
        """A new state; a reader who is slow sees only the newest."""
        self.state = state
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(state)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """States as they come."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._readers.add(queue)
        try:
            state = self.state
            while True:
                await response.write(b"data: " + state + b"\n\n")
                state = await self._next(queue, response)
        except (ConnectionResetError, asyncio.CancelledError):
            return response
        finally:
            self._readers.discard(queue)

    async def _next(self, queue: asyncio.Queue[bytes], response: web.StreamResponse) -> bytes:
        while True:
            try:
                return await asyncio.wait_for(queue.get(), BEAT_S)
            except TimeoutError:
                await response.write(b": still here\n\n")

    async def latest(self, _request: web.Request) -> web.StreamResponse:
        """The last state."""
        return web.Response(body=self.state, content_type="application/json")


def _file(name: str, kind: str) -> Handler:
    body = (HERE / name).read_bytes()

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=kind, charset="utf-8")

    return answer


def _application(page: Page, only_loopback: bool) -> web.Application:
    """The aiohttp application."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if only_loopback and not _is_loopback(request.host):
            raise web.HTTPForbidden(text="This page answers to loopback's names only.")
        return await handler(request)

    async def headers(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"

    app = web.Application(middlewares=[guard])
    app.on_response_prepare.append(headers)
    for path, (name, kind) in FILES.items():
        app.router.add_get(path, _file(name, kind))
    app.router.add_get("/events", page.events)
    app.router.add_get("/state", page.latest)
    return app


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.strip("[]")
    if name == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return False


async def _serve(listener: socket.socket, states: socket.socket) -> None:
    page = Page()
    loop = asyncio.get_running_loop()
    states.setblocking(False)

    def take() -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                state = states.recv(LARGEST)
            except OSError:
                state = b""
            if state:
                page.tell(state)
            else:
                loop.remove_reader(states)
                page.ended.set()

    loop.add_reader(states, take)
    only_loopback = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
    runner = web.AppRunner(_application(page, only_loopback), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await page.ended.wait()
    await asyncio.sleep(LINGER_S)  # readers get the last state
    await runner.cleanup()


def serve(listener: socket.socket, states: socket.socket) -> None:
    """The body of the process; ends when the other end of `states` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the replay, which then ends us
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 10)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    asyncio.run(_serve(listener, states))
