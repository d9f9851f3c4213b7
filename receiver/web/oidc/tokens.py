"""What authlib and joserfc do for us, and nothing else of them: the only module that imports them.

authlib's own HTTP client isn't used: it has no limit on an answer's size. Its protocol parts do no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped] # authlib has no types
from authlib.oauth2.rfc6749.parameters import (  # type: ignore[import-untyped]
    prepare_grant_uri,
    prepare_token_request,
)
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import BadSignatureError, ExpiredTokenError, JoseError
from joserfc.jwk import GuestProtocol, JWKRegistry, Key
from joserfc.jws import JWSRegistry

from receiver.web.oidc.errors import Refused, UnknownKey

KINDS: Final[Mapping[str, str]] = {"RS": "RSA", "PS": "RSA", "ES": "EC"}
ALGORITHMS: Final = tuple(f"{kind}{bits}" for kind in KINDS for bits in (256, 384, 512))
"""Signatures with a private key of the provider's: never `none`, never a secret that both sides know (HS256)."""

LEEWAY: Final = 60
"""Seconds by which the provider's clock may differ from ours."""

MOST_KEYS: Final = 100
LONGEST_HEADER: Final = 8192
SHORTEST_MODULUS: Final = 342
"""Characters of an RSA key's modulus: 2048 bits in base64url."""

LONGEST_SUBJECT: Final = 255
"""Characters of `sub`, as OpenID Connect limits it."""

Keys: TypeAlias = Sequence[Key]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for.

    Args:
        subject: its `sub`.
        email: their address, None when it isn't told.
        verified: whether the provider says that the address is theirs.
    """

    subject: str
    email: str | None
    verified: bool


@dataclass(frozen=True, slots=True)
class Client:
    """The service, as the provider knows it; without a secret it is a public client."""

    id: str
    secret: str
    redirect: str


def authorization_url(
    endpoint: str, client: Client, *, scopes: Sequence[str], state: str, nonce: str, verifier: str
) -> str:
    """Return where a browser goes to sign in: authorization code flow with PKCE (S256)."""
    url: str = prepare_grant_uri(
        endpoint,
        client.id,
        "code",
        redirect_uri=client.redirect,
        scope=list(scopes),
        state=state,
        nonce=nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    return url


def token_request(endpoint: str, client: Client, code: str, verifier: str, *, post: bool) -> tuple[dict[str, str], str]:
    """Return headers and body of the request that trades the code for tokens.

    Args:
        post: whether the provider takes the secret in the body only.
    """
    body = prepare_token_request("authorization_code", redirect_uri=client.redirect, code=code, code_verifier=verifier)
    secret_by = "client_secret_post" if post else "client_secret_basic"
    auth = ClientAuth(client.id, client.secret, secret_by if client.secret else "none")
    headers: dict[str, str] = {"Content-Type": "application/x-www-form-urlencoded"}
    _, headers, body = auth.prepare("POST", endpoint, headers, body)
    return headers, body


def read_keys(document: Mapping[str, Any]) -> Keys:
    """Return the usable keys of a JWKS; one that isn't understood is left out, as the standard asks (RFC 7517, 5)."""
    given = document.get("keys")
    found = []
    for one in given[:MOST_KEYS] if isinstance(given, list) else ():
        if not isinstance(one, dict) or one.get("kty") not in KINDS.values():
            continue
        if one["kty"] == "RSA" and len(str(one.get("n", ""))) < SHORTEST_MODULUS:
            continue
        try:
            found.append(JWKRegistry.import_key(one))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found


def read_token(token: str, keys: Keys, client: Client, *, issuer: str, nonce: str, access: str, now: float) -> Identity:
    """Return whom an ID token is about, after its signature and every claim were checked.

    Args:
        nonce: that this sign-in began with.
        access: the access token that came with it, for `at_hash`; empty without.
        now: UNIX seconds.

    Raises:
        UnknownKey: it is signed with none of the keys; newer ones may be published.
        Refused: anything else is wrong with it.
    """
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    registry.max_header_length = LONGEST_HEADER
    named = True

    def fitting(signed: GuestProtocol) -> Key:
        nonlocal named
        header = signed.headers()
        kid, algorithm = header.get("kid"), header["alg"]
        named = kid is not None
        found = [one for one in keys if _fits(one, algorithm) and kid in {None, one.kid}]
        if len(found) != 1:
            raise UnknownKey("The provider signed with a key that it doesn't publish.")
        return found[0]

    try:
        read = jwt.decode(token, fitting, registry=registry)
        known = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client.id}}
        claims = CodeIDToken(
            read.claims,
            read.header,
            known,
            {"nonce": nonce, "client_id": client.id, "access_token": access},
        )
        claims.validate(now=int(now), leeway=LEEWAY)
    except BadSignatureError:
        # Without a key's name the provider may have put another key in the place of the one that is known.
        kind = Refused if named else UnknownKey
        raise kind("The provider's token has a wrong signature.") from None
    except ExpiredTokenError:
        raise Refused("The provider's token has expired; the clocks may differ by a minute at most.") from None
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise Refused(f"The provider's token is not valid: {_words(error)}.") from None
    return _identity(read.claims)


def _fits(key: Key, algorithm: str) -> bool:
    return (
        key.key_type == KINDS[algorithm[:2]] and key.get("use") in {None, "sig"} and key.get("alg") in {None, algorithm}
    )


def _identity(claims: Mapping[str, Any]) -> Identity:
    subject, email = claims["sub"], claims.get("email")
    if not subject or len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        raise Refused("The provider's token names nobody: its `sub` is no text of 1 to 255 characters.")
    address = email if isinstance(email, str) and 0 < len(email) <= LONGEST_SUBJECT and email.isprintable() else None
    return Identity(subject, address, claims.get("email_verified") is True)


def _words(error: Exception) -> str:
    """Say which claim or which part is wrong, without its value."""
    claim = getattr(error, "claim", None)
    if isinstance(claim, str):
        return f"its claim `{claim}` is missing or not the expected one"
    return str(getattr(error, "error", "") or "it can't be read").replace("_", " ")
