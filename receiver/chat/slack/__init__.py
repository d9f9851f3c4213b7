"""Slack as a chat: one header per incident, edited in place, and its thread. Optional: without a token it doesn't run.

`api` talks to Slack, `text` and `blocks` render, `chat` posts, edits and looks messages up, `budget` says when
something may be sent, and `lane` is the pump that decides what is sent next.
"""
