"""Web API methods by family; importing this enters them all in the registry."""

from tests.slack_double.methods import apps, channels, chat, files, history, people, pins, views

__all__ = ["apps", "channels", "chat", "files", "history", "people", "pins", "views"]
