"""What every implementation of a port must do, as classes of tests that each implementation's own tests inherit."""
