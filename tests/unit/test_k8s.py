"""The Kubernetes manifests: strict against the schemas, and equal to what settings, command line and topics table say."""

from __future__ import annotations

import copy
import re

import pytest
import yaml
from house.source import ROOT
from manifests import REFUSED, Object, check, read
from prometheus.kubernetes import FILE, encode

from mailweir.schemas.topics import TOPICS
from mailweir.services.broker.users import USERS
from mailweir.services.cli.sizing import FIGURES
from mailweir.services.cli.worker import STAGES
from mailweir.services.settings import Settings
from mailweir.services.telemetry import Metrics

FOLDER = ROOT / "deploy/k8s"
AGENTS = sorted(STAGES.keys() - {"trainer"})  # the trainer's Jobs: tests/unit/test_trainer_job.py
LONGEST_WAY_OUT_S = 45  # README, "Stopping"

SHARED = dict(line.split("=", 1) for line in (FOLDER / "base/settings.env").read_text(encoding="utf-8").splitlines())

OBJECTS = [
    pytest.param(found, id=f"{path.parent.name}/{path.stem}-{found['kind']}-{number}")
    for path in sorted(FOLDER.glob("**/*.yaml"))
    if path.name != "kustomization.yaml"
    for number, found in enumerate(read(path))
]


@pytest.fixture(scope="module", params=AGENTS)
def agent(request: pytest.FixtureRequest) -> str:
    """Each agent that runs as a Deployment."""
    name: str = request.param
    return name


def _object(agent: str, kind: str) -> Object:
    [found] = [one for one in read(FOLDER / "base" / f"{agent}.yaml") if one["kind"] == kind]
    return found


def _pod(agent: str) -> tuple[Object, Object]:
    pod = _object(agent, "Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    return pod, container


def _volume(pod: Object, name: str) -> Object:
    [found] = [item for item in pod["volumes"] if item["name"] == name]
    return dict(found)


@pytest.mark.parametrize("found", OBJECTS)
def test_every_object_is_one_and_an_unknown_field_is_none(found: Object) -> None:
    """The schemas of Kubernetes, KEDA and the Prometheus operator take it; with a field that there is not they refuse it."""
    check(found)
    worse = copy.deepcopy(found)
    worse["spec" if "spec" in found else "metadata"]["replicass"] = 1
    with pytest.raises(REFUSED):
        check(worse)


def test_its_command_and_user_are_those_of_the_agent(agent: str) -> None:
    """`mailweir worker AGENT` under the Kafka user of that name, whose password comes by reference."""
    pod, container = _pod(agent)
    env = {item["name"]: item for item in container["env"]}
    assert container["command"] == ["mailweir", "worker", agent]
    assert env["MAILWEIR_KAFKA_USERNAME"]["value"] == agent
    assert agent in USERS
    assert any(agent in topic.readers for topic in TOPICS)
    assert env["MAILWEIR_KAFKA_PASSWORD"] == {
        "name": "MAILWEIR_KAFKA_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": f"mailweir-{agent}", "key": "password"}},
    }
    assert pod["serviceAccountName"] == _object(agent, "ServiceAccount")["metadata"]["name"]


def test_its_variables_are_settings_that_work_together(agent: str) -> None:
    """ConfigMap and container together are settings that take these values."""
    _, container = _pod(agent)
    values = SHARED | {item["name"]: item.get("value", "from-a-secret") for item in container["env"]}
    ours = {name.removeprefix("MAILWEIR_").lower(): v for name, v in values.items() if name.startswith("MAILWEIR_")}
    assert ours.keys() <= Settings.model_fields.keys()
    known = Settings(**ours)
    assert (known.kafka_security, known.metrics_port) == ("SASL_SSL", container["ports"][0]["containerPort"])
    assert container["envFrom"] == [{"configMapRef": {"name": "mailweir"}}]


def test_it_may_do_nothing_but_its_work(agent: str) -> None:
    """No root, no capabilities, no writable image, no token of the cluster."""
    pod, container = _pod(agent)
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
    safe = container["securityContext"]
    assert (safe["allowPrivilegeEscalation"], safe["readOnlyRootFilesystem"]) == (False, True)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert [item["name"] for item in container["volumeMounts"] if "emptyDir" in _volume(pod, item["name"])] == ["tmp"]
    assert safe["capabilities"] == {"drop": ["ALL"]}
    assert {item["name"] for item in container["volumeMounts"]} == {item["name"] for item in pod["volumes"]}


