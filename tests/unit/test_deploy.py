"""Images and compose file say what the command line, the settings, the agents and the topics table say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import typer
import yaml
from house.source import ROOT

from mailweir.services.cli.app import app
from mailweir.services.cli.worker import STAGES
from mailweir.services.settings import Settings

COMPOSE = ROOT / "deploy/compose.yaml"
IMAGES = [ROOT / "deploy/docker/Dockerfile", ROOT / "deploy/docker/trainer.Dockerfile"]
LONGEST_WAY_OUT_S = 45  # README, "Stopping"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, as compose reads it."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run our command."""
    services: dict[str, dict[str, Any]] = compose["services"]
    return {n: one for n, one in services.items() if one["image"].startswith("mailweir") and "command" in one}


def _refuse(words: list[str]) -> None:
    """Parse as the command line does; a wrong command or option raises."""
    command: Any = typer.main.get_command(app)
    while commands := getattr(command, "commands", None):
        name, *words = words
        command = commands[name]
    command.make_context("mailweir", words)


def test_the_compose_file_is_one() -> None:
    """The specification's own types take it, and refuse a key that there is not."""
    resolved = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))  # without anchors, which compose resolves as well
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(resolved))
    resolved["services"]["ingest"]["retsart"] = "no"
    with pytest.raises(ValueError, match="retsart"):
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(resolved))


def test_every_agent_is_a_service_of_its_own(ours: dict[str, dict[str, Any]]) -> None:
    """One service an agent, its command names it, and topics are there before it starts."""
    agents = {name: one for name, one in ours.items() if one["command"][0] == "worker"}
    assert agents.keys() == STAGES.keys()
    for name, one in agents.items():
        assert one["command"] == ["worker", name]
        assert one["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    assert ours["topics"]["command"] == ["topics", "apply"]


def test_what_compose_needs_is_set_before_its_first_command() -> None:
    """The comment at the top is typed as it stands: a variable that has no default is exported there."""
    text = (ROOT / "deploy/compose.yaml").read_text(encoding="utf-8")
    needed = re.findall(r"\$\{([A-Z_]+):\?", text)
    before = text.partition("docker compose ")[0]
    assert needed
    assert [name for name in needed if f"export {name}=" not in before] == []


def test_every_command_is_one_of_ours(ours: dict[str, dict[str, Any]]) -> None:
    """The command line parses each; another would be refused."""
    for one in ours.values():
        _refuse(one["command"])
    with pytest.raises(KeyError):
        _refuse(["topics", "apple"])


def test_every_variable_is_a_setting(ours: dict[str, dict[str, Any]]) -> None:
    """Each MAILWEIR_ variable is a setting that takes its value; every worker has an instance name of its own."""
    for one in ours.values():
        values = {name.removeprefix("MAILWEIR_").lower(): value for name, value in one["environment"].items()}
        assert values.keys() <= Settings.model_fields.keys()
        Settings(**values)
    names = [one["environment"]["MAILWEIR_INSTANCE"] for name, one in ours.items() if name != "topics"]
    assert len(set(names)) == len(STAGES)


def test_only_the_table_makes_topics_and_workers_find_the_broker(compose: dict[str, Any]) -> None:
    """Auto-creation is off; the workers' bootstrap address is one that the broker advertises."""
    kafka = compose["services"]["kafka"]["environment"]
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    ours = compose["services"]["ingest"]["environment"]["MAILWEIR_KAFKA_BOOTSTRAP"]
    assert f"CLIENT://{ours}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")
    version = re.search(r"<kafka\.version>(.+?)<|<version>(4\..+?)<", (ROOT / "deploy/kafka/pom.xml").read_text())
    assert version
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{version[1] or version[2]}"


def test_workers_may_do_little_and_end_in_peace(ours: dict[str, dict[str, Any]]) -> None:
    """Read-only, no capabilities, a limit of memory, and more time to end than the longest way out takes."""
    for one in ours.values():
        assert (one["read_only"], one["cap_drop"], "mem_limit" in one) == (True, ["ALL"], True)
        assert int(one["stop_grace_period"].removesuffix("s")) > LONGEST_WAY_OUT_S


def test_others_may_do_little_too_and_are_watched(compose: dict[str, Any]) -> None:
    """Broker, Prometheus and Grafana have no capabilities, gain no privileges, listen on loopback only, and have a health check."""
    for name in ("kafka", "prometheus", "grafana"):
        one = compose["services"][name]
        assert (one["cap_drop"], one["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert all(port.startswith("127.0.0.1:") for port in one["ports"])
        assert one["healthcheck"]["test"][0] == "CMD"


def test_the_pages_that_panels_link_to_are_mounted_where_grafana_serves_them(compose: dict[str, Any]) -> None:
    """A link to a runbook opens it; data source and dashboards are where provisioning says."""
    mounts = dict(mount.split(":")[:2] for mount in compose["services"]["grafana"]["volumes"])
    assert mounts["./runbooks"] == "/usr/share/grafana/public/runbooks"
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/mailweir.yaml").read_text())["providers"][
        0
    ]
    assert mounts["../services/dashboard/boards"] == provider["options"]["path"]
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ][0]
    assert source["url"] == "http://prometheus:9090"


