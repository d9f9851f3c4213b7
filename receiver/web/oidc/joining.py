"""Makes the sign-in at a provider where it is set up; nothing of what it needs is loaded elsewhere."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import httpx

from receiver.errors import SettingsError
from receiver.ports import Clock
from receiver.settings import Settings

if TYPE_CHECKING:
    from receiver.web.oidc.flow import Oidc


def oidc_sign_in(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> Oidc | None:
    """Return the sign-in, None when it isn't wanted. The provider is not asked.

    Raises:
        SettingsError: it is wanted, and its package isn't installed.
    """
    if "oidc" not in settings.sign_in:
        return None
    if find_spec("authlib") is None:
        raise SettingsError(["REMEDIATOR_SIGN_IN has oidc, which needs a package: pip install 'remediator[oidc]'"])
    from receiver.web.oidc.flow import Oidc  # noqa: PLC0415 - it needs what an extra brings, and 11 MB of memory

    return Oidc(settings, http, clock)
