"""No credential reaches Slack, the logs or the metrics, wherever it came in."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.chat.slack.chat import SlackChat
from receiver.chat.slack.joining import redaction
from receiver.core.alert import Alert
from receiver.core.principal import Principal
from receiver.metrics import Metrics
from receiver.settings import load
from tests.integration.slack.scene import scene
from tests.integration.slack.test_incident import RESTART
from tests.slack_double import BOT_TOKEN, Fault

pytestmark = pytest.mark.anyio

ENVIRONMENT = {
    "REMEDIATOR_SLACK_TOKEN": BOT_TOKEN,
    "REMEDIATOR_SLACK_CHANNEL": "C0DBL000005",
    "REMEDIATOR_WEBHOOK_TOKENS": "known-only-by-value-1",
    "REMEDIATOR_WEBHOOK_USER": "am",
    "REMEDIATOR_WEBHOOK_PASSWORD": "pass<word>&known-by-value-2",
    "REMEDIATOR_PROMETHEUS_URL": "http://prom:known-by-value-3@127.0.0.1:9090",
    "REMEDIATOR_ESCALATION_URL": "https://pager.example/hooks/known-by-value-4",
    "REMEDIATOR_ESCALATION_SECRET": "known-by-value-5",
    "REMEDIATOR_PAGERDUTY_KEY": "known-by-value-6",
}
BY_SHAPE = (
    "https://user:shape-of-userinfo@db.example/x",
    "Authorization: Bearer shapeOfBearer123",
    "api_key=shapeOfKey",
    "rmd_shape_of_a_token_0",
)
SECRETS = (
    BOT_TOKEN, "known-only-by-value-1", "known-by-value", "pass&lt;", "shape-of-userinfo", "shapeOfBearer123",
    "shapeOfKey", "shape_of_a_token",
)  # fmt: skip


def everywhere(alert: Alert, number: int) -> Alert:
    """Return the alert with secrets in its name and annotations."""
    given = [*(value for name, value in ENVIRONMENT.items() if "CHANNEL" not in name and "USER" not in name), *BY_SHAPE]
    name = f"Down {given[number % len(given)]}"
    return replace(
        alert, fingerprint=f"{number:016x}", labels={**alert.labels, "alertname": "ServiceDown", "x": name},
        annotations={"summary": " ".join(given)},
    )  # fmt: skip


async def test_secrets_in_alerts_notes_and_errors_do_not_reach_slack_or_the_logs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load({}, ENVIRONMENT)
    metrics = Metrics()
    async with scene(tmp_path, RESTART) as one:
        redact = redaction(settings.secrets)
        one.chat = SlackChat(one.chat._api, one.world.clock, one.ops.id, {}, one.chat.look, redact)
        one.restart()
        one.lane._observe = metrics.sent
        one.world.fails()
        one.double.faults.add(Fault.server_error(500))
        one.double.faults.add(Fault.error("invalid_blocks"), "chat.postMessage", times=2)
        await one.world.fire(*(everywhere(one.world.alert(), number) for number in range(12)))
        await one.live(20.0)
        incident = await one.world.incident()
        for text in (*ENVIRONMENT.values(), *BY_SHAPE):
            await one.world.operations.note(incident.id, by=Principal("ann", "cli"), text=f"see {text} there")
        for length in range(270, 300, 3):
            text = f"{'x' * length} pass<word>&known-by-value-2"
            await one.world.operations.note(incident.id, by=Principal("ann", "cli"), text=text)
            await one.live(2.0)
        await one.world.operations.take_over(incident.id, by=Principal("ann", "cli"), reason=" ".join(BY_SHAPE))
        await one.world.operations.close_incident(
            incident.id, by=Principal("ann", "cli"), reason="it was known-by-value-5, and known-only-by-value-1"
        )
        await one.live(200.0)
        said = json.dumps([[one.text, one.blocks, one.metadata] for one in one.messages()], ensure_ascii=False)
    assert "it was ***" in said
    assert said.count("see ***") > 1
    out = capsys.readouterr()
    for secret in SECRETS:
        assert secret not in said, secret
        assert secret not in metrics.render().decode()
    assert BOT_TOKEN not in out.out + out.err
