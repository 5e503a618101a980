"""What two releases of the shop reveal of themselves: the configuration that drifts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """Settings that no feature test looks at."""

    headers: tuple[tuple[str, str], ...]
    cookie_flags: str
    cache: str  # Cache-Control of what may be cached
    json_errors: bool


RELEASES = {
    "1": Release(
        headers=(
            ("Server", "shop/1.4.2"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-RateLimit-Limit", "600"),
        ),
        cookie_flags="Path=/; HttpOnly; SameSite=Lax",
        cache="public, max-age=60",
        json_errors=True,
    ),
    "2": Release(
        headers=(
            ("Server", "shop/2.0.0-rc1"),
            ("Access-Control-Allow-Origin", "*"),
            ("X-RateLimit-Limit", "60"),
        ),
        cookie_flags="Path=/",
        cache="no-store",
        json_errors=False,
    ),
}
