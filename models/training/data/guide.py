"""What follows from the annotation guide beyond label spaces: fixed consequences, and marks that are rarely meant."""

import re
from collections.abc import Iterator
from datetime import datetime

from mailweir.models.text.language import LANGUAGES, OTHER
from mailweir.models.training.corpus import EntityMark, MailRow

_FOLLOWS = {
    "spam": {"intent": "none", "action": "delete", "priority": "low", "workflow_state": "none"},
    "newsletter": {"intent": "none", "workflow_state": "none"},
    "promotional": {"intent": "none", "workflow_state": "none"},
    "personal": {"intent": "none"},
}
"""Category → labels that the guide fixes with it; null is allowed everywhere."""

_WITHOUT_TASKS = ("spam", "newsletter", "promotional", "personal")
_SPA = re.compile(r"CAS-\d{6}-[A-Z0-9]{6}")
_SHAPES = {
    "quantity": (re.compile(r"\d+(?:[.,\s]\d+)*"), "is not digits alone"),
    "amount": (re.compile(r".*\d.*[^\d.,\s%].*|.*[^\d.,\s%].*\d.*", re.DOTALL), "has no currency beside it"),
    "team_mailbox": (re.compile(r"[^\s@]+@[^\s@]+"), "is not an address"),
    "edi_ref": (re.compile(r"[A-Z]+[ -]?\d+"), "is not letters and a number"),
}
_PREPOSITION = re.compile(r"(?:by|before|until|till|no later than|within|bis|vor|avant|antes)\s", re.IGNORECASE)
_WITHOUT_BLANKS = 0x2E80  # the first of the East Asian scripts
_SUFFIX = re.compile(r"['’][a-zçğıöşü]+$")  # of a Turkish case


def ruled_out(category: str, head: str, label: str) -> bool:
    """Whether the guide fixes another label of `head` with the category."""
    return _FOLLOWS.get(category, {}).get(head, label) != label


def breaks_of(mail: MailRow) -> Iterator[str]:
    """What the guide rules out, whatever the mail says."""
    category = mail.label("category")
    for head, wanted in _FOLLOWS.get(category or "", {}).items():
        if mail.label(head) not in {wanted, None}:
            yield f"{category} has {head} {wanted}, not {mail.label(head)}"
    if mail.mailbox == "personal" and mail.label("intent") not in {"none", None}:
        yield f"to a private mailbox every intent is none, not {mail.label('intent')}"
    if mail.chosen("next_actions") and (mail.mailbox == "personal" or category in _WITHOUT_TASKS):
        yield f"next_actions is empty in {'private mailboxes' if mail.mailbox == 'personal' else category}"
    yield from (
        f"spa_code {m.text!r} is not CAS-, six digits, -, six letters or digits"
        for m in mail.entities
        if m.type == "spa_code" and not _SPA.fullmatch(m.text)
    )
    if not _aware(mail.date):
        yield f"date {mail.date!r} is not ISO 8601 with a zone"


def doubts_of(mail: MailRow) -> Iterator[str]:
    """What is seldom meant: a person decides."""
    if mail.language not in {*LANGUAGES, OTHER}:
        yield f"language {mail.language!r} is none of {', '.join((*LANGUAGES, OTHER))}"
    intent = mail.label("intent")
    if intent not in {"none", "information", None} and mail.label("workflow_state") == "none":
        yield f"intent {intent} without a matter: workflow_state is none"
    text = f"{mail.subject}\n{mail.body}"
    for mark in mail.entities:
        yield from (f"{mark.type} {mark.text!r} {doubt}" for doubt in _mark_doubts(mark, text, mail.language))


def _mark_doubts(mark: EntityMark, text: str, language: str) -> Iterator[str]:
    shape, doubt = _SHAPES.get(mark.type, (None, ""))
    if shape and not shape.fullmatch(mark.text):
        yield doubt
    if mark.type == "deadline" and _PREPOSITION.match(mark.text):
        yield "begins with a preposition"
    if mark.text != mark.text.strip():
        yield "has blanks around it"
    if language == "tr" and _SUFFIX.search(mark.text):
        yield "keeps the suffix after the apostrophe"
    if mark.text in text and not _stands_alone(mark.text, text):
        yield "stands only inside a longer word"


def _stands_alone(part: str, text: str) -> bool:
    """Whether it is nowhere the rest of a word; a unit may follow a number (`25kg`)."""
    return any(
        not _run_on(text[found.start() - 1 : found.start() + 1])
        and not _run_on(text[found.end() - 1 : found.end() + 1])
        for found in re.finditer(re.escape(part), text)
    )


def _run_on(edge: str) -> bool:
    """Two letters or two digits; scripts without blanks have no words to cut."""
    return len(edge) == 2 and ord(edge[1]) < _WITHOUT_BLANKS and (edge.isalpha() or edge.isdigit())


def _aware(date: str) -> bool:
    try:
        return datetime.fromisoformat(date).tzinfo is not None
    except ValueError:
        return False
