"""The command `mailweir`: its groups, its version, and how errors leave it."""

from __future__ import annotations

import errno
import inspect
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mailweir.schemas.errors import BundleError, MailweirError, SetupError
from mailweir.services.cli import (
    accuracy,
    classify,
    dashboard,
    data,
    data_build,
    data_history,
    dead,
    demo,
    evaluate,
    feedback,
    gate,
    kafka,
    metrics,
    models,
    models_diff,
    models_look,
    models_rebuild,
    models_repair,
    models_shadow,
    replay,
    retrain,
    retrain_run,
    review,
    schemas,
    send,
    settings,
    size,
    topics,
    train,
    watch,
    withdraw,
    worker,
)
from mailweir.services.cli.output import complain, discard_output

__all__ = ["app", "exit_code", "main"]


def exit_code(error: MailweirError) -> int:
    """2 if the set-up is at fault, 1 for everything else."""
    return 2 if isinstance(error, SetupError | BundleError) else 1


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # whatever is written, and wherever to, ends on a full disk


class _OneLineErrors(TyperGroup):
    """Errors of our tree become one line on standard error; a traceback is for defects."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MailweirError as error:
            complain(error.message)
            raise typer.Exit(exit_code(error)) from error
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            complain(
                f"{error.filename or 'the output'}: {error.strerror}: make room; what was written before is not whole"
            )
            discard_output()
            raise typer.Exit(2) from error


app = typer.Typer(
    name="mailweir",
    cls=_OneLineErrors,
    help="Decides about email as it streams through Apache Kafka: category, intent, action, priority and state.",
    epilog="Exit codes everywhere: 0 done; 1 found something wrong; 2 usage or set-up; 130 ended by Ctrl-C (0 for what runs until then).\n\n"
    "Settings are MAILWEIR_* variables: `mailweir settings` lists them. First steps: `mailweir demo`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer's callback
    if value:
        typer.echo(f"mailweir {version('mailweir')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("demo")(demo.demo)
app.command("worker")(worker.worker)
app.command("send")(send.send)
app.command("watch")(watch.watch)
app.command("classify")(classify.classify)
feedback.app.command("withdraw")(withdraw.withdraw)
feedback.app.command("receipt")(withdraw.receipt)
feedback.app.command("accuracy")(accuracy.accuracy)
app.add_typer(feedback.app, name="feedback")
app.add_typer(review.app, name="review")
app.add_typer(dead.app, name="dead")
app.add_typer(topics.app, name="topics")
retrain.app.command("run")(retrain_run.run)
app.add_typer(retrain.app, name="retrain")
app.command("replay")(replay.replay)
app.add_typer(kafka.app, name="kafka")
app.add_typer(schemas.app, name="schemas")
models.app.command("list")(models_look.list_all)
models.app.command("show")(models_look.show)
models.app.command("verify")(models_look.verify)
models.app.command("shadow")(models_shadow.shadow)
models.app.command("reclassify")(models_repair.reclassify)
models.app.command("diff")(models_diff.diff)
models.app.command("gate")(gate.gate)
models.app.command("rebuild")(models_rebuild.rebuild)
app.add_typer(models.app, name="models")
app.command("dashboard")(dashboard.dashboard)
app.command("size")(size.size)
app.command("settings")(settings.settings)
app.command("metrics")(metrics.metrics)
app.command("train", help=train.HELP)(train.train)
app.command("evaluate")(evaluate.evaluate)
data.app.command("build")(data_build.build)
data.app.command("label-history")(data_history.label_history)
app.add_typer(data.app, name="data")


def _reflow(tree: typer.Typer) -> None:
    """Let help fill the terminal: a paragraph's lines are one text, whatever their length in the source."""
    for command in tree.registered_commands:
        paragraphs = inspect.cleandoc(command.help or command.callback.__doc__ or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for group in tree.registered_groups:
        if group.typer_instance:
            _reflow(group.typer_instance)


_reflow(app)


def main() -> None:
    """Run the command line and exit."""
    app(prog_name="mailweir")
