from receiver.core.matchers import parse_matchers
from receiver.core.playbook import Playbook, Policy, Service, SeverityRule
from receiver.core.routing import _REMEMBERED, Match, NoMatch, Router
from receiver.core.severity import Severity

SERVICES = {name: Service(name, "local", "containers", {"app": name}) for name in ("api", "web")}


def router() -> Router:
    one = Playbook(
        "down",
        "v1",
        0,
        parse_matchers('alertname="Down",cluster=~"prod-.*"'),
        severity=Severity.P3,
        severity_rules=(SeverityRule(parse_matchers('tier="gold"'), Severity.P1),),
        target_labels=("service", "job"),
    )
    return Router(Policy("v", (one,), SERVICES, {}))


DOWN = {"alertname": "Down", "cluster": "prod-1", "service": "api"}


def test_each_label_that_a_playbook_asks_about_makes_another_answer() -> None:
    asked = router()
    for _ in range(2):
        found = asked.choose(DOWN)
        assert isinstance(found, Match)
        assert (found.service.name, found.severity) == ("api", Severity.P3)
        assert isinstance(asked.choose(DOWN | {"alertname": "Up"}), NoMatch)
        assert isinstance(asked.choose(DOWN | {"cluster": "test-1"}), NoMatch)
        gold = asked.choose(DOWN | {"tier": "gold"})
        assert isinstance(gold, Match)
        assert gold.severity is Severity.P1
        other = asked.choose({**DOWN, "service": "", "job": "web"})
        assert isinstance(other, Match)
        assert other.service.name == "web"


def test_an_unmanaged_target_is_named_with_its_own_labels() -> None:
    asked = router()
    for name in ("ghost", "spirit"):
        found = asked.choose(DOWN | {"service": name})
        assert isinstance(found, NoMatch)
        assert f'service="{name}"' in found.reason


def test_labels_that_nobody_asks_about_share_an_answer() -> None:
    asked = router()
    assert asked.choose(DOWN | {"pod": "a"}) is asked.choose(DOWN | {"pod": "b"})


def test_what_is_remembered_is_bounded() -> None:
    asked = router()
    for number in range(_REMEMBERED + 10):
        asked.choose(DOWN | {"job": str(number)})
    asked.choose(DOWN | {"job": "x" * 10_000})
    assert len(asked._answers) <= _REMEMBERED
    assert all(len(value or "") < 10_000 for key in asked._answers for value in key)
