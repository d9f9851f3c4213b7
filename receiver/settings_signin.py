"""The settings of the pages' sign-in; a part of `receiver.settings.Settings`."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from receiver import settings_values as kind
from receiver.settings_values import about


@dataclass(frozen=True, kw_only=True)
class SignInSettings:
    """How people sign in to the pages, and which proxies are believed. Without slots, as Slack's."""

    sign_in: tuple[str, ...] = field(
        metadata=about(
            "local",
            kind.Several("local", "proxy", "oidc"),
            "ways to sign in to the pages: `local` by a person's token, `proxy` by a trusted proxy's header, "
            "`oidc` at an OpenID Connect provider",
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
    oidc_issuer: str | None = field(
        metadata=about(
            "",
            kind.Optional(kind.issuer),
            "the OpenID Connect provider's issuer, exactly as it names itself: `https://id.example.com`",
        )
    )
    oidc_client_id: str = field(
        metadata=about("", kind.client_id, "what that provider calls this service, its client there")
    )
    oidc_client_secret: str = field(
        metadata=about("", kind.client_id, "the client's secret; without one it is a public client", secret=True)
    )
    oidc_name: str = field(
        metadata=about("", str.strip, "what the button to sign in calls the provider; default: the issuer's host")
    )
    oidc_scopes: tuple[str, ...] = field(
        metadata=about("email", kind.words, "scopes that are asked for beside `openid`")
    )
    session_idle: float = field(
        metadata=about("12h", kind.positive_duration, "time without a look at a page after which a session ends")
    )
    session_limit: float = field(metadata=about("7d", kind.positive_duration, "time after which a session ends anyway"))

    def sign_in_contradictions(self, external_url: str | None) -> list[str]:
        """Return what can't be as it is set, in words.

        Args:
            external_url: how people reach the service.
        """
        found = []
        if "proxy" in self.sign_in and not self.trusted_proxies:
            found.append("REMEDIATOR_SIGN_IN has proxy, and REMEDIATOR_TRUSTED_PROXIES names none that is believed")
        given = {
            "ISSUER": self.oidc_issuer,
            "CLIENT_ID": self.oidc_client_id,
            "CLIENT_SECRET": self.oidc_client_secret,
            "NAME": self.oidc_name,
        }
        if "oidc" not in self.sign_in:
            return found + [
                f"REMEDIATOR_OIDC_{name} is set, and REMEDIATOR_SIGN_IN hasn't oidc: write local,oidc to have both"
                for name, value in given.items()
                if value
            ]
        found += [
            f"REMEDIATOR_SIGN_IN has oidc, and REMEDIATOR_OIDC_{name} is not set"
            for name in ("ISSUER", "CLIENT_ID")
            if not given[name]
        ]
        outside = urlsplit(external_url or "")
        if outside.scheme != "https" and not kind.is_loopback(outside.hostname or ""):
            found.append(
                "REMEDIATOR_SIGN_IN has oidc, which needs the https address that people use in "
                "REMEDIATOR_EXTERNAL_URL: the provider sends them back there"
            )
        return found
