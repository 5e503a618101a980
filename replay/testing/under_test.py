"""An application under test, served on loopback while a block runs: aiohttp, ASGI, or a URL.

The server runs on a thread of this process, so that a test can look into the application as it is;
what sends has processes of its own and does not share its interpreter. aiohttp serves its own
applications; anything else that can be called is taken for ASGI and served by uvicorn.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from capture.errors import ReplayError

PATIENCE_S = 30.0
Serve = Callable[[socket.socket, Callable[[], None], asyncio.Event], Awaitable[None]]


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The URL of an application: its own where it is one, else that of a server for this block."""
    if isinstance(app, str):
        if not app.startswith(("http://", "https://", "http+unix://")):
            raise ReplayError(f"{app!r} is no URL; give one like http://127.0.0.1:8080, or an app.")
        yield app
        return
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener, _thread(app, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _thread(app: Any, listener: socket.socket) -> Iterator[None]:
    serve = _server_of(app)
    begun = threading.Event()
    failures: list[BaseException] = []
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    def work() -> None:
        try:
            loop.run_until_complete(serve(listener, begun.set, ended))
        except BaseException as failure:
            failures.append(failure)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            begun.set()

    thread = threading.Thread(target=work, name="wiretape app under test")
    thread.start()
    try:
        if not begun.wait(PATIENCE_S) or failures:
            raise ReplayError(f"The application under test did not start: {_told(failures)}.")
        yield
    finally:
        if thread.is_alive() and not loop.is_closed():
            loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE_S)


def _told(failures: list[BaseException]) -> str:
    return (
        str(failures[0]) or repr(failures[0]) if failures else f"it took more than {PATIENCE_S:g} s"
    )


def _server_of(app: Any) -> Serve:
    if type(app).__module__.startswith("aiohttp"):
        return _aiohttp(app)
    if not callable(app):
        raise ReplayError(
            f"{app!r} cannot be served: give an aiohttp application, an ASGI application or a URL."
        )
    return _asgi(app)


def _aiohttp(app: Any) -> Serve:
    async def serve(
        listener: socket.socket, begun: Callable[[], None], ended: asyncio.Event
    ) -> None:
        from aiohttp import web

        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, listener, backlog=1024).start()
            begun()
            await ended.wait()
        finally:
            await runner.cleanup()

    return serve


def _asgi(app: Any) -> Serve:
    try:
        import uvicorn
    except ImportError:
        raise ReplayError(
            "ASGI applications are served by uvicorn: pip install 'wiretape[asgi]', or give a URL."
        ) from None

    async def serve(
        listener: socket.socket, begun: Callable[[], None], ended: asyncio.Event
    ) -> None:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)

        async def run() -> None:
            try:
                await server.serve(sockets=[listener])
            except SystemExit:  # which is how uvicorn tells that an application did not start
                pass

        running, waiting = (asyncio.ensure_future(each) for each in (run(), ended.wait()))
        while not server.started and not running.done():
            await asyncio.sleep(0.01)
        if server.started:
            begun()
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await running
        waiting.cancel()
        if not ended.is_set():
            raise ReplayError("uvicorn ended by itself, and has logged why")

    return serve
