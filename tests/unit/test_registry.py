"""The registry: immutable versions, and one pointer that two processes cannot both win."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import champions, promote, stocked, version_of

from mailweir.models.registry import Registry
from mailweir.models.registry.durable import locked
from mailweir.models.registry.pointer import demoted_versions
from mailweir.models.runtime.integrity import MANIFEST
from mailweir.schemas.errors import BundleError, ChampionChanged, RegistryError
from mailweir.schemas.events import ModelRef

RACE = """
import sys
from pathlib import Path
from mailweir.models.registry import Registry
from mailweir.schemas.errors import ChampionChanged
from mailweir.schemas.events import ModelRef
root, me, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
registry, won, lost = Registry(root), 0, 0
print("ready", flush=True)
sys.stdin.readline()
while won < rounds:
    champion = registry.champion("email").model.version
    other = "b" if champion == "a" else "a"
    try:
        registry.promote(ModelRef(name="email", version=other), expected=champion, cause=f"{me} {won}", by=me)
        won += 1
    except ChampionChanged:
        lost += 1
print(won, lost)
"""


def test_a_bundle_is_added_once_and_never_changed(tmp_path: Path, tiny: Path) -> None:
    """The same again is told as such; another one under the same version is refused; files are read-only."""
    registry = Registry(tmp_path / "registry")
    made = version_of(tiny, tmp_path, "1.a")
    (made / "notes.txt").write_text("not in the manifest")
    entry, new = registry.add(made)
    assert (new, entry.model) == (True, ModelRef(name="email", version="1.a"))
    assert registry.add(made)[1] is False
    assert sorted(path.name for path in entry.folder.iterdir()) == sorted([*entry.trusted.manifest.files, MANIFEST])
    assert {path.stat().st_mode & 0o777 for path in entry.folder.iterdir()} == {0o444}
    other = version_of(tiny, tmp_path / "other", "1.a", base="another")
    with pytest.raises(RegistryError, match="is there already with another manifest"):
        registry.add(other)
    assert (registry.names(), registry.versions("email")) == (["email"], ["1.a"])
    assert [path.name for path in (tmp_path / "registry" / "email").iterdir()] == ["1.a"]


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "MODEL_CARD.md"])
def test_a_broken_bundle_is_not_taken_in(tmp_path: Path, tiny: Path, file: str) -> None:
    """The file is named, and nothing is left of it in the registry."""
    made = version_of(tiny, tmp_path, "1.a")
    (made / file).write_bytes((made / file).read_bytes() + b" ")
    registry = Registry(tmp_path / "registry")
    with pytest.raises(BundleError, match=f"{made / file} is not the file"):
        registry.add(made)
    assert registry.names() == []


def test_a_bundle_that_does_not_load_is_not_taken_in(tmp_path: Path, tiny: Path) -> None:
    """Its hashes are right, its graph is none."""
    from mailweir.models.runtime.integrity import describe_file

    made = version_of(tiny, tmp_path, "1.a")
    (made / "model.onnx").write_bytes(b"no graph")
    manifest = json.loads((made / MANIFEST).read_bytes())
    manifest["files"]["model.onnx"] = describe_file(made / "model.onnx").model_dump()
    (made / MANIFEST).write_text(json.dumps(manifest))
    registry = Registry(tmp_path / "registry")
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded"):
        registry.add(made)
    assert list((tmp_path / "registry" / "email").iterdir()) == []


@pytest.mark.parametrize("name", ["../outside", "folder/file", MANIFEST, "signature.json"])
def test_a_manifest_cannot_name_files_elsewhere(tmp_path: Path, tiny: Path, name: str) -> None:
    """They would be read and copied from anywhere, or stand in the place of the signature."""
    files = {name: {"sha256": "0" * 64, "size": 1}}
    made = version_of(tiny, tmp_path, "1.a", files=files)
    with pytest.raises(BundleError, match="which is no file of a bundle"):
        Registry(tmp_path / "registry").add(made)


@pytest.mark.parametrize("version", ["../1", ".hidden", "a/b", ""])
def test_a_version_is_a_plain_name(tmp_path: Path, version: str) -> None:
    """It is a folder of the registry, nothing above or beside it."""
    with pytest.raises(RegistryError, match="is no name of a model or version"):
        Registry(tmp_path).entry("email", version)
    with pytest.raises(RegistryError, match="is no name of a model or version"):
        Registry(tmp_path).champion(version)


def test_a_version_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, tiny: Path) -> None:
    """By name."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    with pytest.raises(RegistryError, match=r"has no version 1\.c of email; there are: 1\.a, 1\.b$"):
        registry.verify("email", "1.c")


def test_a_registry_is_a_local_folder_that_is_there(tmp_path: Path) -> None:
    """Else it says which variable names it."""
    with pytest.raises(RegistryError, match="MAILWEIR_REGISTRY names the folder"):
        Registry(tmp_path / "none").champion("email")
    for away in (Path("s3://models"), Path("https://host/models")):  # a path has one slash there
        with pytest.raises(RegistryError, match="is no local folder"):
            Registry(away)


