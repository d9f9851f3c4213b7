"""The parts of the conformance suite; import them from `remediations.testing`."""
