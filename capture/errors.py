"""Mistakes that a user can cause: one sentence each, of what, where, and what to do.

The front door prints the sentence and exits 1; wrong options are `click.UsageError` and exit 2.
"""


class WiretapeError(Exception):
    """Base of every error that is the caller's to mend."""


class CaptureError(WiretapeError):
    """A source of packets that cannot be opened or read."""


class TapeError(WiretapeError):
    """A tape that cannot be opened, read or written."""


class PolicyError(WiretapeError):
    """A sanitizing policy that cannot be used."""


class AuditError(WiretapeError):
    """Something that looks like a secret, found before it was written."""


class ReplayError(WiretapeError):
    """A replay that cannot be carried out."""
