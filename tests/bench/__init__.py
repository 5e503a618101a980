"""Benchmarks beside the peers; run by `make bench`."""
