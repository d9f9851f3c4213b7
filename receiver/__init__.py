"""Remediator: an Alertmanager webhook receiver that remediates, verifies and tells the story."""
