"""One step of a pump in a task of its own: a defect is seen, and doesn't end the pump."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(step: Callable[[], Coroutine[Any, Any, T]], name: str) -> tuple[T | None, BaseException | None]:
    """Return a step's result, or what it raised; ends the step when it is cancelled itself."""
    task = asyncio.create_task(step(), name=name)
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    error = task.exception()
    return (task.result(), None) if error is None else (None, error)
