"""All that is learned from a folder of public collections."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mailweir.models.training.public.actions import ACTIONS, draw_actions, held_out_users
from mailweir.models.training.public.collection import PublicRow, is_there
from mailweir.models.training.public.labelled import Annotation, Joined, join, read_annotations
from mailweir.models.training.public.spam import SPAM_SOURCES, draw_spam
from mailweir.schemas.errors import InputError

Say = Callable[[str], None]
"""Told what the user should know and nothing is wrong with."""


def load_public(
    folder: Path, seed: int, annotations: list[Annotation] | None = None, say: Say = lambda _: None
) -> list[PublicRow]:
    """Rows of each collection, `NAME.jsonl.zst` or `NAME.jsonl`, that lies in `folder`.

    Spam collections say only whether a mail is spam, Enron's only what its owner did; what is annotated (by default by us)
    is not drawn a second time. Annotated ids that a collection does not hold are counted and said.

    Raises:
        InputError: the folder holds none of them, or a row cannot be read.
    """
    known = read_annotations() if annotations is None else annotations
    sources = [*SPAM_SOURCES, ACTIONS, *sorted({one.source for one in known} - set(SPAM_SOURCES))]
    if not any(is_there(folder, name) for name in sources):
        raise InputError(f"{folder} holds none of {', '.join(sources)} (.jsonl or .jsonl.zst)", path=str(folder))
    labelled = {source: {one.id for one in known if one.source == source} for source in sources}
    rows = [row for name in SPAM_SOURCES for row in draw_spam(folder, name, labelled[name], seed)]
    # ids of Enron's mails are the same in every collection of it
    rows += draw_actions(folder, {one.id for one in known}, seed)
    joined = join(folder, known, held_out_users(folder))
    _tell(rows + joined.rows, joined, say)
    return rows + joined.rows


def _tell(rows: list[PublicRow], joined: Joined, say: Say) -> None:
    counts = Counter(row.source for row in rows)
    say("public mail: " + ", ".join(f"{source} {count}" for source, count in counts.items()))
    for source, count in joined.unknown.items():
        say(f"{source}: {count} annotated ids are not in this copy of the collection and were left out")
    if joined.held_out:
        say(f"{joined.held_out} annotated mails are to people on whom actions are measured, and were left out")
