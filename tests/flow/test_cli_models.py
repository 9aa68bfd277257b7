"""`mailweir models` as a person and as a script uses it: keys, versions, promotion, rollback, differences."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from bundles import promote, stocked, version_of
from command import NOWHERE, Ran, mailweir

from mailweir.models.registry import Registry
from mailweir.schemas.events import Alternative, Decision, HeadDecision, ModelRef, NextAction, TaxonomyRef
from mailweir.services.cli.models_diff import Change, changes

MAIL = {
    "subject": "Invoice 17",
    "from": "a@example.org",
    "to": ["b@example.com"],
    "body": "Please pay invoice 17 today.",
}


def _models(tmp_path: Path, *arguments: object, **environment: str) -> Ran:
    return mailweir("models", *arguments, registry=str(tmp_path / "registry"), **environment)


def _add(tmp_path: Path, tiny: Path, *versions: str) -> None:
    for version in versions:
        done = _models(tmp_path, "add", version_of(tiny, tmp_path, version))
        assert done.code == 0, done.err


def test_from_a_key_to_a_rollback(tmp_path: Path, tiny: Path) -> None:
    """What a person does, in order, and what a script reads of it."""
    key = tmp_path / "key"
    done = mailweir("models", "keygen", key)
    assert (done.code, done.err) == (0, "")
    assert key.read_text().splitlines()[1] not in done.out
    assert str(tmp_path / "key.pub") in done.out
    signed = {"models_public_key": str(tmp_path / "key.pub")}
    for version in ("1.a", "1.b"):
        [added] = _models(tmp_path, "add", version_of(tiny, tmp_path, version), "--key", key, "--json").rows()
        assert (added["version"], added["new"], len(added["signed_by"])) == (version, True, 16)
    done = _models(tmp_path, "promote", "1.a", "--expect", "none", "--why", "the first", "--by", "ann", **signed)
    assert (done.code, done.out) == (0, "promoted email 1.a (number 1)\n")
    [made] = _models(tmp_path, "promote", "1.b", "--why", "better  on\nTurkish", "--json", **signed).rows()
    assert (made["model"]["version"], made["previous"]["version"], made["cause"]) == ("1.b", "1.a", "better on Turkish")
    assert made["by"]
    listed = _models(tmp_path, "list", "--json").rows()
    assert [(row["version"], row["champion"]) for row in listed] == [("1.a", False), ("1.b", True)]
    assert "champion" in next(line for line in _models(tmp_path, "list").out.splitlines() if "1.b" in line)
    lost = _models(tmp_path, "rollback", "--expect", "1.a", "--why", "late")
    assert lost.code == 1
    assert "the champion of email is 1.b, not 1.a" in lost.err
    done = _models(tmp_path, "rollback", "--why", "spam got through", **signed)
    assert (done.code, done.out) == (0, "rolled back to email 1.a in place of 1.b (number 3)\n")
    [shown] = _models(tmp_path, "show", "--json").rows()
    assert (shown["version"], [entry["action"] for entry in shown["history"]]) == (
        "1.a",
        ["promoted", "promoted", "rolled_back"],
    )
    table = _models(tmp_path, "show", "1.b").out
    assert "spam got through" in table
    assert "replaced" in table
    assert _models(tmp_path, "verify", **signed).code == 0


def test_verify_names_the_file(tmp_path: Path, tiny: Path) -> None:
    """1 and one line; of a folder as well as of a version."""
    folder = tmp_path / "bundle"
    shutil.copytree(tiny, folder)
    done = mailweir("models", "verify", folder)
    assert (done.code, "is whole" in done.out) == (0, True)
    (folder / "tokenizer.json").write_bytes(b"{}")
    done = mailweir("models", "verify", folder)
    assert done.code == 1
    assert f"{folder}/tokenizer.json is not the file that manifest.json describes" in done.err
    done = mailweir("models", "add", folder, "--registry", tmp_path / "registry")
    assert done.code == 2
    assert "tokenizer.json" in done.err


def test_a_broken_version_does_not_hide_the_others(tmp_path: Path, tiny: Path) -> None:
    """It is named on standard error, exit code 1."""
    _add(tmp_path, tiny, "1.a", "1.b")
    broken = tmp_path / "registry" / "email" / "1.a" / "manifest.json"
    broken.chmod(0o644)
    broken.write_text("{")
    done = _models(tmp_path, "list", "--json")
    assert (done.code, [row["version"] for row in done.rows()]) == (1, ["1.b"])
    assert str(broken) in done.err


@pytest.mark.parametrize("pointer", ["champion.json", "shadow.json"])
def test_a_spoilt_pointer_does_not_hide_the_versions(tmp_path: Path, tiny: Path, pointer: str) -> None:
    """All models and versions are listed, the pointer is named on standard error, exit code 1."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    registry.set_shadow(ModelRef(name="email", version="1.b"), share=0.1, by="ann")
    spoilt = registry.root / "email" / pointer
    spoilt.write_text("{")
    done = _models(tmp_path, "list", "--json")
    assert (done.code, [row["version"] for row in done.rows()]) == (1, ["1.a", "1.b"])
    assert [row["champion"] for row in done.rows()] == [pointer != "champion.json", False]
    assert [row["shadow"] for row in done.rows()] == [None, 0.1 if pointer == "champion.json" else None]
    assert f"{spoilt} is no pointer to a " in done.err
    assert "Traceback" not in done.err
    table = _models(tmp_path, "list")
    assert (table.code, "1.a" in table.out, "1.b" in table.out) == (1, True, True)


