import asyncio

import pytest

from receiver.web.body import Disconnected, read_body
from receiver.web.problems import Message, Problem

pytestmark = pytest.mark.anyio


async def test_a_body_that_is_there_is_read_within_its_limit() -> None:
    async def there() -> Message:
        return {"type": "http.request", "body": b"12345", "more_body": False}

    for whole in (False, True):
        assert await read_body(there, 5, 1.0, whole=whole) == b"12345"
        with pytest.raises(Problem) as refused:
            await read_body(there, 4, 1.0, whole=whole)
        assert refused.value.status == 413


async def test_a_client_that_went_away_is_noticed() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    for whole in (False, True):
        with pytest.raises(Disconnected):
            await read_body(gone, 5, 1.0, whole=whole)


async def test_a_body_that_is_still_coming_has_its_time() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Problem) as refused:
        await read_body(never, 5, 0.01)
    assert refused.value.status == 408
