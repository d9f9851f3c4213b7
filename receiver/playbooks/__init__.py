"""playbooks.yaml: from text to the frozen policy of `receiver.core.playbook`, every mistake at its line and column."""

from receiver.playbooks.actions import ActionFacts
from receiver.playbooks.load import check_files, load_policy
from receiver.playbooks.problems import Level, Place, PolicyError, Problem, errors_of, format_problems

__all__ = [
    "ActionFacts",
    "Level",
    "Place",
    "PolicyError",
    "Problem",
    "check_files",
    "errors_of",
    "format_problems",
    "load_policy",
]
