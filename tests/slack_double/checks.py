"""Small checks of JSON that are put together to Block Kit's rules; each says what is wrong in Slack's own words.

The words are from answers of the real Slack that people pasted into public issues: `must be less than 3001 characters`,
`must be more than 0 characters`, `no more than 50 items allowed`, `must provide at least 1 items`, `missing required
field: text`, `invalid additional property: x`, `unsupported type: x`, `must provide an object`, `must provide a
string`, `failed to match all allowed schemas`. Uncertain: the words for numbers, booleans and choices; and what Slack
counts as a character (here: Unicode code points).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Check = Callable[[Any, str], Iterator[str]]
"""Takes a value and its JSON pointer, yields what is wrong with it."""


def problem(text: str, at: str) -> str:
    """Return a complaint with its place."""
    return f"{text} [json-pointer:{at}]"


def string(maximum: int, minimum: int = 1) -> Check:
    """Check the length of a string."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield problem("must provide a string", at)
        elif len(value) < minimum:
            yield problem(f"must be more than {minimum - 1} characters", at)
        elif len(value) > maximum:
            yield problem(f"must be less than {maximum + 1} characters", at)

    return check


def link(maximum: int = 3000) -> Check:
    """Check a URL."""

    def check(value: Any, at: str) -> Iterator[str]:
        yield from string(maximum)(value, at)
        if isinstance(value, str) and not value.startswith(("http://", "https://", "mailto:", "slack://")):
            yield problem("Invalid URL", at)

    return check


def boolean(value: Any, at: str) -> Iterator[str]:
    """Check for true or false."""
    if not isinstance(value, bool):
        yield problem("must provide a boolean", at)


def whole(minimum: int, maximum: int) -> Check:
    """Check a whole number's range."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, int) or isinstance(value, bool):
            yield problem("must provide an integer", at)
        elif not minimum <= value <= maximum:
            yield problem(f"must be between {minimum} and {maximum}", at)

    return check


def one_of(*allowed: str) -> Check:
    """Check for one of a few words."""

    def check(value: Any, at: str) -> Iterator[str]:
        if value not in allowed:
            yield problem("must be a valid enum value", at)

    return check


def mapping(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """Check an object's keys and values; any other key is refused, as Slack does."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield problem("must provide an object", at)
            return
        known = {**required, **optional}
        yield from (problem(f"missing required field: {name}", at) for name in required if name not in value)
        yield from (problem(f"invalid additional property: {name}", at) for name in value if name not in known)
        for name, part in value.items():
            if name in known:
                yield from known[name](part, f"{at}/{name}")

    return check


def items(each: Check, maximum: int, minimum: int = 1) -> Check:
    """Check a list's length and each of its items."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield problem("must provide an array", at)
            return
        if len(value) < minimum:
            yield problem(f"must provide at least {minimum} items", at)
        if len(value) > maximum:
            yield problem(f"no more than {maximum} items allowed", at)
        for index, item in enumerate(value):
            yield from each(item, f"{at}/{index}")

    return check


def by_type(kinds: Mapping[str, Check]) -> Check:
    """Check an object by the rule that its `type` names; `type` itself needs no rule."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield problem("must provide an object", at)
        elif "type" not in value:
            yield problem("missing required field: type", at)
        elif not isinstance(value["type"], str) or value["type"] not in kinds:
            yield problem(f"unsupported type: {value['type']}", f"{at}/type")
        else:
            yield from kinds[value["type"]]({name: part for name, part in value.items() if name != "type"}, at)

    return check


def several(*checks: Check) -> Check:
    """Check by all of them."""

    def check(value: Any, at: str) -> Iterator[str]:
        for one in checks:
            yield from one(value, at)

    return check


def as_alternatives(inner: Check) -> Check:
    """Check what has several allowed forms: Slack then says first that none of them fits."""

    def check(value: Any, at: str) -> Iterator[str]:
        found = list(inner(value, at))
        if found:
            yield problem("failed to match all allowed schemas", at)
        yield from found

    return check
