"""A Slack for tests and the demo: state, rules, refusals, rates, faults and people, served on loopback.

It is built from Slack's public references; nothing here was measured on the real Slack. Where a reference is silent
the docstring says "uncertain" and the double takes the stricter reading, so that what passes here has fewer surprises
there.
"""

from tests.slack_double.double import BOT_TOKEN, SIGNING_SECRET, SlackDouble
from tests.slack_double.faults import Fault
from tests.slack_double.running import Running, serving
from tests.slack_double.timing import FakeTime

__all__ = ["BOT_TOKEN", "SIGNING_SECRET", "FakeTime", "Fault", "Running", "SlackDouble", "serving"]
