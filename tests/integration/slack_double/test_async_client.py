"""slack_sdk's asynchronous client against a double that runs in the same event loop."""

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.slack_double import BOT_TOKEN, FakeTime, Fault, SlackDouble, serving
from tests.slack_double.interactions import People

pytestmark = pytest.mark.anyio


async def test_a_conversation_through_the_asynchronous_client() -> None:
    double = SlackDouble(FakeTime())
    ops = double.channel("ops")
    async with serving(double) as url:
        client = AsyncWebClient(BOT_TOKEN, base_url=f"{url}/api/", retry_handlers=[])
        parent = (await client.chat_postMessage(channel=ops.id, text="parent"))["ts"]
        await client.chat_postMessage(channel=ops.id, text="reply", thread_ts=parent)
        await client.chat_update(channel=ops.id, ts=parent, text="changed")
        await client.files_upload_v2(channel=ops.id, thread_ts=parent, filename="a.png", content=b"abc")
        thread = (await client.conversations_replies(channel=ops.id, ts=parent))["messages"]
        with pytest.raises(SlackApiError, match="channel_not_found"):
            await client.chat_postMessage(channel="C404", text="x")
    assert [message["text"] for message in thread] == ["changed", "reply", ""]
    assert thread[2]["files"][0]["name"] == "a.png"


async def test_a_lost_answer_is_a_broken_connection() -> None:
    double = SlackDouble(FakeTime())
    ops = double.channel("ops")
    async with serving(double) as url:
        client = AsyncWebClient(BOT_TOKEN, base_url=f"{url}/api/", retry_handlers=[])
        double.faults.add(Fault.answer_lost(), "chat.postMessage")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.chat_postMessage(channel=ops.id, text="x")
    assert len(ops.messages) == 1


async def test_a_response_url_takes_the_asynchronous_webhook_client() -> None:
    double = SlackDouble(FakeTime())
    ada = double.team.add_user("ada")
    ops = double.channel("ops", ada.id)
    async with serving(double):
        command = People(double).command(ada.id, ops, "/remediator", "status")
        answer = await AsyncWebhookClient(command.payload["response_url"]).send(text="all is well")
    assert (answer.status_code, answer.body) == (200, '{"ok":true}')
    assert double.told(ada.id) == ["all is well"]
