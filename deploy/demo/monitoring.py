"""The demo's Prometheus and Alertmanager configurations, from the templates in monitoring/demo/."""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Final

TEMPLATES: Final = Path(__file__).parents[2] / "monitoring" / "demo"

RULES: Final = TEMPLATES / "rules.yml"


def containers(engine: str) -> Mapping[str, Any]:
    """Return how the service's containers are found: by the engine itself, so that clones are found too.

    Args:
        engine: the URL of its socket.
    """
    wanted = [{"name": "label", "values": ["com.docker.compose.service=smartresume-api"]}]
    return {"docker_sd_configs": [{"host": engine, "refresh_interval": "1s", "port": 8000, "filters": wanted}]}


def processes(file: Path) -> Mapping[str, Any]:
    """Return how the service's processes are found: in a file that lists their addresses."""
    return {"file_sd_configs": [{"files": [str(file)], "refresh_interval": "1s"}]}


def prometheus_config(
    discovery: Mapping[str, Any], *, alertmanager: str, proxy: str, remediator: str, rules: Path = RULES
) -> str:
    """Return a prometheus.yml; the last three but the rules are addresses as `host:port`."""
    # JSON is YAML in one line: a mapping of one key fits where the template has its name.
    (key, value), *_ = discovery.items()
    return Template((TEMPLATES / "prometheus.yml").read_text()).substitute(
        rules=rules,
        alertmanager=alertmanager,
        proxy=proxy,
        remediator=remediator,
        discovery=f"{key}: {json.dumps(value)}",
    )


def alertmanager_config(webhook: str) -> str:
    """Return an alertmanager.yml whose receiver `remediator` is this webhook URL."""
    return Template((TEMPLATES / "alertmanager.yml").read_text()).substitute(webhook=json.dumps(webhook))
