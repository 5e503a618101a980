"""TCP's header: its number, its length without options, its flags."""

from __future__ import annotations

from typing import Final

TCP: Final = 6
HEADER: Final = 20
FLAGS_AT: Final = 13
FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10
URG: Final = 0x20
SYN_OR_ACK: Final = SYN | ACK
"""Of these two an opening has SYN alone."""
