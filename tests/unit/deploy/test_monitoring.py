"""The demo's monitoring files as templates."""

from pathlib import Path

from ruamel.yaml import YAML

from deploy.demo import monitoring

WEBHOOK = "http://127.0.0.1:9797/webhooks/alertmanager"


def test_prometheus_is_told_where_everything_is() -> None:
    text = monitoring.prometheus_config(
        monitoring.containers("unix:///run/x.sock"), alertmanager="a:1", proxy="p:2", remediator="r:3"
    )
    config = YAML(typ="safe").load(text)
    assert config["rule_files"] == [str(monitoring.RULES)]
    assert config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["a:1"]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs["smartresume-api"]["docker_sd_configs"][0]["host"] == "unix:///run/x.sock"
    assert jobs["remediator"]["static_configs"][0]["targets"] == ["r:3"]


def test_the_probe_job_doesn_t_look_like_an_instance_of_the_service() -> None:
    text = monitoring.prometheus_config(
        monitoring.processes(Path("f")), alertmanager="a:1", proxy="p:2", remediator="r:3"
    )
    jobs = {job["job_name"]: job for job in YAML(typ="safe").load(text)["scrape_configs"]}
    assert "service" not in jobs["smartresume-health"]["static_configs"][0]["labels"]


def test_the_webhook_gets_resolves_and_every_alert_and_people_are_still_paged() -> None:
    config = YAML(typ="safe").load(monitoring.alertmanager_config(WEBHOOK))
    (webhook,) = next(one for one in config["receivers"] if one["name"] == "remediator")["webhook_configs"]
    assert webhook == {"url": WEBHOOK, "send_resolved": True}
    route = next(one for one in config["route"]["routes"] if one["receiver"] == "remediator")
    assert route["continue"] is True
    assert config["route"]["routes"][-1] == {"receiver": "people"}
