"""What people did with their mail (Enron): the owner's later behaviour as a label of the head `action`.

The labels are silver, so a row counts only where its evidence is more than an absence:

- *reply* and *forward* were found in the owner's sent mail. A match by subject alone is left out, because it was made by the
  prefix ("RE", "FW") of the subject. How soon the answer came is not known: `reply_now` or `reply_later`.
- *archive* is mail that was filed; what was left in the inbox may have been forgotten, and is unknown. A folder for junk is no archive.
- *archive* and *delete* say that no answer was sent, which only an owner's sent mail can show: owners of whom little was kept
  are left out.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from mailweir.models.training.public.collection import CollectionRow, PublicRow, read_collection

ACTIONS = "enron_actions.train"
ACTIONS_HELD_OUT = "enron_actions.val"
"""Mail to other people, on whom actions are measured: nothing is fitted on them."""

CAPS: Mapping[str, int] = {"reply": 300, "forward": 150, "archive": 300, "delete": 200}
"""Rows of each action: a fifth to a third of what the corpus has of it, so that no action comes to mean "Enron"."""

_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "reply": ("reply_now", "reply_later"),
    "forward": ("forward",),
    "archive": ("archive",),
    "delete": ("delete",),
}
_SOUND = {"quote", "subject+recipient"}  # evidence of an answer
_SENT = 50  # mails that an owner must have sent for the lack of an answer to say something
_OWNERS = 10  # an action is by at least so many owners: each gives at most this part of its rows
_FEWEST_WORDS = 5
_JUNK = re.compile(r"junk|spam|trash|deleted", re.IGNORECASE)
# The text was rebuilt without punctuation, the subject glued to the body: "RE Meeting tomorrow". A third of what was answered begins
# with RE and a sixth of the rest: the prefix is taken off, so that the words have to tell.
_PREFIX = re.compile(r"^\s*(?:(?:re|fw|fwd)\b[\s:]*)+", re.IGNORECASE)


def draw_actions(folder: Path, labelled: Collection[str], seed: int) -> Iterator[PublicRow]:
    """A draw with as many rows of each action as `CAPS` says, without duplicates and without the ids that are `labelled`."""
    rows = [row for row in read_collection(folder, ACTIONS) if row.id not in labelled and _telling(row)]
    left, owners, seen = Counter(CAPS), Counter[tuple[str, str | None]](), set[str]()
    for place in np.random.default_rng(seed).permutation(len(rows)):
        row, action = rows[place], str(rows[place].labels["action"])
        words = _PREFIX.sub("", row.words)
        fresh = words not in seen and len(words.split()) >= _FEWEST_WORDS
        if left[action] and fresh and owners[action, row.user] < max(1, CAPS[action] // _OWNERS):
            seen.add(words)
            left[action] -= 1
            owners[action, row.user] += 1
            yield without_prefix(row).public("enron_actions", {"action": _ALLOWED[action]})


def without_prefix(row: CollectionRow) -> CollectionRow:
    """The row without what an answering or forwarding program put before its subject."""
    return row.model_copy(update={"body": _PREFIX.sub("", row.body)})


def held_out_users(folder: Path) -> frozenset[str]:
    """The people whose mail measures; empty where that collection is not there."""
    return frozenset(row.user for row in read_collection(folder, ACTIONS_HELD_OUT) if row.user)


def _telling(row: CollectionRow) -> bool:
    """Whether the row's label is more than an absence of evidence."""
    action, kind = row.labels.get("action"), row.labels.get("folder_class")
    if action in {"reply", "forward"}:
        return row.labels.get("evidence") in _SOUND
    sent = row.labels.get("user_sent_n")
    known = isinstance(sent, int) and sent >= _SENT
    if action == "archive":
        return known and kind == "archive" and not _JUNK.search(row.folder or "")
    return known and action == "delete"
