"""Bad days: each fault as slack_sdk's client meets it, and what the double knows afterwards."""

import time
from http.client import RemoteDisconnected
from urllib.error import URLError

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler

from tests.integration.slack_double.conftest import Scene
from tests.integration.slack_double.test_messages import refused
from tests.slack_double import BOT_TOKEN, Fault


def post(scene: Scene, text: str = "x") -> None:
    scene.client.chat_postMessage(channel=scene.ops.id, text=text)


def test_an_answer_that_is_lost_after_the_commit_leaves_the_message(scene: Scene) -> None:
    scene.double.faults.add(Fault.answer_lost(), "chat.postMessage")
    with pytest.raises(RemoteDisconnected):
        post(scene)
    assert scene.texts() == ["x"]


def test_slack_sdks_own_retries_post_twice_then(scene: Scene) -> None:
    handlers = [ConnectionErrorRetryHandler(max_retry_count=1)]
    retrying = WebClient(BOT_TOKEN, base_url=f"{scene.running.url}/api/", retry_handlers=list(handlers))
    scene.double.faults.add(Fault.answer_lost(), "chat.postMessage")
    retrying.chat_postMessage(channel=scene.ops.id, text="x")
    assert scene.texts() == ["x", "x"]


def test_a_connection_that_is_dropped_before_leaves_nothing(scene: Scene) -> None:
    scene.double.faults.add(Fault.dropped(), "chat.postMessage")
    with pytest.raises(RemoteDisconnected):
        post(scene)
    assert scene.texts() == []


def test_refused_connections_forget_nothing(scene: Scene) -> None:
    post(scene, "before")
    scene.running.refuse()
    with pytest.raises(URLError, match="refused"):
        post(scene)
    scene.running.accept()
    post(scene, "after")
    assert scene.texts() == ["before", "after"]


def test_faults_come_as_often_as_they_were_ordered_and_for_their_methods(scene: Scene) -> None:
    scene.double.faults.add(Fault.error("internal_error"), "chat.*", times=2)
    scene.client.auth_test()
    for _ in range(2):
        with refused("internal_error"):
            post(scene)
    post(scene)
    assert scene.texts() == ["x"]


def test_a_fatal_error_may_come_after_the_effect(scene: Scene) -> None:
    scene.double.faults.add(Fault.error("fatal_error", after_commit=True), "chat.postMessage")
    with refused("fatal_error"):
        post(scene)
    assert scene.texts() == ["x"]


def test_a_storm_of_429_says_how_long(scene: Scene) -> None:
    scene.double.faults.add(Fault.too_fast(30), times=None)
    for _ in range(3):
        with refused("ratelimited") as found:
            post(scene)
        assert found.value.response.status_code == 429
        assert found.value.response.headers["Retry-After"] == "30"
    scene.double.faults.clear()
    post(scene)


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.too_many_messages(), "message_limit_exceeded"), (Fault.rate_limited(), "rate_limited")],
)
def test_too_fast_has_two_forms_with_status_200(scene: Scene, fault: Fault, code: str) -> None:
    scene.double.faults.add(fault, "chat.postMessage")
    with refused(code) as found:
        post(scene)
    assert found.value.response.status_code == 200
    assert "Retry-After" not in found.value.response.headers


def test_an_exceeded_message_limit_may_be_a_429_without_a_time(scene: Scene) -> None:
    scene.double.faults.add(Fault.too_fast(None), "chat.postMessage")
    with pytest.raises(SlackApiError) as found:
        post(scene)
    assert found.value.response.status_code == 429
    assert "Retry-After" not in found.value.response.headers


def test_an_outage_lasts_its_hour(scene: Scene) -> None:
    scene.double.faults.outage(3600)
    with pytest.raises(SlackApiError) as found:
        post(scene)
    assert found.value.response.status_code == 503
    scene.time.advance(3599)
    with pytest.raises(SlackApiError):
        post(scene)
    scene.time.advance(1)
    post(scene)
    assert scene.texts() == ["x"]


def test_a_slow_answer_comes_after_the_effect(scene: Scene) -> None:
    scene.double.faults.add(Fault.slow(1.0), "chat.postMessage")
    hasty = WebClient(BOT_TOKEN, base_url=f"{scene.running.url}/api/", retry_handlers=[], timeout=1)
    hasty.timeout = 0.05  # type: ignore[assignment]  # annotated as whole seconds; urllib takes any
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        hasty.chat_postMessage(channel=scene.ops.id, text="x")
    assert time.monotonic() - began < 0.9
    assert scene.texts() == ["x"]


def test_an_upload_can_fail_too(scene: Scene) -> None:
    scene.double.faults.add(Fault.server_error(500), "upload")
    with pytest.raises(Exception, match="500"):
        scene.client.files_upload_v2(channel=scene.ops.id, filename="a.png", content=b"abc")
    assert scene.texts() == []


def test_faithful_rates_stop_a_flood_and_let_it_in_as_told(scene: Scene) -> None:
    scene.double.rates.faithful = True
    waits = [post_patiently(scene, str(number)) for number in range(20)]
    assert scene.texts() == [str(number) for number in range(20)]
    assert waits == [[]] * 5 + [["1"]] * 15


def post_patiently(scene: Scene, text: str) -> list[str]:
    """Post as often as it takes, and return the waits that were asked for."""
    waits: list[str] = []
    while True:
        try:
            post(scene, text)
        except SlackApiError as error:
            waits.append(error.response.headers["Retry-After"])
            scene.time.advance(float(waits[-1]))
        else:
            return waits


def test_a_channel_has_one_budget_by_its_id_and_by_its_name(scene: Scene) -> None:
    scene.double.rates.faithful = True
    for number in range(5):
        scene.client.chat_postMessage(channel="#ops" if number % 2 else scene.ops.id, text="x")
    with refused("ratelimited"):
        scene.client.chat_postMessage(channel="ops", text="x")


def test_every_call_is_in_the_log(scene: Scene) -> None:
    post(scene)
    scene.double.faults.add(Fault.rate_limited(), "chat.postMessage")
    with refused("rate_limited"):
        post(scene)
    logged = [(one.method, one.error) for one in scene.double.calls]
    assert logged == [("chat.postMessage", None), ("chat.postMessage", "rate_limited")]
