"""Capture on a live host: the ring, its limits, its health."""
