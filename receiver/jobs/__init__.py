"""The job queue: who looks at which incident, and when."""
