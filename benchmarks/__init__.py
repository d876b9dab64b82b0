"""What the stores cost, as ratios measured within one run: `python -m benchmarks`. README.md explains the rows."""
