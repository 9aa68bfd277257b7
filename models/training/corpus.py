"""The annotated mail: read, checked against the taxonomy row by row, split by author."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from mailweir.schemas.errors import InputError, UnknownLabel
from mailweir.schemas.events import Part
from mailweir.schemas.taxonomy import Taxonomy, installed_taxonomy

FOLDER = Path(__file__).parents[1] / "corpus"
REFERENCES = "summaries.jsonl"
"""File beside the mails with reference summaries of some of them, by id."""
TEST_AUTHORS = frozenset({"iris", "oya"})
"""Each wrote across all labels, one in English, one in Turkish; nothing is fitted on them."""
VALIDATION_AUTHORS = ("jonas", "pelin", "sam", "vildan")
"""They choose epoch, weight of words, temperatures and thresholds; no weight is fitted on them."""
FEEDBACK = "feedback"
"""Author of the rows that come from admitted feedback, whoever gave it: fitted on, never chosen, calibrated or tested on."""
TASK_BLOCK = 20
"""Tasks of an author that stand in for an author of their own: authors wrote runs of them about one subject."""
TASK_TEST = frozenset(f"tarik-{block}" for block in range(7))
"""The blocks of the third author of tasks, of whom nothing is fitted on."""
TASK_VALIDATION = ("hana-4", "hana-8", "hana-12", "hana-16", "hana-20")


class EntityMark(Part):
    """An entity as annotated: its text is copied from subject or body."""

    type: str
    text: str = Field(min_length=1)


class MailRow(Part):
    """One annotated mail of the corpus."""

    id: str
    author: str
    language: str
    subject: str
    sender: str = Field(alias="from")
    to: tuple[str, ...]
    date: str
    body: str
    mailbox: str
    labels: dict[str, str | tuple[str, ...] | None]
    marks: tuple[EntityMark, ...] | None = Field(alias="entities")  # None: nobody looked for entities

    @property
    def entities(self) -> tuple[EntityMark, ...]:
        """The entities that are marked; none where nobody looked for them."""
        return self.marks or ()

    def label(self, head: str) -> str | None:
        """The label of a head with one answer; None where the annotator could not decide."""
        value = self.labels.get(head)
        return value if isinstance(value, str) else None

    def chosen(self, head: str) -> tuple[str, ...] | None:
        """The labels of a head with many answers; None where the annotator could not decide."""
        value = self.labels.get(head)
        return value if isinstance(value, tuple) else None


class TaskRow(Part):
    """One annotated task of the corpus."""

    id: str
    author: str
    language: str
    title: str
    description: str
    label: str


def load_mails(folder: Path = FOLDER) -> list[MailRow]:
    """All mails of the corpus, a folder or one file, in the order of files and rows.

    Raises:
        InputError: a row breaks the guide; the message names file, line and remedy of the first one.
    """
    rows: list[MailRow] = []
    for file, line, raw in _lines(folder, tasks=False):
        found, problems = read_mail(raw)
        if found is None or problems:
            message = f"{file}:{line}: {problems[0]}; correct the row or set the label to null"
            raise InputError(message, file=file, line=line)
        rows.append(found)
    _refuse_repeats(row.id for row in rows)
    return rows


def load_tasks(folder: Path = FOLDER) -> list[TaskRow]:
    """All tasks of the corpus.

    Raises:
        InputError: a row breaks the guide; the message names file and line.
    """
    taxonomy, rows = installed_taxonomy("task", 1), []
    for file, line, raw in _lines(folder, tasks=True):
        try:
            row = TaskRow.model_validate_json(raw)
            taxonomy.check_label("category", row.label)
        except (ValidationError, UnknownLabel) as error:
            raise InputError(f"{file}:{line}: {error}", file=file, line=line) from error
        rows.append(row)
    _refuse_repeats(row.id for row in rows)
    return rows


def read_mail(raw: bytes) -> tuple[MailRow | None, list[str]]:
    """One row and what is wrong with it; None if it cannot be read at all."""
    try:
        row = MailRow.model_validate_json(raw)
    except ValidationError as error:
        return None, [f"not a mail row: {first_fault(error)}"]
    taxonomy = installed_taxonomy("email", 1)
    return row, [*_label_problems(row, taxonomy), *_entity_problems(row, taxonomy)]


def first_fault(error: ValidationError) -> str:
    """The first thing that a row has wrong, and where: `labels.category: …`; a line that is no JSON has no place in it."""
    fault = error.errors()[0]
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {fault['msg']}" if place else str(fault["msg"])


def tasks_as_mails(tasks: Sequence[TaskRow]) -> list[MailRow]:
    """Tasks as the model reads them: the title as subject, the description as body; authors in blocks of neighbours."""
    place: Counter[str] = Counter()
    rows = []
    for task in tasks:
        block = f"{task.author}-{place[task.author] // TASK_BLOCK}"
        place[task.author] += 1
        fields = {
            "id": task.id,
            "author": block,
            "language": task.language,
            "subject": task.title,
            "body": task.description,
        }
        empty = {"from": "", "to": (), "date": "", "mailbox": "", "entities": ()}
        rows.append(MailRow.model_validate(fields | empty | {"labels": {"category": task.label}}))
    return rows


def _label_problems(row: MailRow, taxonomy: Taxonomy) -> Iterator[str]:
    for head in taxonomy.heads.keys() - row.labels.keys():
        yield f"head {head} is missing (null says: cannot be decided)"
    for head, value in row.labels.items():
        labels = (value,) if isinstance(value, str) else value or ()
        if (
            head in taxonomy.heads
            and value is not None
            and isinstance(value, str) != (taxonomy.heads[head].kind == "one")
        ):
            yield f"head {head} takes {taxonomy.heads[head].kind} label(s), not {value!r}"
        for label in labels:
            try:
                taxonomy.check_label(head, label)
            except UnknownLabel as error:
                yield error.message


def _entity_problems(row: MailRow, taxonomy: Taxonomy) -> Iterator[str]:
    for mark in row.entities:
        if mark.type not in taxonomy.entities:
            yield f"unknown entity type {mark.type!r}"
        if mark.text not in row.subject and mark.text not in row.body:
            yield f"entity {mark.type} {mark.text!r} is neither in the subject nor in the body"
    for repeat in sorted({m.text for m in row.entities if row.entities.count(m) > 1}):
        yield f"entity {repeat!r} is listed twice"


def _lines(folder: Path, *, tasks: bool) -> Iterator[tuple[str, int, bytes]]:
    named = (file for file in sorted(folder.glob("*.jsonl")) if file.name != REFERENCES)
    files = [file for file in named if file.stem.endswith("_tasks") == tasks]
    files = [folder] if folder.is_file() else files
    if not files:
        raise InputError(
            f"{folder} holds no *.jsonl files: name a file or a folder of annotated rows", path=str(folder)
        )
    for file in files:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if line.strip():
                yield file.name, number, line


def _refuse_repeats(ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for row_id in ids:
        if row_id in seen:
            raise InputError(f"id {row_id} occurs twice: every row needs its own", id=row_id)
        seen.add(row_id)
