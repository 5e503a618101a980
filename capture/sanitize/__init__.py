"""Sanitizing: no secret and no personal datum gets past here to a tape.

A *policy* says what is done with what; a *place* is where a value stands; a *detector* finds values
wherever they stand; a *pseudonym* replaces them, equal for equal values under one key.
"""

from __future__ import annotations

from .policy import Policy as Policy
from .rewrite import Sanitizer as Sanitizer
