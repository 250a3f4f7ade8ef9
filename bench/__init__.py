"""The benchmark: ``make bench``. What it measures and how to read it stands in ``docs/benchmarks.md``."""
