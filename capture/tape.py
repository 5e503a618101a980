"""Tapes: the only thing that capture writes and replay reads.

The format is described in docs/tape-format.md; block.py has its parts, tape_writer.py writes it
and tape_reader.py reads it.
"""

from .block import Text
from .tape_file import Loss
from .tape_format import TapeHeader
from .tape_reader import Payload, Tape
from .tape_writer import TapeWriter

__all__ = ["Loss", "Payload", "Tape", "TapeHeader", "TapeWriter", "Text"]
