"""Old and new software side by side: what each reads of the other, and what it refuses instead of guessing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from golden_events import EVENTS, GOLDEN, changed, golden

from mailweir.models.runtime import shipped_bundle
from mailweir.models.runtime.integrity import MANIFEST, read_manifest
from mailweir.schemas.errors import BundleError, InvalidEvent, SettingsError
from mailweir.schemas.events import DeadLetter, Decision, Email
from mailweir.schemas.events.dead import original_headers
from mailweir.schemas.headers import event_headers
from mailweir.services.settings import load_settings


def _spots(value: Any, path: str = "") -> set[str]:
    """Every object within, by the names on the way; lists have no numbers, so that one with more entries is no other."""
    if isinstance(value, list):
        return {spot for one in value for spot in _spots(one, path)}
    if not isinstance(value, dict):
        return set()
    below = {spot for name, one in value.items() if name != "added_later" for spot in _spots(one, f"{path}.{name}")}
    return below | ({path} if "added_later" in value else set())


@pytest.mark.parametrize("name", EVENTS)
def test_an_older_reader_understands_what_a_later_version_added(name: str) -> None:
    """Golden files with more fields, on top and inside: read as if they were not there, and written again without them."""
    data = json.loads((GOLDEN / "newer" / f"{name}.json").read_text(encoding="utf-8"))
    assert "" in _spots(data)
    event = EVENTS[name].from_json(data)
    assert event == EVENTS[name].from_json(golden(name))
    assert json.loads(event.encode()) == golden(name)


def test_the_files_of_a_later_version_have_more_inside_as_well() -> None:
    """Parts of events are as open as events: places, heads, alternatives, entities, people, attachments."""
    found = {
        name: _spots(json.loads((GOLDEN / "newer" / f"{name}.json").read_text())) for name in ("decision", "email")
    }
    assert {".source", ".model", ".taxonomy", ".heads.category", ".heads.category.alternatives", ".entities"} <= found[
        "decision"
    ]
    assert {".source", ".from", ".zones", ".attachments"} <= found["email"]


@pytest.mark.parametrize("name", EVENTS)
def test_a_newer_reader_understands_every_file_that_was_ever_written(name: str) -> None:
    """One golden file of each event stays as it was first written: a field that is added later has a default, and takes no other's place."""
    written = json.loads((GOLDEN / "older" / f"{name}.json").read_text(encoding="utf-8"))
    event = EVENTS[name].from_json(written)
    again = json.loads(event.encode())
    assert {key: again[key] for key in written} == written
    assert event.event_id == EVENTS[name].from_json(golden(name)).event_id


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("decision", {"tier": "oracle"}),
        ("decision", {"review_cause": "mood"}),
        ("email", {"zones": [{"kind": "poem", "start": 0, "end": 1}]}),
        ("feedback", {"origin": "telepathy"}),
        ("review_asked", {"why": "curious"}),
        ("retrain_finished", {"outcome": "postponed"}),
    ],
)
def test_a_new_value_of_a_known_field_is_refused_and_not_taken_for_another(name: str, fields: dict[str, Any]) -> None:
    """An older reader sends it to the dead letters with its bytes; so a new value needs a new schema version, or readers first."""
    with pytest.raises(InvalidEvent) as caught:
        EVENTS[name].decode(changed(name, **fields))
    assert caught.value.code == "invalid_event"
    assert next(iter(fields)) in str(caught.value.detail["fields"])


def test_headers_of_a_later_version_are_passed_over() -> None:
    """One more of ours in a dead letter neither stops the reader nor goes back onto the mail when it is sent again."""
    letter = DeadLetter.decode(changed("dead_letter"))
    headers = [("x-own", b"1"), *letter.headers(), ("mailweir_dead_added_later", b"\xc3\xa7")]
    assert DeadLetter.from_headers(headers) == letter
    assert original_headers(headers) == [("x-own", b"1")]


def test_types_in_headers_name_the_version_that_is_written() -> None:
    """So a consumer can route by `ce_type` before it parses."""
    for kind in (Email, Decision):
        event = kind.from_json(golden(kind.ce_type.removeprefix("mailweir.")))
        headers = dict(event_headers(event, "test", f"00-{'a' * 32}-{'b' * 16}-01"))
        assert headers["ce_type"].decode() == f"{kind.ce_type}.v{kind.current_version}"


def test_a_bundle_that_only_later_software_understands_is_refused_before_it_decides(tmp_path: Path) -> None:
    """One more field is passed over; another schema says that scores mean something else: upgrade workers, then promote."""
    manifest = json.loads((shipped_bundle() / MANIFEST).read_text(encoding="utf-8"))
    (tmp_path / MANIFEST).write_text(json.dumps(manifest | {"added_later": 1}))
    assert read_manifest(tmp_path) == read_manifest(shipped_bundle())
    (tmp_path / MANIFEST).write_text(json.dumps(manifest | {"schema": 2}))
    with pytest.raises(BundleError, match="has schema 2, this software reads up to 1: upgrade the workers first"):
        read_manifest(tmp_path)


def test_a_variable_of_a_later_version_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback of the software takes back its settings too; one that was forgotten is named, not ignored."""
    monkeypatch.setenv("MAILWEIR_ADDED_LATER", "1")
    with pytest.raises(SettingsError, match="MAILWEIR_ADDED_LATER is no setting"):
        load_settings()
