"""The pages for people, drawn on the server: they work without JavaScript, and are live with it."""