def test_it_asks_for_what_was_measured(agent: str) -> None:
    """The memory of SIZING.md with room to spare, and a limit above that; no limit of CPU, which only makes it late."""
    asked = _pod(agent)[1]["resources"]
    assert (asked["requests"].keys(), asked["limits"].keys()) == ({"cpu", "memory"}, {"memory"})
    request, limit = (_bytes(asked[kind]["memory"]) for kind in ("requests", "limits"))
    assert FIGURES[f"mb_{agent}"].value * 1e6 * 1.2 < request < limit


def _bytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 2**20, "Gi": 2**30}[quantity[-2:]]


def test_it_is_watched_and_ends_in_peace(agent: str) -> None:
    """Probes on the worker's own pages, more time than its longest way out takes, no restart in an outage of minutes."""
    pod, container = _pod(agent)
    paths = {probe: container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert paths == {"livenessProbe": "/live", "readinessProbe": "/ready"}
    assert pod["terminationGracePeriodSeconds"] > LONGEST_WAY_OUT_S
    assert len(pod["topologySpreadConstraints"]) == 2
    live = container["livenessProbe"]
    assert live["periodSeconds"] * live["failureThreshold"] >= 300
    # the parser, the model and the group: seconds (tests/kafka/test_image.py); a start that fails is no start that is slow
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] >= 60


def test_its_selectors_find_its_pods(agent: str) -> None:
    """Deployment, disruption budget and spread select the labels of the pods; one replica alone has no budget to disrupt."""
    spec = _object(agent, "Deployment")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    budgets = [one for one in read(FOLDER / f"base/{agent}.yaml") if one["kind"] == "PodDisruptionBudget"]
    assert labels["app.kubernetes.io/component"] == agent
    selectors = [spec, *(budget["spec"] for budget in budgets)]
    assert all(one["selector"] == {"matchLabels": labels} for one in selectors)
    assert all(
        s["labelSelector"]["matchLabels"] == labels for s in spec["template"]["spec"]["topologySpreadConstraints"]
    )
    assert len(budgets) == (spec["replicas"] > 1)


def test_workers_scale_by_the_age_of_the_mail_and_not_beyond_the_partitions() -> None:
    """KEDA asks for a metric that the workers have; no more workers than partitions."""
    metrics = {metric.name for metric in Metrics().registry.collect()}
    readers = {"ingest": "raw", "classify": "parsed"}
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    for one in read(FOLDER / "prod/scaling.yaml"):
        spec = one["spec"]
        name = spec["scaleTargetRef"]["name"].removeprefix("mailweir-")
        [trigger] = spec["triggers"]
        assert trigger["metadata"]["query"] == f'max(mailweir_lag_seconds{{namespace="mailweir", stage="{name}"}})'
        assert "mailweir_lag_seconds" in metrics
        assert spec["minReplicaCount"] <= spec["maxReplicaCount"] == partitions[readers[name]]


def test_the_operators_rules_are_those_of_the_folder() -> None:
    """Byte for byte what `make rules` writes, and the same groups."""
    assert FILE.read_text(encoding="utf-8") == encode()
    [found] = read(FILE)
    assert found["spec"] == yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_bytes())


def test_the_operators_job_is_the_one_that_rules_ask_for() -> None:
    """`up{job="mailweir"}` would be nobody's otherwise, and a missing job is an alert; its port and labels are the pods'."""
    [monitor] = [one["spec"] for one in read(FOLDER / "prod/monitoring.yaml")]
    [job] = set(re.findall(r'job="(\w+)"', (ROOT / "deploy/prometheus/rules.yaml").read_text()))
    [page] = monitor["podMetricsEndpoints"]
    for name in AGENTS:
        labels = _object(name, "Deployment")["spec"]["template"]["metadata"]["labels"]
        assert labels[monitor["jobLabel"]] == job
        assert monitor["selector"]["matchLabels"].items() <= labels.items()
        assert page["port"] in {port["name"] for port in _pod(name)[1]["ports"]}


def test_pods_speak_with_kafka_and_the_resolver_only() -> None:
    """Every pod of ours is under the policy; out go only the broker's port and DNS, in comes only who reads metrics."""
    [policy] = [one["spec"] for one in read(FOLDER / "base/network.yaml")]
    broker = int(SHARED["MAILWEIR_KAFKA_BOOTSTRAP"].rpartition(":")[2])
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, broker}
    assert all(rule["to"] for rule in policy["egress"])
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == ["metrics"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "mailweir"}
