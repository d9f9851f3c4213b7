"""The runtimes that actions act on: plain Docker and compose containers, and supervised local processes."""
