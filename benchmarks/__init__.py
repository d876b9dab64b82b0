"""Benchmarks of the stores, as ratios within one run: `python -m benchmarks`. README.md explains the rows."""
