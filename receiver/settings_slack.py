"""The settings of Slack; a part of `receiver.settings.Settings`."""

from __future__ import annotations

from dataclasses import dataclass, field

from receiver import settings_values as kind
from receiver.settings_values import about


@dataclass(frozen=True, kw_only=True)
class SlackSettings:
    """Where Slack is told what, and whom it is believed. Without slots: Python lets one base only have them."""

    slack_token: str | None = field(
        metadata=about(
            "", kind.Optional(kind.token), "bot token of the Slack app; without it Slack is off", secret=True
        )
    )
    slack_channel: str | None = field(
        metadata=about(
            "", kind.Optional(kind.channel), "id of the channel in which incidents are told, such as C0123ABCD"
        )
    )
    slack_channels: tuple[str, ...] = field(
        metadata=about("", kind.BySeverity(kind.channel), "other channels by severity: `P1=C0123ABCD,P2=C0456EFGH`")
    )
    slack_mentions: tuple[str, ...] = field(
        metadata=about(
            "",
            kind.BySeverity(kind.mention),
            "whom to mention by severity: a user (`P1=U...`), a user group (`P1=S...`), `P1=here` or `P1=channel`",
        )
    )
    slack_incident_channels: tuple[str, ...] = field(
        metadata=about("", kind.severities, "severities whose incidents get a channel of their own: `P1,P2`")
    )
    slack_incident_archive: float = field(
        metadata=about("1d", kind.duration, "how long after an incident's end its own channel is archived")
    )
    slack_signing_secret: tuple[str, ...] = field(
        metadata=about(
            "",
            kind.words,
            "signing secret of the Slack app, for buttons and commands over HTTP; several, for rotation",
            secret=True,
        )
    )
    slack_app_token: str | None = field(
        metadata=about(
            "",
            kind.Optional(kind.token),
            "app-level token (`xapp-...`) for Socket Mode: buttons and commands without a public URL",
            secret=True,
        )
    )
    slack_email: str = field(
        metadata=about(
            "off",
            kind.OneOf("on", "off"),
            "`on`: who has no Slack id in people.yaml is known by the e-mail address in their Slack profile",
        )
    )
    slack_stakeholders: tuple[str, ...] = field(
        metadata=about(
            "",
            kind.BySeverity(kind.channel),
            "channels that get plain notices by severity, several each: `P1=C0111AAAA,P1=C0222BBBB,P2=C0222BBBB`",
        )
    )
    slack_escalation_channel: str | None = field(
        metadata=about(
            "", kind.Optional(kind.channel), "a second channel that is told, with a mention, when people are called"
        )
    )
    slack_api_url: str = field(
        metadata=about("https://slack.com/api", kind.url, "where Slack's Web API is: GovSlack, a gateway")
    )

    @property
    def slack_listens(self) -> bool:
        """Whether people can answer in Slack, over HTTP or Socket Mode."""
        return bool(self.slack_token and (self.slack_signing_secret or self.slack_app_token))

    @property
    def slack_secrets(self) -> tuple[str, ...]:
        """Every secret text of these."""
        return (self.slack_token or "", self.slack_app_token or "", *self.slack_signing_secret)

    def slack_contradictions(self) -> list[str]:
        """Return what can't be as it is set, in words."""
        found = []
        if self.slack_token and not self.slack_channel:
            found.append("REMEDIATOR_SLACK_TOKEN is set without REMEDIATOR_SLACK_CHANNEL, where incidents are told")
        if not self.slack_token:
            without = "is set without REMEDIATOR_SLACK_TOKEN (or _FILE), the bot's token"
            given = {
                "CHANNEL": self.slack_channel,
                "STAKEHOLDERS": self.slack_stakeholders,
                "ESCALATION_CHANNEL": self.slack_escalation_channel,
                "SIGNING_SECRET": self.slack_signing_secret,
                "APP_TOKEN": self.slack_app_token,
            }
            found += [f"REMEDIATOR_SLACK_{name} {without}" for name, value in given.items() if value]
        return found
