"""What it takes to run the service on real parts: images, the demo and the harness that starts the parts."""