def test_prometheus_asks_every_agent(compose: dict[str, Any]) -> None:
    """Those that always run are listed, on the port that the settings have; those of a profile are found while they are there."""
    port = Settings().metrics_port
    workers, runs = yaml.safe_load(compose["configs"]["prometheus"]["content"])["scrape_configs"]
    [listed] = workers["static_configs"]
    sometimes = {stage for stage in STAGES if "profiles" in compose["services"][stage]}
    assert set(listed["targets"]) == {f"{stage}:{port}" for stage in STAGES.keys() - sometimes}
    [found] = workers["dns_sd_configs"]
    assert (set(found["names"]), found["type"], found["port"]) == (sometimes, "A", port)
    [run] = runs["dns_sd_configs"]
    assert (set(run["names"]), run["port"]) == ({"trainer"}, port + 1)  # the next free one of the same container


def test_composes_prometheus_is_that_of_the_folder(compose: dict[str, Any], tmp_path: Path) -> None:
    """The same but for how workers are found; promtool accepts it, and each series says which environment it is of."""
    content = compose["configs"]["prometheus"]["content"]
    folder = ROOT / "deploy/prometheus"
    (tmp_path / "prometheus.yaml").write_text(content)
    (tmp_path / "rules.yaml").write_bytes((folder / "rules.yaml").read_bytes())
    done = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yaml"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    here, there = yaml.safe_load(content), yaml.safe_load((folder / "prometheus.yaml").read_bytes())
    jobs = [{job["job_name"] for job in one.pop("scrape_configs")} for one in (here, there)]
    assert (here, jobs[0]) == (there, jobs[1])
    for job in yaml.safe_load(content)["scrape_configs"]:
        assert job["relabel_configs"] == [{"target_label": "environment", "replacement": "compose"}]


def test_images_and_volumes_that_are_named_are_there(compose: dict[str, Any]) -> None:
    """Dockerfiles, named volumes, and every mounted file of a folder that the checkout has; every image has a version."""
    for one in compose["services"].values():
        assert re.search(r":v?\d", one["image"])
        assert "build" not in one or (ROOT / one["build"]["dockerfile"]).is_file()
        for source in (mount.partition(":")[0] for mount in one.get("volumes", [])):
            if source.startswith("."):
                path = COMPOSE.parent / source
                folder = COMPOSE.parent / Path(source).parts[0]
                assert path.exists() or not folder.exists(), source
            else:
                assert source in compose["volumes"]


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_images_pass_the_linter(image: Path) -> None:
    """Hadolint has nothing to say, and would."""
    linter = str(Path(sys.executable).with_name("hadolint"))
    done = subprocess.run([linter, str(image)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    worse = image.read_text().replace(" AS build", ":latest AS build").replace(":3.11.15-slim-bookworm", "")
    assert subprocess.run([linter, "-"], input=worse, capture_output=True, text=True, check=False).returncode == 1


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_images_are_not_root_pinned_and_watched(image: Path) -> None:
    """A numbered user, exact Python, exact packages, /live as health, our settings only, and what is copied is not ignored."""
    text = image.read_text(encoding="utf-8")
    assert re.findall(r"^USER (\d+):\d+$", text, re.MULTILINE) == ["10001"]
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.11.15-slim-bookworm"}
    assert "-c constraints.txt" in text
    assert f"127.0.0.1:{Settings().metrics_port}/live" in text
    variables = {name.lower() for name in re.findall(r"MAILWEIR_(\w+)=", text.partition("\nFROM")[2])}
    assert variables
    assert variables <= Settings.model_fields.keys()
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = " ".join(re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE)).split()
    assert {Path(name).parts[0] for name in copied} <= sent
    [(entry, command)] = re.findall(r'ENTRYPOINT \["(\w+)"\]\nCMD \[(.+)\]', text)
    assert entry == "mailweir"
    _refuse(re.findall(r'"(\w+)"', command))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("image", "extras"), [("Dockerfile", ""), ("Dockerfile", "[feedback]"), ("trainer.Dockerfile", "")]
)
def test_the_images_steps_install_what_runs(image: str, extras: str) -> None:
    """The Dockerfile's own steps in a clean folder: the command loads what it needs, and torch is in the trainer's alone."""
    steps = [ROOT / "deploy/docker/prove.sh", image]
    done = subprocess.run(steps, env=os.environ | {"EXTRAS": extras}, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "installed" in done.stdout
