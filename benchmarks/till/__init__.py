"""What a shop costs, measured on its real processes: `python -m benchmarks.till`."""
