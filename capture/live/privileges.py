"""Giving up the privileges of root once the sockets are open.

Who used sudo becomes themselves again, so that the tapes are theirs. Root that is nobody's sudo
stays root by name, to own its files, but without any capability and without a way to gain one.
"""

from __future__ import annotations

import ctypes
import os
import pwd

import numpy as np

from ..errors import CaptureError

_NO_NEW_PRIVILEGES = 38
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def drop_privileges(user: str = "") -> str:
    """Become `user`, or who used sudo, or root without capabilities; says which."""
    if os.geteuid() == 0:
        name = user or os.environ.get("SUDO_USER", "")
        if name and name != "root":
            _become(name)
            _check_reach(name)
            return f"running as {name}"
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(ctypes.byref(header), ctypes.byref(nothing)) != 0:
        raise CaptureError(
            f"privileges cannot be dropped: {os.strerror(ctypes.get_errno())}; "
            "run as another user with --user."
        )
    return "without capabilities"


def _become(name: str) -> None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise CaptureError(f"there is no user {name} to run as; choose another --user.") from None
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _check_reach(name: str) -> None:
    """Modules that are imported later must be readable to the user that we are by now."""
    for path in (os.__file__, np.__file__, __file__):
        if not os.access(path, os.R_OK):
            raise CaptureError(
                f"{name} cannot read {path}, which the recording needs; "
                "choose another --user, or install wiretape where all can read it."
            )
