"""The figures that gg promises, measured side by side on this machine: `python -m benchmarks.figures --help`."""