def test_a_version_is_shown_though_the_shadow_cannot_be_read(tmp_path: Path, tiny: Path) -> None:
    """Shown whole, and the pointer is named, exit code 1."""
    registry = stocked(tmp_path, tiny, "1.a")
    promote(registry, "1.a")
    (registry.root / "email" / "shadow.json").write_text("{")
    done = _models(tmp_path, "show", "--json")
    assert (done.code, done.rows()[0]["champion"], len(done.rows()[0]["history"])) == (1, True, 1)
    assert "shadow.json is no pointer to a shadow" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show"], "email has no champion"),
        (["show", "1.z"], "has no version 1.z of email; there are: 1.a"),
        (["promote", "1.z", "--why", "x"], "has no version 1.z of email; there are: 1.a"),
        (["promote", "1.a", "--why", " "], "--why is empty"),
        (["rollback", "--why", "x"], "email has no champion"),
        (["add", "nowhere"], "is no bundle: it has no manifest.json"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_told_in_one_line(tmp_path: Path, tiny: Path, arguments: list[str], said: str) -> None:
    """With the remedy or what there is, and exit code 2."""
    _add(tmp_path, tiny, "1.a")
    done = _models(tmp_path, *arguments)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert said in done.err


def test_without_a_registry_the_variable_is_named() -> None:
    """Nothing is guessed."""
    done = mailweir("models", "list")
    assert (done.code, done.err) == (
        2,
        "mailweir: which registry? Set MAILWEIR_REGISTRY to its folder, or give --registry DIR\n",
    )


def test_a_promotion_that_cannot_be_announced_is_done(tmp_path: Path, tiny: Path) -> None:
    """The pointer is the truth: 1, and it says both."""
    _add(tmp_path, tiny, "1.a")
    done = _models(tmp_path, "promote", "1.a", "--why", "x", kafka_bootstrap=NOWHERE)
    assert done.code == 1
    assert "done, but mail.models was not told" in done.err
    champion = Registry(tmp_path / "registry").champion("email")
    assert champion
    assert champion.model.version == "1.a"


def test_a_shadow_is_set_shown_and_ended(tmp_path: Path, tiny: Path) -> None:
    """The registry has a pointer, list and show tell of it, and --off takes it away; a share of none is refused."""
    promote(stocked(tmp_path, tiny, "1.a", "1.b"), "1.a")
    [pointer] = _models(tmp_path, "shadow", "1.b", "--share", "0.1", "--by", "ann", "--json").rows()
    assert (pointer["model"]["version"], pointer["share"], pointer["by"]) == ("1.b", 0.1, "ann")
    rows = _models(tmp_path, "list", "--json").rows()
    assert {row["version"]: row["shadow"] for row in rows} == {"1.a": None, "1.b": 0.1}
    assert "email 1.b, shadow 0.1" in _models(tmp_path, "show", "shadow").out
    wrong = _models(tmp_path, "shadow", "1.b", "--share", "0")
    assert (wrong.code, "above 0 up to 1" in wrong.err) == (2, True)
    assert _models(tmp_path, "shadow", "--off").out == "ended\n"
    assert Registry(tmp_path / "registry").shadow("email") is None


def test_two_bundles_are_compared_on_mails(tmp_path: Path, tiny: Path) -> None:
    """The same model says the same; one of another temperature is as sure as it is, and the mail is named."""
    data = tmp_path / "mails.jsonl"
    data.write_bytes(b"".join(orjson.dumps({"id": f"m{n}", **MAIL}) + b"\n" for n in range(3)))
    heads = json.loads((tiny / "manifest.json").read_bytes())["heads"]
    heads["category"]["temperature"] *= 3
    _add(tmp_path, tiny, "1.a")
    hot = version_of(tiny, tmp_path, "1.hot", heads=heads)
    same = _models(tmp_path, "diff", "1.a", f"{tiny}/", data, "--json")
    assert (same.code, same.rows()[-1]["mails"], same.rows()[-1]["differ"]) == (0, 3, 0)
    done = _models(tmp_path, "diff", "1.a", f"{hot}/", data, "--json")
    *rows, summary = done.rows()
    assert (done.code, [row["mail"] for row in rows], summary["differ"]) == (1, ["m0", "m1", "m2"], 3)
    [change] = rows[0]["changes"]
    assert (change["head"], change["before"] == change["after"]) == ("category", True)
    assert change["before_probability"] > change["after_probability"]
    assert summary["heads"]["category"] == {
        "flipped": 0,
        "moved": 3,
        "largest": pytest.approx(change["before_probability"] - change["after_probability"]),
    }
    table = _models(tmp_path, "diff", "1.a", f"{hot}/", data)
    assert (table.code, "3 of 3 mails differ" in table.out) == (1, True)


def _decision(category: str, probability: float, *actions: str) -> Decision:
    head = HeadDecision(
        label=category,
        probability=probability,
        abstained=False,
        alternatives=(Alternative(label="work", probability=0.01),),
    )
    values: dict[str, Any] = {"decision_id": "a" * 64, "email_id": "b" * 64, "language": "en", "needs_review": False}
    return Decision(
        **values,
        model=ModelRef(name="email", version="1"),
        taxonomy=TaxonomyRef(name="email", version=1),
        tier="encoder",
        heads={"category": head},
        next_actions=tuple(NextAction(label=label, probability=0.9) for label in actions),
        decided_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def test_a_change_is_another_label_or_another_probability() -> None:
    """One in the last digit is the same answer."""
    one = _decision("finance", 0.9, "open_ticket")
    assert changes(one, _decision("finance", 0.9001, "open_ticket")) == []
    assert changes(one, _decision("finance", 0.8, "open_ticket")) == [
        Change("category", "finance", "finance", 0.9, 0.8)
    ]
    assert changes(one, _decision("spam", 0.9)) == [
        Change("category", "finance", "spam", 0.9, 0.9),
        Change("next_actions", "open_ticket", "", 0.9, 0.0),
    ]


def test_a_rollback_holds_where_what_it_should_repair_cannot_be_reached(tmp_path: Path, tiny: Path) -> None:
    """Kafka is away: the champion is the one before, exit code 1, and the line names the command that repairs later."""
    _add(tmp_path, tiny, "1.a", "1.b")
    registry = Registry(tmp_path / "registry")
    for version in ("1.a", "1.b"):
        promote(registry, version)
    done = _models(tmp_path, "rollback", "--reclassify", "--no-announce", "--why", "worse", kafka_bootstrap=NOWHERE)
    assert (done.code, done.out) == (1, "rolled back to email 1.a in place of 1.b (number 3)\n")
    assert registry.champion("email").model.version == "1.a"  # type: ignore[union-attr]
    [line] = done.err.splitlines()
    assert line.startswith("mailweir: 1.b is demoted, but what it decided is not repaired: Kafka at")
    assert line.endswith("Then: mailweir models reclassify 1.b")
    champion = _models(tmp_path, "reclassify", "1.a", kafka_bootstrap=NOWHERE)
    assert (champion.code, "demote it first" in champion.err) == (2, True)
    alone = _models(tmp_path, "reclassify", "1.b", kafka_bootstrap=NOWHERE)
    assert (alone.code, NOWHERE in alone.err) == (2, True)
