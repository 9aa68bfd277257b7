"""`mailweir worker`: the agents, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import SettingsError, SetupError
from mailweir.schemas.topics import TOPICS, Topic
from mailweir.services.cli.output import emit
from mailweir.services.settings import Settings, load_settings
from mailweir.services.telemetry import configure_logging

if TYPE_CHECKING:
    from mailweir.services.app import Host

__all__ = ["STAGES", "needed_topics", "worker"]


def _ingest(host: Host) -> None:
    from mailweir.services.ingest.agent import register

    register(host)


def _classify(host: Host) -> None:
    from mailweir.services.classify.agent import register

    register(host)


def _feedback(host: Host) -> None:
    try:
        from mailweir.services.feedback.agent import register
        from mailweir.services.feedback.redact import redact
        from mailweir.services.feedback.redaction import Redaction
    except ImportError as error:
        raise SetupError(f"feedback needs a package ({error}): pip install 'mailweir[feedback]'") from error
    register(host, Redaction(redact, frozenset(host.settings.redact)))


def _retrain(host: Host) -> None:
    try:
        import fsspec  # noqa: F401 - shards are read when they come: what is missing is said at the start

        import mailweir.models.feedback  # noqa: F401
        from mailweir.services.retrain.agent import register
    except ImportError as error:
        raise SetupError(f"retrain needs a package ({error}): pip install 'mailweir[feedback]'") from error
    register(host)


def _trainer(host: Host) -> None:
    from importlib.util import find_spec

    from mailweir.services.trainer.agent import register

    # its process needs them, not we: a run must not fail for what can be said before the first
    missing = [name for name in ("torch", "pyarrow", "fsspec") if find_spec(name) is None]
    if missing:
        raise SetupError(f"trainer needs packages ({', '.join(missing)}): pip install 'mailweir[train,feedback]'")
    if host.settings.registry is None:
        raise SettingsError("trainer needs the registry that candidates go into: set MAILWEIR_REGISTRY")
    register(host)


STAGES: Mapping[str, Callable[[Host], None]] = {
    "ingest": _ingest,
    "classify": _classify,
    "feedback": _feedback,
    "retrain": _retrain,
    "trainer": _trainer,
}
"""Agent → how it joins a host; a worker imports only those that it runs."""

_DEFAULT = ("ingest", "classify")  # the loop needs an extra and a ledger: whoever wants its agents names them


def worker(
    stages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ingest classify feedback retrain trainer …]",
            help="Agents to run; ingest and classify where none is named.",
        ),
    ] = None,
) -> None:
    r"""Run agents: mail.raw → ingest → mail.parsed → classify → mail.classified, and those of the loop by name.

    The loop: mail.feedback → feedback → mail.shards → retrain → mail.retrain → trainer.

    Prints one JSON line when mail is being handled, with the URL of the metrics; logs go to standard error. Start as many as
    there are cores: they share the partitions. SIGTERM and Ctrl-C end it after the batch in hand.

    Feedback keeps corrections in the ledger (MAILWEIR_LEDGER); retrain reads its shards. Both need
    [bold]pip install 'mailweir\[feedback]'[/]. Trainer starts [bold]mailweir retrain run[/] as a process on this machine, within
    MAILWEIR_TRAINER_MEMORY_GIB and MAILWEIR_TRAINER_HOURS; it needs [bold]pip install 'mailweir\[train,feedback]'[/].

    [bold]mailweir worker classify[/]

    Exit codes: 0 ended by a signal; 1 going on would have lost mail (start it again: it resumes where it committed);
    2 no broker, a topic missing, a wrong setting, or a bundle that cannot be used.
    """
    chosen = _chosen(stages or _DEFAULT)
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(_work(settings, chosen))


def needed_topics(stages: Sequence[str]) -> tuple[Topic, ...]:
    """What these agents read and write."""
    return tuple(topic for topic in TOPICS if set(stages) & {*topic.readers, *topic.writers})


def _chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Each agent once, in the order of the stream."""
    for name in names:
        if name not in STAGES:
            raise SettingsError(f"there is no agent {name}; there are: {', '.join(STAGES)}", name=name)
    return tuple(name for name in STAGES if name in names)


async def _work(settings: Settings, stages: Sequence[str]) -> None:
    from mailweir.services.app import Host
    from mailweir.services.stream import KafkaBus
    from mailweir.services.topics import require

    await require(settings, needed_topics(stages))
    host = Host(settings, KafkaBus(settings))
    for stage in stages:
        STAGES[stage](host)
    await host.serve(lambda url: emit({"ready": True, "stages": stages, "metrics": url}))
