"""Tapes: the only thing that capture writes and replay reads.

The format is described in docs/tape-format.md; block.py has its parts, writer.py writes it
and reader.py reads it.
"""

from .block import Text
from .file import Loss
from .format import TapeHeader
from .reader import Payload, Tape
from .writer import TapeWriter

__all__ = ["Loss", "Payload", "Tape", "TapeHeader", "TapeWriter", "Text"]
