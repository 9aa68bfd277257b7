"""The overlays as kustomize renders them: what a cluster would get, with and without each component."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from house.source import ROOT
from manifests import Object, check, read, render

from mailweir.services.cli.worker import STAGES
from mailweir.services.settings import Settings

FOLDER = ROOT / "deploy/k8s"
OVERLAYS = ("dev", "prod")
COMPONENTS = sorted(path.name for path in (FOLDER / "components").iterdir())
POD = {"Deployment": ("template",), "CronJob": ("jobTemplate", "spec", "template")}


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    """Each overlay."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def rendered(overlay: str) -> list[Object]:
    """Its objects."""
    return render(FOLDER / overlay)


def _changed(to: Path, overlay: str = "prod", **keys: Any) -> list[Object]:
    """An overlay with more in its kustomization, rendered from a copy."""
    shutil.copytree(FOLDER, to, dirs_exist_ok=True)
    file = to / overlay / "kustomization.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | keys))
    return render(to / overlay)


def _pods(objects: list[Object]) -> dict[str, Object]:
    """Agent → the template of its pods."""
    found = {}
    for one in objects:
        if one["kind"] in POD:
            part = one["spec"]
            for step in POD[one["kind"]]:
                part = part[step]
            found[one["metadata"]["labels"]["app.kubernetes.io/component"]] = part
    return found


def _named(objects: list[Object], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def test_every_rendered_object_passes_its_schema(rendered: list[Object], overlay: str) -> None:
    """Strict, after labels, names and patches; all are in the namespace of the overlay, which is one of them."""
    [space] = _named(rendered, "Namespace")
    for one in rendered:
        check(one)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == space
    assert space == {"dev": "mailweir-dev", "prod": "mailweir"}[overlay]


def test_every_agent_has_its_pods_and_they_take_the_settings_of_the_overlay(rendered: list[Object]) -> None:
    """No agent is left out; each reads the one ConfigMap, whose name changes with its content, and is labelled in full."""
    [settings] = _named(rendered, "ConfigMap")
    assert settings != "mailweir"
    pods = _pods(rendered)
    assert pods.keys() == STAGES.keys()
    for agent, pod in pods.items():
        [container] = pod["spec"]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": settings}}]
        assert pod["metadata"]["labels"] == {
            "app.kubernetes.io/name": "mailweir",
            "app.kubernetes.io/component": agent,
            "app.kubernetes.io/part-of": "mailweir",
            "app.kubernetes.io/version": "0.1.0",
        }
        assert pod["spec"]["serviceAccountName"] in _named(rendered, "ServiceAccount")


def test_the_namespace_takes_only_pods_that_may_do_nothing(rendered: list[Object]) -> None:
    """Kubernetes' own strictest profile is enforced there, and each pod has what the profile asks for."""
    [space] = _named(rendered, "Namespace").values()
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in _pods(rendered).values():
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys()
        [container] = pod["spec"]["containers"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not any("hostPath" in volume for volume in pod["spec"]["volumes"])


def test_files_that_settings_name_are_mounted(rendered: list[Object]) -> None:
    """Authority, keys, registry, ledger: each lies below a mount of that container."""
    [shared] = _named(rendered, "ConfigMap").values()
    for agent, pod in _pods(rendered).items():
        [container] = pod["spec"]["containers"]
        values = shared["data"] | {item["name"]: item.get("value", "x") for item in container["env"]}
        places = [Path(value) for name, value in values.items() if value.startswith("/") and name != "HOME"]
        mounts = [Path(mount["mountPath"]) for mount in container["volumeMounts"]]
        assert places
        assert all(any(place.is_relative_to(mount) for mount in mounts) for place in places), (agent, places)
        Settings(
            **{name.removeprefix("MAILWEIR_").lower(): v for name, v in values.items() if name.startswith("MAILWEIR_")}
        )


def test_what_scales_by_lag_has_no_number_of_its_own() -> None:
    """KEDA and the manifest would undo each other at every apply; the others keep theirs, and a budget of disruption."""
    objects = render(FOLDER / "prod")
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in _named(objects, "ScaledObject").values()}
    deployments = _named(objects, "Deployment")
    assert scaled == {name for name, one in deployments.items() if "replicas" not in one["spec"]}
    assert scaled < deployments.keys()


def test_images_are_named_for_every_agent_and_none_for_nobody(tmp_path: Path) -> None:
    """In prod no image comes from a default registry; a name that no pod uses would change nothing, and there is none."""
    images = {pod["spec"]["containers"][0]["image"] for pod in _pods(render(FOLDER / "prod")).values()}
    known = read(FOLDER / "prod/kustomization.yaml")[0]["images"]
    assert images == {f"{one['newName']}:{one['newTag']}" for one in known}
    digest = f"sha256:{'0' * 64}"
    pinned = [{"name": one["name"], "newName": one["newName"], "digest": digest} for one in known]
    changed = _pods(_changed(tmp_path, images=pinned)).values()
    assert all(pod["spec"]["containers"][0]["image"].endswith(f"@{digest}") for pod in changed)


def test_a_patch_without_a_target_is_refused(tmp_path: Path) -> None:
    """Ours name what they change in themselves: kustomize stops where that is gone. With a selector it would go on in silence."""
    files = [*FOLDER.glob("*/kustomization.yaml"), *FOLDER.glob("components/*/kustomization.yaml")]
    patches = [patch for file in files for patch in read(file)[0].get("patches", [])]
    assert patches
    assert all(patch.keys() == {"patch"} for patch in patches)
    lost = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: mailweir-nobody}, spec: {paused: true}}"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        _changed(tmp_path, patches=[{"patch": lost}])
    assert "no matches for Id" in caught.value.stderr
    with pytest.raises(subprocess.CalledProcessError):
        _changed(tmp_path, replicas=[{"name": "mailweir-nobody", "count": 3}])


