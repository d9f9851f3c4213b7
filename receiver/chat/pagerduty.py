"""Calling people by PagerDuty: its Events API v2, one alert of PagerDuty an incident, and one a request for approval.

A late phase is an alert of its own too: the incident's was acknowledged, as a rule, and calls nobody any more.

https://developer.pagerduty.com/docs/events-api-v2/overview/
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from receiver.chat.escalation import TIMEOUT, Undelivered, page
from receiver.core.outbox import OutboxRow
from receiver.core.redaction import Secrets

SEVERITIES: Final = {"P1": "critical", "P2": "error", "P3": "warning", "P4": "info"}
"""PagerDuty's words for ours."""

SUMMARY: Final = 1024
"""Characters of a summary that PagerDuty takes."""

DETAIL: Final = 4000
"""Characters of a detail; an event may have 512 KB."""

REFUSED: Final = frozenset({400, 401, 403, 404, 413})
"""Answers after which the same event is refused again: the key or the event is wrong."""

ACTIONS: Final = {"acknowledged": "acknowledge", "over": "resolve"}
"""What a row that calls nobody does to the alert; every other row triggers it."""


class PagerDutyPath:
    """Triggers, acknowledges and resolves alerts of PagerDuty; a repeat is told apart by its dedup key.

    Args:
        url: of the Events API v2.
        key: the integration key ("routing key") of a PagerDuty service.
        client: for the requests.
        base_url: how people reach the service; an alert says where the incident is.
        secrets: what no alert holds.
    """

    name = "pagerduty"

    def __init__(
        self, url: str, key: str, client: httpx.AsyncClient, *, base_url: str = "", secrets: Secrets | None = None
    ) -> None:
        if not key:
            raise ValueError("PagerDuty needs an integration key")
        self._url = url
        self._key = key
        self._client = client
        self._base_url = base_url
        self._secrets = secrets or Secrets()

    async def deliver(self, row: OutboxRow) -> None:
        """Send an event; raises Undelivered."""
        # Before its texts are cut: nothing would know half a credential.
        shown = replace(row, payload=self._secrets.value(row.payload))
        event = self._secrets.value(event_of(shown, self._base_url)) | {"routing_key": self._key}
        try:
            answer = await self._client.post(self._url, json=event, timeout=TIMEOUT, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Undelivered(f"PagerDuty can't be reached: {str(error) or type(error).__name__}") from error
        if answer.status_code != 202:
            wait = answer.headers.get("Retry-After", "")
            after = float(min(int(wait), 3600)) if wait.isascii() and wait.isdigit() else 0.0
            text = f"PagerDuty answers {answer.status_code}"
            raise Undelivered(text, retry_after=after, final=answer.status_code in REFUSED)

    def delivered(self, row: OutboxRow) -> None:
        """Do nothing: what it was told stays true."""


def event_of(row: OutboxRow, base_url: str) -> dict[str, Any]:
    """Return an event without its key: what a row triggers, acknowledges or resolves."""
    kind, part = str(row.payload.get("kind", "")), row.payload.get("approval") or row.payload.get("what")
    dedup = f"{row.incident}/{part}" if part and part != "acknowledge" else row.incident
    event: dict[str, Any] = {"event_action": ACTIONS.get(kind, "trigger"), "dedup_key": dedup[:255]}
    if event["event_action"] != "trigger":
        return event
    shown, told = row.payload.get("incident", {}), page(row, base_url)
    details = {"what": str(row.payload.get("text", ""))[:DETAIL], "incident": row.incident}
    if row.payload.get("answer"):
        details["answer"] = "\n".join(row.payload["answer"])
    front = f"{shown.get('severity', '')} {shown.get('target', '')}".strip()
    payload = {
        "summary": f"{front}: {details['what'] or shown.get('title', '')}"[:SUMMARY],
        "source": str(shown.get("target") or "remediator")[:255],
        "severity": SEVERITIES.get(str(shown.get("severity")), "error"),
        "timestamp": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        "component": str(shown.get("target", ""))[:255],
        "group": str(shown.get("playbook", ""))[:255],
        "class": str(shown.get("alert", ""))[:255],
        "custom_details": details,
    }
    links = [{"href": told["url"], "text": f"Incident {row.incident}"}]
    return event | {"client": "remediator", "payload": payload, "links": links}
