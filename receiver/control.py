"""The kill switch: survives restarts in the store, and in a file for when the service itself misbehaves."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from pathlib import Path

from receiver.core.guardrails import Kill
from receiver.core.principal import Principal
from receiver.ports import Clock, Store

KEY = "kill"


class KillSwitch:
    """Says before each mutation whether anything may be changed.

    Args:
        file: when it exists, everything stops, whatever the store says; None: no such file.
    """

    def __init__(self, store: Store, clock: Clock, file: Path | None) -> None:
        self._store = store
        self._clock = clock
        self._file = file
        self._stored = Kill()
        self._one_at_a_time = asyncio.Lock()

    async def load(self) -> None:
        """Read what was set before the last stop."""
        value = await self._store.get(KEY)
        if value is not None:
            self._stored = Kill(
                everything=bool(value["everything"]),
                playbooks=tuple(value["playbooks"]),
                by=str(value["by"]),
                at=float(value["at"]),
                **{name: str(value.get(name, "")) for name in ("via", "signed_in", "address")},
            )

    def state(self) -> Kill:
        """Return it as it is now; the file is looked for each time."""
        if self._file is not None and self._file.exists():
            return replace(self._stored, file=str(self._file))
        return self._stored

    async def switch(self, by: Principal, *, on: bool, playbook: str | None = None) -> Kill:
        """Turn it on or off, for everything or one playbook; durable when this returns."""
        if on:
            # On counts at once, off only when it is durable: a failing store leaves the safer of the two.
            self._stored = self._changed(by, on=True, playbook=playbook)
        async with self._one_at_a_time:
            before = self._stored
            wanted = self._changed(by, on=on, playbook=playbook)
            await self._store.put(KEY, {name: value for name, value in asdict(wanted).items() if name != "file"})
            if self._stored is before:
                # Else somebody turned something on meanwhile: that counts, and is stored next.
                self._stored = wanted
        return self.state()

    def _changed(self, by: Principal, *, on: bool, playbook: str | None) -> Kill:
        playbooks = set(self._stored.playbooks)
        if playbook is not None:
            (playbooks.add if on else playbooks.discard)(playbook)
        return Kill(
            everything=on if playbook is None else self._stored.everything,
            playbooks=tuple(sorted(playbooks)),
            by=by.person,
            at=self._clock.now(),
            via=by.via,
            signed_in=by.signed_in,
            address=by.address,
        )
