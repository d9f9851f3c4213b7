"""What the ingest path costs, beside yardsticks of the same run: `python -m tests.benchmarks`."""
