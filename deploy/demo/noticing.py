"""What Prometheus and Alertmanager see of the outage, told as it happens: the way from a break to the webhook."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import httpx

from deploy.demo.console import say
from deploy.parts.alertmanager import Alertmanager
from deploy.parts.prometheus import Prometheus

SEEN: Final[Mapping[str, str]] = {
    "pending": "sees {alert}; it fires when that holds",
    "firing": "fires {alert}, and pushes it to Alertmanager",
    "": "no longer sees {alert}",
}
"""State of an alert in Prometheus to what is said of it."""


class Noticing:
    """Looks at both when it is called, and tells what has changed since its last look.

    Args:
        prometheus: a real one, if any.
        alertmanager: a real one, if any.
    """

    def __init__(self, prometheus: Prometheus | None, alertmanager: Alertmanager | None) -> None:
        self._prometheus = prometheus
        self._alertmanager = alertmanager
        self._states: Mapping[str, str] = {}
        self._pushed: Mapping[str, str] = {}

    def look(self) -> None:
        """Tell what is new; one that doesn't answer right now is asked again at the next look."""
        try:
            # Alertmanager first: whatever it knows Prometheus has seen by then.
            pushed = receivers(self._alertmanager) if self._alertmanager is not None else {}
            states = self._prometheus.alerts() if self._prometheus is not None else {}
        except httpx.TransportError:
            return
        for alert, state in changed(self._states, states):
            tell("Prometheus", SEEN[state].format(alert=alert))
        for alert, names in changed(self._pushed, pushed):
            tell("Alertmanager", f"tells {names} about {alert}" if names else f"takes {alert} for over")
        self._states, self._pushed = states, pushed


def receivers(alertmanager: Alertmanager) -> dict[str, str]:
    """Return by `name/severity` whom Alertmanager tells about each alert that it holds as firing."""
    rows = alertmanager.alerts(active="true", silenced="false", inhibited="false")
    return {
        f"{row['labels']['alertname']}/{row['labels'].get('severity', '')}": " and ".join(
            sorted((receiver["name"] for receiver in row["receivers"]), reverse=True)
        )
        for row in rows
    }


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the alerts whose value is another one now, in order; an empty one for those that are gone."""
    names = sorted({*before, *after})
    return [(name, after.get(name, "")) for name in names if before.get(name, "") != after.get(name, "")]


def tell(who: str, text: str) -> None:
    """Print a line with the time, as the remediator's console has it."""
    say(f"{datetime.now(UTC):%H:%M:%S}Z {who}: {text}", "cyan")