def test_a_promotion_names_the_champion_that_it_replaces(tmp_path: Path, tiny: Path) -> None:
    """The second of two that expected the same one loses, is told who won, and nothing changes."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b", "1.c")
    a, b, c = (ModelRef(name="email", version=version) for version in ("1.a", "1.b", "1.c"))
    assert registry.champion("email") is None
    first = registry.promote(a, expected=None, cause="the first", by="ann")
    assert (first.number, first.previous) == (1, None)
    second = registry.promote(b, expected="1.a", cause="better on Turkish", by="ann")
    assert second == registry.champion("email")
    assert (second.model, second.previous) == (b, a)
    with pytest.raises(
        ChampionChanged, match=r"the champion of email is 1\.b, not 1\.a: ann promoted it at .*\(better"
    ):
        registry.promote(c, expected="1.a", cause="me too", by="bob")
    with pytest.raises(ChampionChanged, match="which was expected to have none"):
        registry.promote(c, expected=None, cause="me too", by="bob")
    with pytest.raises(RegistryError, match=r"1\.b is the champion of email already"):
        registry.promote(b, expected="1.b", cause="again", by="bob")
    assert registry.champion("email") == second
    assert champions(registry) == [(1, "promoted", "1.a"), (2, "promoted", "1.b")]


def test_two_processes_that_race_never_both_win(tmp_path: Path, tiny: Path) -> None:
    """Each promotes the other version of the one it sees, as fast as it can: every promotion follows the one before it."""
    registry = stocked(tmp_path, tiny, "a", "b")
    promote(registry, "a")
    command = [sys.executable, "-c", RACE, str(registry.root)]
    racers = [
        subprocess.Popen([*command, who, "25"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for who in ("ann", "bob")
    ]
    assert [racer.stdout.readline() for racer in racers if racer.stdout] == ["ready\n", "ready\n"]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("\n")
        racer.stdin.flush()
    outcomes = [[int(figure) for figure in racer.communicate(timeout=120)[0].split()] for racer in racers]
    history = registry.history("email")
    assert [won for won, _ in outcomes] == [25, 25]
    assert [entry.number for entry in history] == list(range(1, 52))
    assert all(after.previous == before.model for before, after in itertools.pairwise(history))
    assert {entry.by for entry in history[1:]} == {"ann", "bob"}
    assert registry.champion("email") == history[-1]


def test_a_lock_that_is_held_is_named_and_goes_with_its_holder(tmp_path: Path) -> None:
    """Nobody waits for ever, and a killed process leaves no lock behind."""
    path = tmp_path / ".lock"
    hold = f"import fcntl, time; f = open({str(path)!r}, 'ab'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(RegistryError, match=r"\.lock is held by another process"), locked(path, 0.1):
            pass
        holder.kill()
        holder.wait(60)
        with locked(path, 5):
            pass


def test_a_rollback_goes_back_one_champion_each_time(tmp_path: Path, tiny: Path) -> None:
    """Twice is two back, not to the one that was just demoted; then there is none left."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b", "1.c")
    for version in ("1.a", "1.b", "1.c"):
        promote(registry, version)
    back = registry.rollback("email", expected="1.c", cause="spam got through", by="bob")
    assert (back.action, back.model.version, back.cause, back.by) == ("rolled_back", "1.b", "spam got through", "bob")
    with pytest.raises(ChampionChanged, match=r"bob rolled back to it at"):
        registry.rollback("email", expected="1.c", cause="again", by="ann")
    assert registry.rollback("email", expected="1.b", cause="still", by="bob").model.version == "1.a"
    with pytest.raises(RegistryError, match=r"email had no champion before 1\.a"):
        registry.rollback("email", expected="1.a", cause="still", by="bob")
    promote(registry, "1.c")
    assert registry.rollback("email", expected="1.c", cause="no", by="bob").model.version == "1.a"
    assert [version for *_, version in champions(registry)] == ["1.a", "1.b", "1.c", "1.b", "1.a", "1.c", "1.a"]


def test_a_demoted_version_is_one_until_somebody_promotes_it(tmp_path: Path, tiny: Path) -> None:
    """The loop leaves it alone, a person may decide otherwise."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    for version in ("1.a", "1.b"):
        promote(registry, version)
    registry.rollback("email", expected="1.b", cause="spam got through", by="bob")
    assert demoted_versions(registry.history("email")) == {"1.b"}
    promote(registry, "1.b")
    assert demoted_versions(registry.history("email")) == frozenset()


def test_a_broken_version_becomes_no_champion(tmp_path: Path, tiny: Path) -> None:
    """Neither by promotion nor by rollback; the file is named and the pointer stays."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    promote(registry, "1.b")
    broken = registry.root / "email" / "1.a" / "model.onnx"
    broken.chmod(0o644)
    broken.write_bytes(b"")
    with pytest.raises(BundleError, match=str(broken)):
        registry.rollback("email", expected="1.b", cause="x", by="ann")
    with pytest.raises(BundleError, match=str(broken)):
        promote(registry, "1.a")
    assert [version for *_, version in champions(registry)] == ["1.a", "1.b"]


def test_a_folder_under_a_wrong_name_is_refused(tmp_path: Path, tiny: Path) -> None:
    """Somebody moved a version by hand."""
    registry = stocked(tmp_path, tiny, "1.a")
    (registry.root / "email" / "1.a").rename(registry.root / "email" / "1.b")
    with pytest.raises(RegistryError, match=r"is that of email 1\.a: a version lies under its own name"):
        promote(registry, "1.b")
