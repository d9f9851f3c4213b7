"""What the loader must know of an action. Every `remediations.protocol.Remediation` fulfils it as it is."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel


class ActionFacts(Protocol):
    """The facts of an action that a file is checked against; as in `remediations.protocol.Remediation`."""

    name: str
    parameters: type[BaseModel]
    read_only: bool
    destroys_state: bool
    needs_known_good: bool
    needs_bounds: bool
    undoable: bool
    temporary: bool
