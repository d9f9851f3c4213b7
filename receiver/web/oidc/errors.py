"""What can go wrong while somebody signs in at the provider; each text is for a person, and holds no secret."""

from __future__ import annotations


class Unavailable(Exception):
    """The provider gave no answer that can be used: it is away, or not set up as expected."""


class Refused(Exception):
    """A sign-in that is not believed."""


class UnknownKey(Refused):
    """A token was signed with none of the keys that are known."""
