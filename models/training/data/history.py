"""What a mailbox's owner did with a mail, read off a history, and the label that follows; unknown where unknown.

The annotation guide says what should be done with a mail, a history what was done. The rules that hold both together:

- Answered within the hour: `reply_now`. The guide asks whether an hour mattered to the sender, which no history tells; that the
  owner answered at once is the nearest to it. Answered within two weeks: `reply_later`. After that, or if one of the two has no
  date: the owner did answer, so it is nothing else, and which of the two is unknown.
- Sent on to others only, or marked as passed on: `forward`. A match of subjects alone is none: prefixes would make the label.
- In the trash: `delete`. Filed in a folder of the owner's and read: `archive`. Both only where the history would show an
  answer, for which it needs sent mail or marks of answers, and the mail an id.
- Left in the inbox, unread in a folder (a filter may have put it there), junk (so may the spam filter): unknown.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mailweir.models.training.data.folders import Kind, folder_kind

Action = Literal["reply_now", "reply_later", "forward", "archive", "delete"]

_AT_ONCE = timedelta(hours=1)
_IN_TIME = timedelta(days=14)
_CLOCKS = timedelta(minutes=5)  # by which an answer may seem older than what it answers


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy of a mail lies and how it is marked."""

    kind: Kind
    flags: frozenset[str] | None  # Maildir: R answered, P passed on, S seen, T trashed, D draft; None: an mbox has none


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail of the history, without its text."""

    key: str  # of its copies, the same
    message_id: str | None
    parent: str | None  # id of the mail that it answers or passes on
    people: frozenset[str]  # addresses that it is from, to and copied to, lower case, without the owner's
    recipients: frozenset[str]  # of these, to and copied to
    sent: bool  # by the owner
    date: datetime | None
    place: Place


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of one received mail."""

    action: Action | None
    why: str  # the same words for the same reason, so that they can be counted


def place_of(folder: str | None, flags: str | None) -> Place:
    """The place by a folder's name as a mail program gave it; None: a single file that says nothing."""
    return Place(folder_kind(folder), None if flags is None else frozenset(flags))


def judge(mails: Sequence[Mail]) -> dict[str, Judged]:
    """Per key of each received mail what its owner did with it."""
    answers: dict[str, list[Mail]] = defaultdict(list)
    gone = [mail for mail in mails if mail.sent and not _draft(mail)]
    for mail in gone:
        if mail.parent:
            answers[mail.parent].append(mail)
    copies: dict[str, list[Mail]] = defaultdict(list)
    for mail in mails:
        if not mail.sent and mail.place.kind != "sent" and not _draft(mail):
            copies[mail.key].append(mail)
    told = bool(gone) or any("R" in (mail.place.flags or ()) for mail in mails)
    return {key: _judged(found, answers, told=told) for key, found in copies.items()}


def _draft(mail: Mail) -> bool:
    return mail.place.kind == "drafts" or "D" in (mail.place.flags or ())


def _judged(copies: Sequence[Mail], answers: Mapping[str, Sequence[Mail]], *, told: bool) -> Judged:
    mail, known = copies[0], copies[0].message_id
    # undated ones last: what was done first is what the mail called for
    following = sorted(answers.get(known, ()) if known else (), key=lambda sent: (sent.date is None, sent.date))
    if following:
        return _followed(mail, following[0])
    flags = frozenset[str]().union(*(copy.place.flags or () for copy in copies))
    if "R" in flags:
        return Judged(None, "answered, when is not known")
    if "P" in flags:
        return Judged("forward", "marked as passed on")
    if not told or known is None:
        return Judged(None, "an answer would not be seen")
    return _kept(copies, flags)


def _followed(mail: Mail, sent: Mail) -> Judged:
    if not sent.recipients:
        return Judged(None, "sent on, to whom is not known")
    if not sent.recipients & mail.people:
        return Judged("forward", "sent on to others")
    if mail.date is None or sent.date is None:
        return Judged(None, "answered, when is not known")
    return _answered(sent.date - mail.date)


def _answered(waited: timedelta) -> Judged:
    if waited < -_CLOCKS:
        return Judged(None, "answered before it was written: clocks differ")
    if waited <= _AT_ONCE:
        return Judged("reply_now", "answered within the hour")
    if waited <= _IN_TIME:
        return Judged("reply_later", "answered within two weeks")
    return Judged(None, "answered after two weeks")


def _kept(copies: Sequence[Mail], flags: frozenset[str]) -> Judged:
    kinds = {copy.place.kind for copy in copies if "T" not in (copy.place.flags or ())}
    seen = "S" in flags or any(copy.place.flags is None for copy in copies)
    if "filed" in kinds:
        return Judged("archive", "filed") if seen else Judged(None, "filed unread, perhaps by a filter")
    if "inbox" in kinds or "unknown" in kinds:
        return Judged(None, "left where it arrived")
    if "junk" in kinds:
        return Judged(None, "junk, perhaps by a filter")
    return Judged("delete", "thrown away")
