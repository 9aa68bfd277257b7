"""What a user names, read row by row: everything that is wrong is collected, nothing stops at the first fault."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from mailweir.models.training.corpus import REFERENCES, MailRow, TaskRow, first_fault, read_mail, tasks_as_mails
from mailweir.models.training.data.guide import breaks_of, doubts_of
from mailweir.models.training.references import read_reference
from mailweir.schemas.errors import InputError, UnknownLabel
from mailweir.schemas.taxonomy import installed_taxonomy

Labels = dict[str, str | tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class Note:
    """Something about one row that a person should see."""

    id: str  # empty where the row cannot be read
    place: str  # file:line
    problem: str


@dataclass(frozen=True, slots=True)
class Item:
    """A mail or a task, as far as all checks treat them alike."""

    id: str
    author: str  # of a task: author and block
    language: str
    text: str  # subject and body, or title and description
    labels: Labels


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows under a path, and what is wrong with each by itself."""

    mails: tuple[MailRow, ...]
    tasks: tuple[TaskRow, ...]
    breaks: tuple[Note, ...]
    doubts: tuple[Note, ...]
    references: int = 0  # mails with a reference summary

    def items(self) -> tuple[Item, ...]:
        """Mails, then tasks; these by blocks of neighbours, as they are split."""
        tasks = zip(self.tasks, tasks_as_mails(self.tasks), strict=True)
        return (
            *(_item(mail, mail.labels) for mail in self.mails),
            *(_item(block, {"task": task.label}) for task, block in tasks),
        )


def read_rows(path: Path) -> Rows:
    """The rows of a file, or of all `*.jsonl` of a folder; `*_tasks.jsonl` hold tasks.

    Raises:
        InputError: nothing is there, or there are no rows in it.
    """
    mails: list[MailRow] = []
    tasks: list[TaskRow] = []
    breaks: list[Note] = []
    doubts: list[Note] = []
    for file, line, raw in lines_under(path, but=REFERENCES):
        place = f"{file.name}:{line}"
        row, problems = _read_task(raw) if file.stem.endswith("_tasks") else read_mail(raw)
        if isinstance(row, MailRow):
            mails.append(row)
            problems = [*problems, *breaks_of(row)]
            doubts += [Note(row.id, place, doubt) for doubt in doubts_of(row)]
        elif row is not None:
            tasks.append(row)
        breaks += [Note(row.id if row else "", place, problem) for problem in problems]
    if not (mails or tasks or breaks):
        raise InputError(f"{path} holds no rows: name a *.jsonl file or a folder of them", path=str(path))
    found = Rows(tuple(mails), tuple(tasks), tuple(breaks), tuple(doubts))
    found = replace(found, breaks=(*found.breaks, *_repeated(found)))
    return _with_references(found, path / REFERENCES) if (path / REFERENCES).is_file() else found


def lines_under(path: Path, but: str = "") -> Iterator[tuple[Path, int, bytes]]:
    """File, number and bytes of every line that is not blank; of a folder without the file of the name `but`.

    Raises:
        InputError: the path is not there or cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", path=str(path))
    inside = (file for file in sorted(path.glob("*.jsonl")) if file.name != but)
    for file in inside if path.is_dir() else [path]:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise InputError(f"{file}: {error.strerror}", path=str(file)) from error
        for number, line in enumerate(content.split(b"\n"), 1):
            if line.strip():
                yield file, number, line


def _with_references(rows: Rows, file: Path) -> Rows:
    """The rows with what is wrong with the reference summaries beside them."""
    mails = {mail.id: (mail.subject, mail.body) for mail in rows.mails}
    seen: set[str] = set()
    breaks: list[Note] = []
    for _, line, raw in lines_under(file):
        reference, problems = read_reference(raw, mails)
        row_id = reference.id if reference else ""
        if row_id in seen:
            problems.append("this id has more than one reference summary: keep one")
        seen |= {row_id} - {""}
        breaks += [Note(row_id, f"{file.name}:{line}", problem) for problem in problems]
    return replace(rows, breaks=(*rows.breaks, *breaks), references=len(seen))


def _item(row: MailRow, labels: Labels) -> Item:
    return Item(row.id, row.author, row.language, f"{row.subject}\n{row.body}", labels)


def _read_task(raw: bytes) -> tuple[TaskRow | None, list[str]]:
    try:
        row = TaskRow.model_validate_json(raw)
    except ValidationError as error:
        return None, [f"not a task row: {first_fault(error)}"]
    try:
        installed_taxonomy("task", 1).check_label("category", row.label)
    except UnknownLabel as error:
        return row, [error.message]
    return row, []


def _repeated(rows: Rows) -> Iterator[Note]:
    seen: set[str] = set()
    for item in rows.items():
        if item.id in seen:
            yield Note(item.id, "", "this id occurs more than once: every row needs its own")
        seen.add(item.id)
