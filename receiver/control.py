"""The kill switch: survives restarts in the store, and in a file for when the service itself misbehaves."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from pathlib import Path

from receiver.core.guardrails import Kill, Turn
from receiver.core.principal import Principal
from receiver.ports import Clock, Store

KEY = "kill"

TURNS = 50
"""Turns that are remembered: the audit of who stopped what, and who let it go on."""


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
                turns=tuple(Turn(**one) for one in value.get("turns", ())),
            )

    def state(self) -> Kill:
        """Return it as it is now; the file is looked for each time."""
        if self._file is not None and self._file.exists():
            return replace(self._stored, file=str(self._file))
        return self._stored

    async def switch(self, by: Principal, *, on: bool, playbook: str | None = None) -> Kill:
        """Turn it on or off, for everything or one playbook; durable when this returns."""
        turn = Turn(on, playbook, self._clock.now(), by.person, by.via, by.signed_in, by.address)
        if on:
            # On counts at once, off only when it is durable: a failing store leaves the safer of the two.
            self._stored = self._changed(turn)
        async with self._one_at_a_time:
            before = self._stored
            wanted = self._changed(turn)
            await self._store.put(KEY, {name: value for name, value in asdict(wanted).items() if name != "file"})
            if self._stored is before:
                # Else somebody turned something on meanwhile: that counts, and is stored next.
                self._stored = wanted
        return self.state()

    def _changed(self, turn: Turn) -> Kill:
        playbooks = set(self._stored.playbooks)
        if turn.playbook is not None:
            (playbooks.add if turn.on else playbooks.discard)(turn.playbook)
        others = tuple(one for one in self._stored.turns if one is not turn)
        return Kill(
            everything=turn.on if turn.playbook is None else self._stored.everything,
            playbooks=tuple(sorted(playbooks)),
            by=turn.by,
            at=turn.at,
            turns=(*others, turn)[-TURNS:],
        )
