"""What every test begins with, whoever starts them."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# A busy machine is no defect of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# `nohup` and shells' background jobs hand ignored signals on; tests send them to what they start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
