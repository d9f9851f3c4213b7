"""A Slack for tests and the demo: state, rules, refusals, rates, faults and people, served on loopback.

It is built from Slack's public references; nothing here was measured on the real Slack. Where a reference is silent
the docstring says "uncertain" and the double takes the stricter reading, so that what passes here has fewer surprises
there.
"""
