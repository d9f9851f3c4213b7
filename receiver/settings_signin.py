"""The settings of the pages' sign-in; a part of `receiver.settings.Settings`."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from receiver import settings_values as kind
from receiver.settings_values import about


@dataclass(frozen=True, kw_only=True)
class SignInSettings:
    """How people sign in to the pages, and which proxies are believed. Without slots, as Slack's."""

    sign_in: tuple[str, ...] = field(
        metadata=about(
            "local",
            kind.Several("local", "proxy"),
            "ways to sign in to the pages: `local` by a person's token, `proxy` by a trusted proxy's header",
        )
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = field(
        metadata=about(
            "", kind.networks, "proxies whose `X-Forwarded-For` and user header are believed: `10.0.0.5,10.1.0.0/16`"
        )
    )
    proxy_user_header: str = field(
        metadata=about(
            "X-Forwarded-User", kind.header_name, "the header in which a trusted proxy names who signed in with it"
        )
    )
    session_idle: float = field(
        metadata=about("12h", kind.positive_duration, "time without a look at a page after which a session ends")
    )
    session_limit: float = field(metadata=about("7d", kind.positive_duration, "time after which a session ends anyway"))

    def sign_in_contradictions(self) -> list[str]:
        """Return what can't be as it is set, in words."""
        if "proxy" in self.sign_in and not self.trusted_proxies:
            return ["REMEDIATOR_SIGN_IN has proxy, and REMEDIATOR_TRUSTED_PROXIES names none that is believed"]
        return []
