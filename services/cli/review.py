"""`mailweir review`: what people are asked, and their answers."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailweir.schemas.errors import InputError, MailExpired, RecordError
from mailweir.schemas.events import Decision, Feedback, ReviewAsked
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import complain, console, emit
from mailweir.services.cli.words import person_id, word_about

if TYPE_CHECKING:
    from mailweir.services.cli.review_place import Place
    from mailweir.services.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    help="Answer what mailweir asks people: decisions that teach most, and some by lot.", no_args_is_help=True
)

_ALL = "all"


@app.command("next")
def next_question(
    *,
    person: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Opaque id of who answers; not needed with --json.", callback=person_id),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many questions.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The open questions, one a line with its decision; without text of the mail.")
    ] = False,
) -> None:
    """Show what is open, question by question, and take the answers by key.

    Shows the mail, what was decided with its probabilities, and why it is asked about. Enter: all heads are right as they stand.
    A digit opens the labels of a head, a letter chooses one. s skips, u takes the last answer back, m shows the whole mail,
    q ends. Each answer is sent at once. On a cluster with permissions it is the user review that asks and answers.

    [bold]mailweir review next --person u-17[/]

    Exit codes: 0 shown, also where nothing is open; 1 the broker went away; 2 no terminal, no broker or no topic.
    """
    settings = client_settings()
    if as_json:
        asyncio.run(_list(settings, count))
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("there is no terminal: use `mailweir review next --json` and `mailweir review answer`")
    if not person:
        raise InputError("who answers? give --person ID, the same opaque id each time")
    asyncio.run(_sit(settings, person, count))


@app.command()
def answer(
    decision_id: Annotated[str, typer.Argument(metavar="DECISION_ID", help="Of the question; its first digits do.")],
    *,
    person: Annotated[str, typer.Option(metavar="ID", help="Opaque id of who answers.", callback=person_id)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="HEAD=LABEL", help="The right label of a head; again for each."),
    ] = None,
    confirm: Annotated[
        list[str] | None,
        typer.Option(metavar="HEAD", help="A head that is right as it is; again for each. all: every other head."),
    ] = None,
    next_action: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="One of the right next actions; again for each.")
    ] = None,
) -> None:
    """Answer one question, for scripts.

    Prints the feedback as JSON with its id. A second answer of the same person replaces the first.

    [bold]mailweir review answer 3f9a01c2 --set category=work --confirm all --person u-17[/]

    Exit codes: 0 sent; 1 the mail is no longer there, or the broker went away; 2 no such question, a label is unknown, no broker
    or no topic.
    """
    if not (set_ or confirm or next_action):
        raise InputError("nothing is said: give --set HEAD=LABEL, --confirm HEAD (or all) or --next-action LABEL")
    word = asyncio.run(_answer(client_settings(), decision_id, person, _Said(set_ or [], confirm or [], next_action)))
    emit({"feedback_id": word.event_id, **word.model_dump(mode="json")})


class _Said:
    """The options of an answer."""

    def __init__(self, right: list[str], confirmed: list[str], next_actions: list[str] | None) -> None:
        for said in right:
            if not said.partition("=")[2]:
                raise InputError(f"--set {said}: write HEAD=LABEL, such as category=work")
        self.right = right
        self.confirmed = confirmed
        self.next_actions = tuple(next_actions) if next_actions else None

    def about(self, decision: Decision) -> list[str]:
        """As `word_about` takes it."""
        named = {said.partition("=")[0] for said in self.right}
        rest = [name for name in decision.heads if name not in named] if _ALL in self.confirmed else []
        return [*self.right, *dict.fromkeys([*(name for name in self.confirmed if name != _ALL), *rest])]


async def _answer(settings: Settings, decision_id: str, person: str, said: _Said) -> Feedback:
    from mailweir.services.cli.review_place import opened

    async with opened(settings) as place:
        question = await place.named(decision_id)
        decision = await place.decision(question)
        try:
            word = word_about(decision, person, said.about(decision), said.next_actions)
        except RecordError as error:
            raise InputError(error.message) from error
        word = word.model_copy(update={"decision_source": question.decision_source})
        await place.send(word)
        return word


async def _sit(settings: Settings, person: str, count: int | None) -> None:
    from mailweir.services.cli.keys import Keys
    from mailweir.services.cli.review_place import opened
    from mailweir.services.cli.review_session import Session

    async with opened(settings) as place, Keys(sys.stdin.fileno()) as keys:
        await Session(place, keys, console(), person).run(count)


async def _list(settings: Settings, count: int | None) -> None:
    from mailweir.services.cli.review_place import opened

    async with opened(settings) as place:
        for question in (await place.questions())[:count]:
            if (shown := await _shown(place, question)) is not None:
                emit(shown)


async def _shown(place: Place, question: ReviewAsked) -> dict[str, Any] | None:
    try:
        decision = await place.decision(question)
    except MailExpired as error:
        complain(error.message)
        return None
    told = question.model_dump(mode="json", exclude={"sketch"})
    return told | {"decision": decision.model_dump(mode="json")}
