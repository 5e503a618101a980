"""Fuzz targets: each a script with one invariant. `python -m tests.fuzz` runs them all."""
