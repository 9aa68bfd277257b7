"""A tenant's rules: each condition, who wins, what they make of a decision, and files that cannot be used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import settings
from prometheus_client import generate_latest

from mailweir.models.runtime import Scores, shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.schemas.errors import SettingsError
from mailweir.schemas.events import Address, Decision, Email
from mailweir.schemas.manifest import Manifest
from mailweir.services.classify.decide import Decider, decision_of
from mailweir.services.classify.rules import Rulebook, read_rules, ruled
from mailweir.services.classify.source import BundleSource
from mailweir.services.telemetry import Metrics

MANIFEST = read_manifest(shipped_bundle())
WHOLE = {
    "category": "work",
    "intent": "pricing_agreement",
    "action": "reply_later",
    "priority": "high",
    "workflow_state": "progress",
    "next_actions": ["apply_spa"],
}


def email(**changes: Any) -> Email:
    values: dict[str, Any] = {
        "email_id": "0" * 64,
        "mailbox": "Sales",
        "subject": "İade talebi SO-99182",
        "from": Address(address="ann@mail.acme.example"),
        "body": "Please extend CAS-091284-B0C6Q4 by Friday.",
        "language": {"code": "en", "probability": 1.0},
    }
    return Email.model_validate(values | changes)


def book(folder: Path, *rules: dict[str, Any], manifest: Manifest = MANIFEST) -> Rulebook:
    path = folder / "rules.json"
    path.write_text(json.dumps({"rule": list(rules)}), encoding="utf-8")
    return read_rules(path, manifest)


def rule(when: dict[str, Any], name: str = "one", **labels: Any) -> dict[str, Any]:
    return {"name": name, "when": when, "set": labels or {"category": "work"}}


def model_scores() -> Scores:
    heads = {name: np.eye(len(spec.labels))[0] * 0.5 for name, spec in MANIFEST.heads.items()}
    return Scores(heads, tokens=9, truncated=False, empty=False, tokenize_ms=0.1, model_ms=1.0)


def decided(rules: Rulebook, mail: Email | None = None) -> Decision:
    given = mail or email()
    scores = ruled(model_scores(), rules.settings(given), MANIFEST)
    return decision_of(given, scores, MANIFEST, None, datetime(2026, 3, 2, tzinfo=UTC), rules.digest)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"sender": "Ann@Mail.Acme.Example"}, True),
        ({"sender": "acme.example"}, True),
        ({"sender": "@acme.example"}, True),
        ({"sender": "cme.example"}, False),
        ({"sender": "bob@mail.acme.example"}, False),
        ({"sender": ["other.example", "mail.acme.example"]}, True),
        ({"subject": "IADE TALEBI"}, True),
        ({"subject": "refund"}, False),
        ({"mailbox": ["support", "sales"]}, True),
        ({"mailbox": "sale"}, False),
        ({"entity": "spa_code"}, True),
        ({"entity": "order_number"}, True),
        ({"entity": "invoice_number"}, False),
        ({"pattern": r"CAS-\d{6}-[A-Z0-9]{6}"}, True),
        ({"pattern": r"^İade"}, True),
        ({"pattern": r"cas-\d{6}"}, False),
        ({"pattern": r"(?i)cas-\d{6}"}, True),
        ({"sender": "acme.example", "mailbox": "sales", "subject": "iade"}, True),
        ({"sender": "acme.example", "mailbox": "support"}, False),
    ],
)
def test_a_rule_holds_where_all_its_conditions_do(when: dict[str, Any], holds: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Sender, subject, mailbox, code, pattern: any of a condition's values, all of a rule's conditions."""
    assert bool(book(tmp_path, rule(when)).settings(email())) is holds


def test_the_first_rule_that_names_a_head_sets_it(tmp_path: Path) -> None:
    """Head by head: a later rule still sets the heads that the earlier ones left."""
    rules = book(
        tmp_path,
        rule({"mailbox": "support"}, "elsewhere", category="spam"),
        rule({"mailbox": "sales"}, "first", category="work"),
        rule({"subject": "iade"}, "second", category="shopping", intent="return_refund"),
    )
    found = rules.settings(email())
    assert {head: (one.rule, one.labels) for head, one in found.items()} == {
        "category": ("first", ("work",)),
        "intent": ("second", ("return_refund",)),
    }


def test_a_rule_is_certain_and_gives_its_name(tmp_path: Path) -> None:
    """The head that it names has probability 1 and its reason; all others are the model's, which abstain here."""
    decision = decided(book(tmp_path, rule({"mailbox": "sales"}, "our sales", category="work", next_actions=[])))
    head = decision.heads["category"]
    assert (head.label, head.probability, head.abstained, head.alternatives) == ("work", 1.0, False, ())
    assert decision.next_actions == ()
    assert {name: [r.text for r in reasons] for name, reasons in decision.reasons.items()} == {
        "category": ["our sales"],
        "next_actions": ["our sales"],
    }
    assert (decision.tier, decision.heads["intent"].probability, decision.review_cause) == ("encoder", 0.5, "abstained")


