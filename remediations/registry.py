"""Finding the actions: our own and other people's, all through the entry point group `remediator.actions`.

A broken third-party action must not keep the service from starting: it is set aside with its reason, and whoever asks
for it by name is told.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from pydantic import BaseModel

from remediations.protocol import Remediation, RemediationError

GROUP = "remediator.actions"
OURS = "remediator"

FLAGS = ("read_only", "idempotent", "destroys_state", "needs_known_good", "needs_bounds", "undoable", "temporary")
METHODS = ("plan", "execute", "observe", "verify", "undo")

_LOAD_ERRORS = (
    ImportError, AttributeError, SyntaxError, TypeError, ValueError, LookupError, RuntimeError, OSError,
    ArithmeticError, AssertionError,
)  # fmt: skip
"""What running a stranger's module and constructor may raise; anything else is a mistake of ours."""


class ActionUnknown(RemediationError):
    """No action of that name is installed."""


class ActionBroken(RemediationError):
    """An action of that name is installed and can't be used."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry point that can't be used: its name, the distribution that brings it, and why."""

    name: str
    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"action {self.name} of {self.distribution}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Registry:
    """The actions that can be used, by name, and those that can't."""

    actions: Mapping[str, Remediation]
    broken: tuple[Broken, ...] = field(default=())

    def get(self, name: str) -> Remediation:
        """Return the action of that name; raises ActionUnknown (with the nearest name) and ActionBroken."""
        if name in self.actions:
            return self.actions[name]
        reasons = [str(one) for one in self.broken if one.name == name]
        if reasons:
            raise ActionBroken("; ".join(reasons))
        near = difflib.get_close_matches(name, self.actions, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ActionUnknown(f"no action {name!r} is installed (there are: {', '.join(sorted(self.actions))}){hint}")


def load_actions(found: Iterable[EntryPoint] | None = None) -> Registry:
    """Load every installed action.

    Our own names can't be taken: a third-party action named as one of ours is set aside. Of two third-party actions
    with one name neither is used: which would run must not depend on the order of installation.

    Args:
        found: the entry points; by default those of the installed distributions.
    """
    points = entry_points(group=GROUP) if found is None else found
    by_name: dict[str, list[EntryPoint]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    actions: dict[str, Remediation] = {}
    broken: list[Broken] = []
    for name, offers in sorted(by_name.items()):
        chosen, aside = _choose(name, offers)
        broken += aside
        if chosen is None:
            continue
        loaded = _load(chosen)
        if isinstance(loaded, Broken):
            broken.append(loaded)
        else:
            actions[name] = loaded
    return Registry(actions, tuple(broken))


def problems(action: object) -> list[str]:
    """Return what keeps an object from being an action: missing members, wrong kinds, lenient parameters."""
    found = [f"`{flag}` must be True or False" for flag in FLAGS if not isinstance(getattr(action, flag, None), bool)]
    found += [
        f"`{method}` must be an async method"
        for method in METHODS
        if not inspect.iscoroutinefunction(getattr(action, method, None))
    ]
    if not callable(getattr(action, "describe", None)):
        found.append("`describe` is missing")
    model = getattr(action, "parameters", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        found.append("`parameters` must be a pydantic model")
    elif model.model_config.get("extra") != "forbid":
        found.append('`parameters` must forbid unknown fields (model_config = ConfigDict(extra="forbid"))')
    return found


def _choose(name: str, offers: list[EntryPoint]) -> tuple[EntryPoint | None, list[Broken]]:
    if len(offers) == 1:
        return offers[0], []
    ours = [point for point in offers if _distribution(point) == OURS]
    chosen = ours[0] if ours else None
    offering = ", ".join(sorted(_distribution(point) for point in offers))
    reason = "the name is taken by our own action" if ours else f"offered by {offering}: uninstall all but one"
    return chosen, [Broken(name, _distribution(point), reason) for point in offers if point is not chosen]


def _load(point: EntryPoint) -> Remediation | Broken:
    try:
        action: object = point.load()()
    except _LOAD_ERRORS as error:
        return Broken(
            point.name, _distribution(point), f"{point.value} can't be loaded: {type(error).__name__}: {error}"
        )
    reasons = problems(action)
    own_name = getattr(action, "name", None)
    if own_name != point.name:
        reasons.append(f"`name` is {own_name!r} and its entry point is {point.name!r}")
    if reasons:
        return Broken(point.name, _distribution(point), "; ".join(reasons))
    return cast("Remediation", action)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"
