"""Playbooks as JSON and back; the code is pure and stands in the core, where the store may use it too."""

from receiver.core.stored import playbook_from_json, playbook_to_json, playbook_version, policy_version

__all__ = ["playbook_from_json", "playbook_to_json", "playbook_version", "policy_version"]