def test_other_rules_give_another_decision_id(tmp_path: Path) -> None:
    """What the rules say counts, whether or not they hold for the mail; their layout does not."""
    plain, some = decided(Rulebook()), decided(book(tmp_path, rule({"mailbox": "nobody"})))
    other = decided(book(tmp_path, rule({"mailbox": "nobody"}, category="spam")))
    (tmp_path / "same.toml").write_text(
        '# as above\n[[rule]]\nset.category = "work"\nname = "one"\nwhen = { mailbox = ["nobody"] }\n'
    )
    same = decided(read_rules(tmp_path / "same.toml", MANIFEST))
    assert len({plain.decision_id, some.decision_id, other.decision_id}) == 3
    assert same.decision_id == some.decision_id
    assert plain.heads == some.heads


async def test_where_rules_say_all_no_model_is_asked(tmp_path: Path) -> None:
    """Tier `rules`, no tokens, no review even of a foreign language; the neighbour goes to the model; both are counted."""
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"rule": [rule({"mailbox": "sales"}, "all of it", **WHOLE)]}))
    metrics = Metrics()
    decider = Decider(BundleSource(shipped_bundle()), metrics, rules=path)
    await decider.start()
    foreign = email(language={"code": "other", "probability": 1.0})
    first, second = await decider.decide([foreign, email(mailbox="support")])
    await decider.stop()
    assert isinstance(first, Decision)
    assert isinstance(second, Decision)
    assert (first.tier, first.review_cause, first.timings_ms["model"]) == ("rules", None, 0.0)
    assert {name: head.label for name, head in first.heads.items()} | {"next_actions": ["apply_spa"]} == WHOLE
    assert [action.label for action in first.next_actions] == ["apply_spa"]
    assert second.tier != "rules"
    assert second.reasons == {}
    shown = generate_latest(metrics.registry).decode()
    version = first.model.version
    assert f'mailweir_decisions_total{{needs_review="false",tier="rules",version="{version}"}} 1.0' in shown
    assert 'mailweir_rules_total{rule="all of it"} 1.0' in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nonsense", "no JSON"),
        ('{"rule": []}', "holds [[rule]] tables"),
        ('{"rules": []}', "holds [[rule]] tables"),
        ([rule({})], "rule 'one': when: no condition"),
        ([rule({"mailbox": " "})], "rule 'one': when.mailbox: a value is empty"),
        ([rule({"from": "x"})], "rule 'one': when.from"),
        ([rule({"pattern": "(a"})], "rule 'one': when: pattern cannot be used: a ( without its )"),
        ([rule({"pattern": ""})], "matches the empty text"),
        ([rule({"entity": "po_nummer"})], "po_nummer is no entity type that has a shape"),
        ([rule({"entity": "deadline"})], "deadline is no entity type that has a shape"),
        ([rule({"mailbox": "x"}, category="wrok")], "rule 'one' sets category: category has no label 'wrok'"),
        ([rule({"mailbox": "x"}, mood="good")], "has no head 'mood'"),
        ([rule({"mailbox": "x"}, category=["work"])], "rule 'one' sets category, which takes one label"),
        ([rule({"mailbox": "x"}, next_actions="escalate")], "takes a list of labels"),
        ([rule({"mailbox": "x"}), rule({"mailbox": "y"})], "rule 'one' is there 2 times"),
        ([{"when": {"mailbox": "x"}, "set": {"category": "work"}}], "rule number 1: name"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_rule(content: Any, said: str, tmp_path: Path) -> None:
    """One message with file, rule, what is wrong; nothing is guessed and nothing skipped."""
    path = tmp_path / "rules.json"
    path.write_text(content if isinstance(content, str) else json.dumps({"rule": content}))
    with pytest.raises(SettingsError) as error:
        read_rules(path, MANIFEST)
    assert str(path) in error.value.message
    assert said in error.value.message


@pytest.mark.parametrize(
    ("name", "content"), [("rules.toml", b"rule = ["), ("rules.toml", b"\xff"), ("gone.toml", None)]
)
def test_toml_is_read_unless_the_name_says_json(name: str, content: bytes | None, tmp_path: Path) -> None:
    """Broken, no text, not there: the file is named."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=name):
        read_rules(tmp_path / name, MANIFEST)


def test_a_head_that_the_bundle_lacks_cannot_be_set(tmp_path: Path) -> None:
    """Also where the taxonomy has it: nobody would read it."""
    manifest = MANIFEST.model_copy(update={"heads": {"category": MANIFEST.heads["category"]}})
    with pytest.raises(SettingsError, match="does not answer; it answers category"):
        book(tmp_path, rule({"mailbox": "x"}, intent="none"), manifest=manifest)


def test_the_setting_names_the_file() -> None:
    """`classify_rules`, empty by default."""
    assert settings().classify_rules is None
    assert settings(classify_rules="rules.toml").classify_rules == Path("rules.toml")
