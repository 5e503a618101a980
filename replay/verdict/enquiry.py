"""Asking a live target what it is: a bounded number of safe requests, one by one, with pauses.

Only GET and OPTIONS are sent. Beside the answers themselves it is seen which compression is chosen
of those offered, what an error page looks like, how many requests and for how long a connection is
kept, how many connections are served at once, which TLS is spoken and what the certificate says.

A target that refuses for the rate of our asking is asked again more slowly, so that a refusal is
not taken for an answer; of what would need many requests nothing is said then. One that falls
silent is left alone.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import time
from contextlib import ExitStack, suppress
from typing import Any

from capture.errors import ReplayError

from ..options import ReplayOptions
from ..targets import Target, targets_of, unverified
from .certificate import facts_of
from .enquiry_options import EnquiryOptions
from .portrait import Answer, Portrait

BODY = 1 << 16
CODINGS = ("gzip", "br", "zstd", "deflate")
Failed = (OSError, http.client.HTTPException)
REFUSALS = (429, 503)
SLOWEST_S = 2.0  # between two requests to a target that limits the rate
AGAIN = 3  # times that a refused request is sent once more
SILENT = 3  # requests in a row without an answer, after which no more are sent
RATE = "rate limit: of our own requests"


class Enquiry:
    """Asks one target and draws its portrait."""

    def __init__(self, url: str, options: EnquiryOptions) -> None:
        self.target: Target = targets_of(ReplayOptions(target=(url,)))[0]
        self.options = options
        self.left = options.requests
        self.portrait = Portrait(url, live=True)
        self._pause_s = options.pause / 1e9
        self._limits = False  # whether it refused what it answers at a slower rate
        self._asks_again = True
        self._silent = 0

    def draw(self, places: tuple[tuple[str, str], ...]) -> Portrait:
        """The portrait, from (endpoint, path) to ask for and what a target shows besides."""
        try:
            self._connect().close()
        except Failed as failure:
            raise ReplayError(
                f"{self.target.url} does not answer ({failure}): check the URL and whether it runs."
            ) from None
        if self.target.secure:
            self.portrait.facts |= facts_of(self.target, self.options.timeout / 1e9)
        missing = f"/wiretape-{hashlib.sha256(self.target.url.encode()).hexdigest()[:12]}"
        asked = [*places, ("GET /", "/"), *((f"GET {path}", path) for path in self.options.path)]
        for endpoint, path in dict(asked).items():
            self._ask(endpoint, "GET", path)
        self._ask("GET (a path that is not there)", "GET", missing)
        self._ask("OPTIONS /", "OPTIONS", "/")
        elsewhere = {"Origin": "https://elsewhere.invalid"}
        self._ask("GET / (from another site)", "GET", "/", elsewhere)
        if not self.portrait.places:
            raise ReplayError(
                f"{self.target.url} accepts connections and answers no request: check what "
                "listens there, or give it more time with --timeout."
            )
        self._compression(asked[0][1])
        if not self._limits:
            self._kept_alive()
        if not self._limits:
            self._at_once()
        self.portrait.facts.setdefault(RATE, "none met")
        return self.portrait

    def _connect(self) -> http.client.HTTPConnection:
        place = self.target.addresses[0].sockaddr
        seconds = self.options.timeout / 1e9
        if isinstance(place, str):
            raise ReplayError(f"{self.target.url}: drift is not read from unix sockets; use TCP.")
        if self.target.secure:
            secure = http.client.HTTPSConnection(
                place[0], place[1], timeout=seconds, context=unverified()
            )
            secure.connect()
            return secure
        plain = http.client.HTTPConnection(place[0], place[1], timeout=seconds)
        plain.connect()
        return plain

    def _allowed(self) -> bool:
        self.left -= 1
        return self.left >= 0 and self._silent < SILENT

    def _ask(self, endpoint: str, method: str, path: str,
             more: dict[str, str] | None = None) -> Answer | None:  # fmt: skip
        """One request on a connection of its own; a refusal is asked about again, more slowly."""
        answer = self._once(method, path, more)
        if answer is not None and answer.status in REFUSALS and self._asks_again:
            answer = self._more_slowly(answer, method, path, more)
        if answer is not None:
            self.portrait.add(endpoint, answer)
        return answer

    def _more_slowly(self, refused: Answer, method: str, path: str,
                     more: dict[str, str] | None) -> Answer | None:  # fmt: skip
        """What is answered at a slower rate; `refused` where the rate was not the reason."""
        pause_s = self._pause_s
        for _ in range(AGAIN):
            self._pause_s = min(SLOWEST_S, max(0.2, 2 * self._pause_s))
            answer = self._once(method, path, more)
            if answer is not None and answer.status not in REFUSALS:
                self._limited_with(refused.status)
                return answer
        if self._limits:
            return None
        self._pause_s, self._asks_again = pause_s, False
        return refused

    def _limited_with(self, status: int) -> None:
        self._limits = True
        self.portrait.facts[RATE] = f"refuses with {status}"

    def _once(self, method: str, path: str, more: dict[str, str] | None) -> Answer | None:
        if not self._allowed():
            return None
        time.sleep(self._pause_s)
        try:
            connection = self._connect()
        except Failed:
            self._silent += 1
            return None
        try:
            answer = self._exchange(connection, method, path, more)
        finally:
            connection.close()
        self._silent = 0 if answer is not None else self._silent + 1
        return answer

    def _exchange(self, connection: http.client.HTTPConnection, method: str, path: str,
                  more: dict[str, str] | None = None) -> Answer | None:  # fmt: skip
        headers = {"Host": self.target.authority, "User-Agent": "wiretape", "Accept": "*/*"}
        try:
            connection.request(method, path or "/", headers={**headers, **(more or {})})
            told = connection.getresponse()
            body = told.read(BODY)
        except Failed:
            return None
        version = "HTTP/1.0" if told.version == 10 else "HTTP/1.1"
        page = _page(told, body) if told.status >= 400 else ""
        return Answer(
            version, told.status, told.reason, tuple(told.getheaders()), time.time(), page
        )

    def _compression(self, path: str) -> None:
        """Which coding it takes where it may choose, and where one alone is offered."""
        chosen = []
        for offered in (", ".join(CODINGS), *CODINGS):
            answer = self._ask(f"GET {path} ({offered})", "GET", path, {"Accept-Encoding": offered})
            if answer is not None:
                chosen.append(answer.value("content-encoding") or "none")
        if len(chosen) > 1:
            known = dict.fromkeys(each for each in chosen[1:] if each != "none")
            told = f"{chosen[0]} of all; can {', '.join(known) or 'none'}"
            self.portrait.facts["compression: chosen"] = told

    def _kept_alive(self) -> None:
        """How many requests one connection is kept for, and whether it outlasts a silence."""
        most = min(self.left // 2, 20)
        count, path = 0, "/"
        try:
            connection = self._connect()
        except Failed:
            return
        try:
            port = connection.sock.getsockname()
            while count < most and self._allowed():
                answer = self._exchange(connection, "GET", path)
                if answer is None:
                    break
                if answer.status in REFUSALS and self._asks_again:
                    self._limited_with(answer.status)
                    return
                count += 1
                if connection.sock is None or connection.sock.getsockname() != port:
                    break
            kept = count >= most
            told = f"{most} and more" if kept else f"{count}"
            self.portrait.facts["keep-alive: requests of a connection"] = told
            if self.options.idle and kept:
                time.sleep(self.options.idle / 1e9)
                still = self._allowed() and self._exchange(connection, "GET", path) is not None
                told = f"kept after {self.options.idle / 1e9:g} s" if still else "closed"
                self.portrait.facts["keep-alive: idle"] = told
        finally:
            connection.close()

    def _at_once(self) -> None:
        """How many connections are answered at the same time."""
        most = min(self.left, self.options.connections)
        if most < 2:
            return
        answered = 0
        with ExitStack() as opened:
            held = []
            with suppress(*Failed):
                for _ in range(most):
                    held.append(self._connect())
                    opened.callback(held[-1].close)
            for connection in held:
                answer = self._exchange(connection, "GET", "/") if self._allowed() else None
                answered += answer is not None and not (
                    answer.status in REFUSALS and self._asks_again
                )
        told = f"{most} and more" if answered == most else f"{answered}"
        self.portrait.facts["connections: at once"] = told


_TITLE = re.compile(rb"<title>(.*?)</title>|<h1>(.*?)</h1>", re.S | re.I)


def _page(told: http.client.HTTPResponse, body: bytes) -> str:
    """What kind of error page it is: its type, and what it calls itself."""
    kind = (told.getheader("Content-Type") or "no type").partition(";")[0]
    found = _TITLE.search(body)
    title = (found[1] or found[2] or b"").decode("utf-8", "replace") if found else ""
    title = re.sub(r"\s*\d+\s*", " ", title).strip()
    keys = ", ".join(sorted(re.findall(r'"(\w+)"\s*:', body.decode("utf-8", "replace")))[:6])
    return " ".join(part for part in (kind, title, f"with {keys}" if keys else "") if part)


def portrait_of_url(url: str, options: EnquiryOptions,
                    places: tuple[tuple[str, str], ...] = ()) -> Portrait:  # fmt: skip
    """The portrait of a live target; `places` are endpoints to ask for, with a path of each."""
    return Enquiry(url, options).draw(places)


def safe_places(path: Any, most: int = 12) -> tuple[tuple[str, str], ...]:
    """The endpoints of a tape that GET asks for, commonest first, with a path of each."""
    from .rows import read_rows

    rows = read_rows(path)
    found: dict[str, tuple[int, str]] = {}
    for code, name in enumerate(rows.endpoints):
        places = (rows.endpoint == code).nonzero()[0]
        if name.startswith("GET /") and len(places):
            ok = places[rows["status"][places] // 100 == 2]
            first = int(ok[0] if len(ok) else places[0])
            found[name] = (len(places), rows.targets[rows.target[first]])
    ranked = sorted(found.items(), key=lambda item: -item[1][0])
    return tuple((name, path) for name, (_, path) in ranked[:most] if path.startswith("/"))
