"""Events: version 1 stays readable, what is written is strict, what is read is tolerant but never guesses."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from golden_events import EVENTS, GOLDEN, changed, golden
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mailweir.schemas.errors import (
    InvalidEvent,
)
from mailweir.schemas.events import (
    Alternative,
    Coordinates,
    Decision,
    Email,
    Event,
    Feedback,
    HeadDecision,
    ModelPromoted,
    ModelRef,
    RawEmail,
    RetrainFinished,
    RetrainRequested,
    TaxonomyRef,
)

DECISION_KEYS = [
    "schema", "decision_id", "email_id", "input_id", "source", "model", "taxonomy", "tier", "heads", "next_actions", "entities",
    "summary", "action_items", "reasons", "language", "needs_review", "review_cause", "truncated", "decided_at", "timings_ms",
    "supersedes",
]  # fmt: skip


def test_every_event_has_a_golden_file_of_version_one() -> None:
    """No event is left out, and none has two files."""
    assert {kind.ce_type.removeprefix("mailweir.") for kind in Event.__subclasses__()} == set(EVENTS)
    assert {name: kind.ce_type for name, kind in EVENTS.items()} == {name: f"mailweir.{name}" for name in EVENTS}
    assert all(golden(name)["schema"] == 1 for name in EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_a_golden_event_decodes_and_encodes_to_the_same(name: str) -> None:
    """What version 1 wrote is read field by field and written again as it was, in the same order."""
    event = EVENTS[name].decode((GOLDEN / f"{name}.json").read_bytes())
    again = json.loads(event.encode())
    assert again == golden(name)
    assert list(again) == list(golden(name))
    assert {field.alias or key for key, field in type(event).model_fields.items()} == set(golden(name))


def test_feedback_from_before_a_field_was_added_is_read() -> None:
    """Who wrote before `decision_source` existed is understood: nothing else differs, its id included."""
    older = Feedback.decode((GOLDEN / "older" / "feedback.json").read_bytes())
    newer = Feedback.decode(changed("feedback"))
    assert older.decision_source is None
    assert newer.decision_source == Coordinates(topic="mail.classified", partition=3, offset=987)
    assert older == newer.model_copy(update={"decision_source": None})
    assert older.event_id == newer.event_id


def test_a_request_from_before_a_field_was_added_is_read() -> None:
    """Who asked before `start` existed meant the champion: nothing else differs."""
    older = RetrainRequested.decode((GOLDEN / "older" / "retrain_requested.json").read_bytes())
    newer = RetrainRequested.decode(changed("retrain_requested"))
    assert (older.start, newer.start) == (None, ModelRef(name="email", version="0.9.0"))
    assert older == newer.model_copy(update={"start": None})


def test_an_end_from_before_a_field_was_added_is_read() -> None:
    """Who told an end before `setup_failed` existed did not say so: nothing else differs."""
    older = RetrainFinished.decode((GOLDEN / "older" / "retrain_finished.json").read_bytes())
    newer = RetrainFinished.decode(changed("retrain_finished"))
    assert (older.setup_failed, newer.setup_failed) == (False, True)
    assert older == newer.model_copy(update={"setup_failed": False})


def test_a_decision_from_before_a_field_was_added_is_read() -> None:
    """Who wrote before `supersedes` existed took no decision's place: the same answer under the same id."""
    older = Decision.decode((GOLDEN / "older" / "decision.json").read_bytes())
    newer = Decision.decode(changed("decision"))
    assert older.supersedes is None
    assert older == newer.model_copy(update={"supersedes": None})
    assert older.same_answer(newer)


def test_golden_fields_arrive_as_values() -> None:
    """Times are aware UTC, addresses and places are objects, labels are read as written."""
    email, decision = Email.decode(changed("email")), Decision.decode(changed("decision"))
    assert email.date == datetime(2026, 3, 2, 9, 13, 55, tzinfo=UTC)
    assert (email.sender.name, str(email.sender)) == ("Ayşe Demir", "Ayşe Demir <ayse.demir@example.org>")
    assert email.body[email.zones[1].start : email.zones[1].end] == "-- \nAyşe Demir\n"
    assert decision.source == Coordinates(topic="mail.parsed", partition=3, offset=1042)
    assert decision.heads["category"].alternatives == (Alternative(label="finance", probability=0.02),)
    assert decision.decided_at == datetime(2026, 3, 2, 9, 14, 0, 120_000, tzinfo=UTC)
    found = decision.entities[0]
    assert email.body[found.start : found.end] == found.text == "12345678"


