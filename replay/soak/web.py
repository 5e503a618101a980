"""Addresses that a soak asks or tells: a user and password in one are sent, and never shown."""

from __future__ import annotations

import base64
import urllib.request
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from capture.errors import ReplayError

from ..rules import shown_url


def web_address(text: str) -> str:
    """An http address, or a sentence."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ReplayError(
            f"{shown_url(text)!r} is no address; write it like http://127.0.0.1:9100/metrics."
        )
    return text


def request_to(
    url: str, headers: Mapping[str, str], body: bytes | None = None
) -> urllib.request.Request:
    """A request to an address, with its user and password as basic authentication (RFC 7617)."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    sent = dict(headers)
    if at:
        sent["Authorization"] = "Basic " + base64.b64encode(unquote(user).encode()).decode()
    return urllib.request.Request(parts._replace(netloc=host).geturl(), body, sent)
