"""The HTTP edge: webhooks in, incidents out."""
