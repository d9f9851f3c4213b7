"""The durable truth: SQLite by default. Nothing in core or engine knows which database it is."""
