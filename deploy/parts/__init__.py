"""Real parts, started and stopped in a directory of their own: Docker engine, Prometheus, Alertmanager."""
