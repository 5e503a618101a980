"""Text of others in Markdown: it is shown as it is, and opens no tag, link, cell, line or code.

Names of endpoints, paths and values come from requests that anybody may have sent, and what is
written here is shown in pull requests.
"""

from __future__ import annotations

import re

from capture.describe import printable

_SPECIAL = re.compile(r"[\\|*_`\[\]#~!]")


def prose(text: str) -> str:
    """In a sentence, an item of a list or a cell of a table."""
    plain = printable(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\g<0>", plain)


def code(text: str, cell: bool = False) -> str:
    """As code, whatever backticks it holds; in a cell of a table a bar has to be escaped."""
    plain = printable(" ".join(text.split()))
    plain = plain.replace("|", "\\|") if cell else plain
    if "`" not in plain:
        return f"`{plain}`"
    fence = "`" * (1 + max(map(len, re.findall("`+", plain))))
    return f"{fence} {plain} {fence}"