def test_no_manifest_lies_there_unused() -> None:
    """Every file below deploy/k8s is a resource of the kustomization beside it, or that itself."""
    for file in [*FOLDER.glob("*/kustomization.yaml"), *FOLDER.glob("components/*/kustomization.yaml")]:
        beside = {path.name for path in file.parent.glob("*.yaml")} - {file.name}
        assert {name for name in read(file)[0].get("resources", []) if name != "../base"} == beside


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_adds_what_it_says_and_nothing_breaks(tmp_path: Path, component: str) -> None:
    """Each passes the schemas with prod; way out, place of the ledger and card are where they should be."""
    before = render(FOLDER / "prod")
    after = _changed(tmp_path, components=[f"../components/{component}"])
    for one in after:
        check(one)
    assert after != before
    policies = _named(after, "NetworkPolicy").keys() - _named(before, "NetworkPolicy").keys()
    trainer = _pods(after)["trainer"]["spec"]["containers"][0]
    assert policies == (set() if component == "gpu" else {f"mailweir-{component}"})
    assert ("nvidia.com/gpu" in trainer["resources"]["limits"]) == (component == "gpu")
    for agent in ("feedback", "retrain", "trainer"):
        spec = _pods(after)[agent]["spec"]
        env = {item["name"]: item.get("value", "") for item in spec["containers"][0]["env"]}
        claimed = "ledger" in {volume["name"] for volume in spec["volumes"]}
        mounted = "ledger" in {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        assert (
            env["MAILWEIR_LEDGER"].startswith("s3://")
            == (component == "object-store")
            == (not claimed)
            == (not mounted)
        )


def test_a_changed_setting_is_a_rollout(tmp_path: Path) -> None:
    """The ConfigMap gets another name, and with it every Deployment another template."""
    before = _named(render(FOLDER / "prod"), "ConfigMap").keys()
    more = [{"name": "mailweir", "behavior": "merge", "literals": ["MAILWEIR_BATCH_MAILS=32"]}]
    after = _named(_changed(tmp_path, configMapGenerator=more), "ConfigMap").keys()
    assert len(before) == len(after) == 1
    assert before != after
