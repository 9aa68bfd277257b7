"""What of an event is ignored, and what is refused with its cause."""

from __future__ import annotations

import json
from typing import Any

import pytest
from golden_events import EVENTS, changed, golden
from pydantic import ValidationError

from mailweir.schemas.errors import (
    InvalidEvent,
    MalformedJson,
    RecordError,
    UnknownLabel,
    UnknownSchemaVersion,
    UnknownTaxonomy,
)
from mailweir.schemas.events import (
    Decision,
    Email,
)


@pytest.mark.parametrize("name", EVENTS)
def test_unknown_fields_are_ignored_when_read_and_refused_when_written(name: str) -> None:
    """A field of a later version does not stop a reader; a misspelt one stops a writer."""
    kind = EVENTS[name]
    assert kind.decode(changed(name, field_of_tomorrow=1)) == kind.decode(changed(name))
    with pytest.raises(ValidationError, match="field_of_tomorrow"):
        kind.model_validate(golden(name) | {"field_of_tomorrow": 1})


def test_unknown_fields_are_ignored_inside_parts() -> None:
    """Tolerance reaches into nested objects and lists."""
    data = golden("decision")
    data["source"]["leader_epoch"] = 4
    data["heads"]["category"]["alternatives"][0]["rank"] = 2
    assert Decision.from_json(data) == Decision.from_json(golden("decision"))


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_a_newer_version_is_refused(name: str) -> None:
    """What this software cannot know it does not read, and says what to do."""
    with pytest.raises(UnknownSchemaVersion, match=r"has schema 2, this software reads up to 1: upgrade it") as caught:
        EVENTS[name].decode(changed(name, schema=2))
    assert caught.value.code == "unknown_schema_version"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("decision", {"heads": {"category": {"label": "wrok", "probability": 0.9, "abstained": False}}}),
        ("decision", {"heads": {"mood": {"label": "work", "probability": 0.9, "abstained": False}}}),
        (
            "decision",
            {
                "heads": {
                    "category": {
                        "label": "work", "probability": 0.9, "abstained": False,
                        "alternatives": [{"label": "wrok", "probability": 0.1}],
                    }
                }
            },
        ),
        ("decision", {"next_actions": [{"label": "dance", "probability": 0.9}]}),
        ("decision", {"entities": [{"type": "shoe_size", "text": "43", "field": "body", "start": 0, "end": 2, "probability": 1}]}),
        ("feedback", {"heads": {"category": {"label": "wrok"}}}),
        ("feedback", {"next_actions": ["dance"]}),
        ("feedback", {"entities_removed": [{"type": "shoe_size", "text": "43", "field": "body", "start": 0, "end": 2}]}),
    ],
)  # fmt: skip
def test_a_label_that_no_taxonomy_defines_is_refused(name: str, fields: dict[str, Any]) -> None:
    """Heads, labels, runners-up, next actions and entity types must exist in the taxonomy that the event names."""
    with pytest.raises(UnknownLabel) as caught:
        EVENTS[name].decode(changed(name, **fields))
    assert caught.value.code == "unknown_label"


@pytest.mark.parametrize("name", ["decision", "feedback"])
@pytest.mark.parametrize("taxonomy", [{"name": "email", "version": 99}, {"name": "weather", "version": 1}])
def test_a_taxonomy_that_is_not_installed_is_refused(name: str, taxonomy: dict[str, Any]) -> None:
    """The message names what is installed."""
    with pytest.raises(UnknownTaxonomy, match=r"there are: email 1, task 1") as caught:
        EVENTS[name].decode(changed(name, taxonomy=taxonomy))
    assert caught.value.code == "unknown_taxonomy"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"", MalformedJson),
        (b"\x00\xff", MalformedJson),
        (b'{"schema": 1', MalformedJson),
        (b"[]", InvalidEvent),
        (b"null", InvalidEvent),
        (b'"text"', InvalidEvent),
        (b"{}", InvalidEvent),
        (changed("email", email_id="ABC"), InvalidEvent),
        (changed("email", date="2026-03-02T09:13:55"), InvalidEvent),
        (changed("email", schema=0), InvalidEvent),
        (changed("email", schema="one"), InvalidEvent),
        (changed("email", schema=True), InvalidEvent),
        (changed("email", deep=json.loads("[" * 300 + "]" * 300)), InvalidEvent),
        (b"[" * 5_000 + b"]" * 5_000, MalformedJson),
        (changed("email", zones=[{"kind": "poem", "start": 0, "end": 1}]), InvalidEvent),
    ],
)
def test_a_value_that_is_no_email_is_refused_with_its_code(value: bytes, error: type[RecordError]) -> None:
    """Wrong JSON and wrong events are different errors; a time without zone is wrong, not guessed."""
    with pytest.raises(RecordError) as caught:
        Email.decode(value)
    assert type(caught.value) is error


def test_a_refusal_names_fields_and_never_quotes_the_mail() -> None:
    """Field and reason of the first three problems; no value, as that may be somebody's text."""
    wrong = changed("email", body=["top secret"], subject=1, mailbox=None, truncated="secret", parse_ms=-1)
    with pytest.raises(InvalidEvent) as caught:
        Email.decode(wrong)
    assert caught.value.message.startswith("not a Email: mailbox: ")
    assert caught.value.message.endswith("(and 2 more)")
    assert caught.value.detail["fields"] == ["mailbox", "subject", "body", "truncated", "parse_ms"]
    assert "secret" not in caught.value.message
