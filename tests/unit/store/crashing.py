"""The process that is killed: stores units as fast as it can, and says of each that it is durable.

Started as `python -m tests.unit.store.crashing DATABASE FIRST`; writes one line `fingerprint incident` per stored unit.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from receiver.clock import SystemClock
from receiver.ports import Body
from receiver.store.sqlite import SqliteStore
from tests.contract.folding import alert, webhook

SERVICES = 7


async def main() -> None:
    store = SqliteStore.open(Path(sys.argv[1]), SystemClock())
    numbers = iter(range(int(sys.argv[2]), 1 << 60))

    async def client() -> None:
        for number in numbers:
            one = alert(f"{number:016x}", f"svc-{number % SERVICES}")
            await store.submit(webhook([one], float(number), Body(float(number), b"{}" * 100, 1)))
            sys.stdout.write(f"{one.fingerprint}\n")
            sys.stdout.flush()

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*(client() for _ in range(16)))


if __name__ == "__main__":
    asyncio.run(main())
