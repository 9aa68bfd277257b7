"""The Kubernetes Jobs of the trainer say what the command line, the settings and the launcher say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from house.source import ROOT
from manifests import read

from mailweir.services.cli import app as command_line
from mailweir.services.cli.retrain_run import AGAIN
from mailweir.services.settings import Settings
from mailweir.services.trainer import launch

HOURS = 3_600


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    """What each run's Job is made from: a template that starts none by itself."""
    [cron] = [one for one in read(ROOT / "deploy/k8s/base/trainer.yaml") if one["kind"] == "CronJob"]
    assert cron["spec"]["suspend"] is True
    return dict(cron["spec"]["jobTemplate"])


@pytest.fixture(scope="module")
def pod(job: dict[str, Any]) -> dict[str, Any]:
    """What its pods are."""
    found: dict[str, Any] = job["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    """The one that trains."""
    [found] = pod["containers"]
    return dict(found)


def _parsed(words: list[str]) -> Any:
    """The context of the command that these words call; a wrong word or option raises."""
    command, path, context = typer.main.get_command(command_line.app), "mailweir", None
    while (below := getattr(command, "commands", None)) is not None:
        name, *words = words
        command, path = below[name], f"{path} {name}"
        context = command.make_context(path, list(words), resilient_parsing=bool(getattr(command, "commands", None)))
    return context


def test_its_command_is_one_of_ours(container: dict[str, Any]) -> None:
    """`mailweir retrain run --latest`, parsed by the command line itself; another option would be refused."""
    program, *words = container["command"]
    context = _parsed(words)
    assert (program, context.info_name, context.params["latest"]) == ("mailweir", "mailweir retrain run", True)
    with pytest.raises(Exception, match="No such option"):
        _parsed([*words, "--newest"])


def test_it_runs_what_the_launcher_runs(container: dict[str, Any]) -> None:
    """The same command, there with the id of a run."""
    assert list(launch.COMMAND[-2:]) == container["command"][1:3]


def test_a_pod_is_replaced_once_and_only_where_that_can_help(job: dict[str, Any], pod: dict[str, Any]) -> None:
    """Exit codes that are final end the Job; the one that asks to be called again does not; all of it ends before the run is given up."""
    spec = job["spec"]
    ends, drained = spec["podFailurePolicy"]["rules"]
    final = ends["onExitCodes"]["values"]
    assert (spec["backoffLimit"], pod["restartPolicy"], spec["podReplacementPolicy"]) == (1, "Never", "Failed")
    assert (drained["action"], drained["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (ends["action"], ends["onExitCodes"]["containerName"]) == ("FailJob", pod["containers"][0]["name"])
    assert (0 in final, AGAIN in final, final) == (False, False, [1, 2])
    assert 0 < spec["activeDeadlineSeconds"] <= Settings().retrain_timeout_hours * HOURS


def test_it_may_do_nothing_but_train(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """No root, no capabilities, no writable image, no token of the cluster, and limits of memory."""
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"] > 0) == (True, True)
    assert pod["automountServiceAccountToken"] is False
    safe = container["securityContext"]
    assert (safe["allowPrivilegeEscalation"], safe["readOnlyRootFilesystem"]) == (False, True)
    assert safe["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


def test_its_environment_names_settings_and_holds_no_secret(container: dict[str, Any]) -> None:
    """Every MAILWEIR_ variable is a setting; secret settings come by reference."""
    env = {item["name"]: item for item in container["env"]}
    ours = {name.removeprefix("MAILWEIR_").lower(): item for name, item in env.items() if name.startswith("MAILWEIR_")}
    assert ours.keys() <= Settings.model_fields.keys()
    assert "secretKeyRef" in ours["kafka_password"]["valueFrom"]
    assert "value" not in ours["kafka_password"]
    assert ours["kafka_username"]["value"] == launch.STAGE
    assert container["envFrom"]


def test_what_the_trainer_keeps_and_reads_lies_on_volumes(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """Run folder, registry, ledger and keys are each below a mount that there is a volume for; the first two may be written."""
    mounts = {item["mountPath"]: item for item in container["volumeMounts"]}
    assert {item["name"] for item in mounts.values()} == {item["name"] for item in pod["volumes"]}
    env = {item["name"]: item.get("value", "") for item in container["env"]}
    places = {
        name: Path(env[f"MAILWEIR_{name}"])
        for name in ("TRAINER_DIR", "REGISTRY", "LEDGER", "TRAINER_KEY", "MODELS_PUBLIC_KEY")
    }
    for name, place in places.items():
        mount = mounts.get(str(place)) or mounts[str(place.parent)]
        assert bool(mount.get("readOnly")) == (name not in {"TRAINER_DIR", "REGISTRY"}), name
    assert not mounts["/tmp"].get("readOnly")


def test_its_pods_are_under_the_policy_and_in_sight_of_prometheus(job: dict[str, Any], pod: dict[str, Any]) -> None:
    """They carry the labels that network policy and PodMonitor select, and the port that is scraped."""
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == "mailweir"
    assert [port["name"] for port in pod["containers"][0]["ports"]] == ["metrics"]
