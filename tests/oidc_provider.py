"""An OpenID Connect provider on loopback: keys made at test time, and it lies where it is told to."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

import httpx
import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped] # has no types
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT: Final = "remediator"
SECRET: Final = "the-clients-own-secret"


@cache
def rsa_key(name: str) -> RSAKey:
    """Return the key of that name: made once a run, as making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


@dataclass
class OidcProvider:
    """What the provider knows, and what it is told to say instead.

    Args:
        now: the time that its tokens are of.
        claims: of the person who signs in there; they replace what a token says anyway, None leaves one out.
        key: that tokens are signed with; `published` are the names of those in the JWKS.
        sign: makes a token of claims in another way.
        instead: path to the answer that is given there, whatever was asked.
    """

    now: float
    url: str = ""
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "248289761001"})
    algorithm: str = "RS256"
    key: RSAKey | ECKey = field(default_factory=lambda: rsa_key("first"))
    published: list[RSAKey | ECKey] = field(default_factory=lambda: [rsa_key("first")])
    sign: Callable[[dict[str, Any]], str] | None = None
    discovery: dict[str, Any] = field(default_factory=dict)
    instead: dict[str, Response] = field(default_factory=dict)
    slow: float = 0.0
    at_once: dict[str, str] = field(default_factory=dict)
    """What the browser is sent back with instead of a code."""

    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    trades: list[dict[str, str]] = field(default_factory=list)

    def token(self, nonce: str) -> str:
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": int(self.now),
            "exp": int(self.now) + 300,
            "nonce": nonce,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.sign is not None:
            return self.sign(claims)
        return jwt.encode({"alg": self.algorithm, "kid": self.key.kid}, claims, self.key, [self.algorithm])

    def unsigned(self, claims: dict[str, Any]) -> str:
        return f"{_parts({'alg': 'none', 'typ': 'JWT'}, claims).decode()}."

    def by_public_key(self, claims: dict[str, Any]) -> str:
        """Sign with the public key taken for a shared secret, as a verifier that lets the token choose would check."""
        parts = _parts({"alg": "HS256", "kid": "first", "typ": "JWT"}, claims)
        mac = hmac.new(rsa_key("first").as_pem(private=False), parts, hashlib.sha256).digest()
        return f"{parts.decode()}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/jwks", self._jwks),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _before(self, request: Request) -> Response | None:
        self.asked.append(request.url.path)
        if self.slow:
            await asyncio.sleep(self.slow)
        return self.instead.get(request.url.path)

    async def _configuration(self, request: Request) -> Response:
        endpoints = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
        }
        return await self._before(request) or JSONResponse({**endpoints, **self.discovery})

    async def _jwks(self, request: Request) -> Response:
        keys = [one.as_dict(private=False) for one in self.published]
        return await self._before(request) or JSONResponse({"keys": keys})

    async def _authorize(self, request: Request) -> Response:
        given = dict(request.query_params)
        assert given["response_type"] == "code"
        assert given["client_id"] == CLIENT
        assert given["code_challenge_method"] == "S256"
        assert "openid" in given["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = given
        back = {"state": given["state"], **(self.at_once or {"code": code})}
        return await self._before(request) or RedirectResponse(f"{given['redirect_uri']}?{urlencode(back)}", 302)

    async def _token(self, request: Request) -> Response:
        given = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.trades.append({**given, "authorization": request.headers.get("authorization", "")})
        if (answer := await self._before(request)) is not None:
            return answer
        begun = self.codes.pop(given["code"], None)
        if begun is None or create_s256_code_challenge(given["code_verifier"]) != begun["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if given["redirect_uri"] != begun["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(begun["nonce"])})


def _parts(header: dict[str, Any], claims: dict[str, Any]) -> bytes:
    return b".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, claims))


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever runs it, and ends soon when told to."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.01)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def providing(now: float) -> AsyncIterator[OidcProvider]:
    """Serve a provider inside the running event loop until the block ends."""
    provider = OidcProvider(now)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        provider.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        config = uvicorn.Config(
            provider.app(), ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield provider
        finally:
            server.should_exit = True
            await task


async def sign_in_there(where: str) -> str:
    """Do what a person does at the provider; returns the address that their browser is then sent to."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as browser:
        answer = await browser.get(where)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]