def test_the_decision_has_exactly_the_public_keys_in_their_order() -> None:
    """Consumers write against these names; defaults are written out, not left away."""
    least = Decision(
        decision_id="0" * 64,
        email_id="1" * 64,
        model=ModelRef(name="email", version="1"),
        taxonomy=TaxonomyRef(name="email", version=1),
        tier="encoder",
        heads={"category": HeadDecision(label="work", probability=0.97, abstained=False)},
        language="en",
        needs_review=False,
        decided_at=datetime(2026, 3, 2, tzinfo=UTC),
    )
    assert list(json.loads(least.encode())) == DECISION_KEYS == list(golden("decision"))
    assert list(json.loads(least.encode())["heads"]["category"]) == [
        "label",
        "probability",
        "abstained",
        "alternatives",
    ]
    assert list(golden("decision")["entities"][0]) == ["type", "text", "field", "start", "end", "probability"]


def test_the_same_answer_may_differ_in_times_and_place_only() -> None:
    """A repeated delivery is recognised; another label, text or probability is not the same answer."""
    one = Decision.decode(changed("decision"))
    later = changed("decision", decided_at="2027-01-01T00:00:00Z", timings_ms={}, source=None)
    assert one.same_answer(Decision.decode(later))
    heads = golden("decision")["heads"]
    other_label = heads | {"category": heads["category"] | {"label": "finance"}}
    other_probability = heads | {"category": heads["category"] | {"probability": 0.96}}
    for different in ({"heads": other_label}, {"heads": other_probability}, {"truncated": True}, {"summary": "x"}):
        assert not one.same_answer(Decision.decode(changed("decision", **different))), different


def test_what_differs_is_named_without_its_value() -> None:
    """The field, however deep; a list of another length and a head that only one has are named as a whole."""
    one, data = Decision.decode(changed("decision")), golden("decision")
    heads = {"category": data["heads"]["category"] | {"label": "finance", "probability": 0.9702}}
    other = Decision.decode(changed("decision", heads=heads, summary="Ann's words", next_actions=[]))
    assert one.differences(other) == (
        "heads.category.label",
        "heads.category.probability",
        "heads.priority",
        "next_actions",
        "summary",
    )
    within = {"heads": data["heads"] | {"category": data["heads"]["category"] | {"probability": 0.9701}}}
    assert one.differences(Decision.decode(changed("decision", **within))) == ()


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=3)), timezone(-timedelta(minutes=570))]),
                    min_value=datetime(1971, 1, 1), max_value=datetime(9990, 1, 1)))  # fmt: skip # noqa: DTZ001
def test_times_are_written_in_utc_with_milliseconds(moment: datetime) -> None:
    """Whatever zone a time came in, it is written as UTC with Z, and is the same moment to the millisecond."""
    event = ModelPromoted.from_json(golden("model_promoted")).model_copy(update={"promoted_at": moment})
    text = json.loads(event.encode())["promoted_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert timedelta(0) <= moment - datetime.fromisoformat(text) < timedelta(milliseconds=1)


def test_a_time_without_a_zone_cannot_be_written() -> None:
    """A naive time is nobody's time."""
    with pytest.raises(ValidationError, match="timezone"):
        ModelPromoted.model_validate(golden("model_promoted") | {"promoted_at": datetime(2026, 1, 1)})  # noqa: DTZ001


def test_events_are_frozen() -> None:
    """Nobody changes an event on its way."""
    event = Email.decode(changed("email"))
    with pytest.raises(ValidationError, match="frozen"):
        event.subject = "another"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        event.sender.name = "somebody else"  # type: ignore[misc]


def test_raw_json_mail_is_forgiving_where_producers_differ() -> None:
    """One recipient as a string, null for an empty text; a number is still no subject."""
    mail = RawEmail.decode(b'{"from": null, "to": "sales@example.com", "subject": null, "body": "hi"}')
    assert (mail.to, mail.sender, mail.subject, mail.body, mail.schema_version) == (
        ("sales@example.com",),
        "",
        "",
        "hi",
        1,
    )
    with pytest.raises(InvalidEvent, match="subject"):
        RawEmail.decode(b'{"subject": 5}')
