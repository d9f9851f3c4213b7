"""The pure core: everything that decides. Standard library only; no clock, no I/O, no randomness."""
