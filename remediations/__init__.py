"""What can be done to a target: actions, and the runtimes that they act on. Knows nothing of `receiver`."""
