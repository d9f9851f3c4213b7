"""Plays Alertmanager: what it sends, until when, and how often again."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from tests.acceptance.service import JSON, WEBHOOK, alert, group

TWICE = 0.3
"""The share of deliveries that come again, as a peer's or a slow answer's do."""


class Sender:
    """Sends each alert until it is acknowledged, repeats some, and tells of each resolve, repeating some of those.

    Args:
        url: of the service.
        alerts: the name of each alert and its service.
        repaired: whether a service works again, so that its alert resolves.
        pace: seconds between two alerts, on average.
        seed: of the dice.
    """

    def __init__(
        self, url: str, alerts: Sequence[tuple[str, str]], repaired: Callable[[str], bool], *, pace: float, seed: int
    ) -> None:
        self.acknowledged: set[str] = set()
        self.failed = 0
        self.over = threading.Event()
        self._url = f"{url}{WEBHOOK}"
        self._alerts = alerts
        self._repaired = repaired
        self._pace = pace
        self._random = random.Random(seed)
        self._firing: dict[str, dict[str, Any]] = {}
        self.thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def _run(self) -> None:
        with httpx.Client(timeout=20.0, trust_env=False) as http:
            for name, service in self._alerts:
                self._firing[service] = alert(name, service)
                if self._deliver(http, self._firing[service]):
                    self.acknowledged.add(service)
                if self._random.random() < TWICE:
                    self._deliver(http, self._firing[self._random.choice(list(self._firing))])
                self._resolve(http)
                if self.over.wait(self._pace * self._random.uniform(0.5, 1.5)):
                    return
            while self._firing and not self.over.wait(0.1):
                self._resolve(http)

    def _resolve(self, http: httpx.Client) -> None:
        for service in [service for service in self._firing if self._repaired(service)]:
            begun = self._firing.pop(service)
            name = begun["labels"]["alertname"]
            ended = {**alert(name, service, status="resolved"), "startsAt": begun["startsAt"]}
            for _ in range(2 if self._random.random() < TWICE else 1):
                self._deliver(http, ended)

    def _deliver(self, http: httpx.Client, one: dict[str, Any]) -> bool:
        """Send until a 2xx, as Alertmanager does; False when the test ended before."""
        while not self.over.is_set():
            try:
                if http.post(self._url, content=group(one), headers=JSON).is_success:
                    return True
            except httpx.TransportError:
                pass
            self.failed += 1
            self.over.wait(0.05)
        return False
