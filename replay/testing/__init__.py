"""Replays in tests: the pytest plugin."""
