"""A training run that kills itself: `python killed_trainer.py SETTINGS REQUEST SHARDS PHASE STEP DONE`, JSON and a place.

The place is the first word of the run's progress in that phase and step with as many units done.
"""

import os
import signal
import sys

from lessons import lenient, no_page, run_once
from pydantic import TypeAdapter

from mailweir.models.training.gate import page
from mailweir.schemas.events import RetrainRequested, ShardClosed
from mailweir.services.settings import Settings
from mailweir.services.trainer.progress import Progress


def main() -> None:
    """Carry it out until the place is reached."""
    known, request, shards, phase, step, done = sys.argv[1:]

    def tell(told: Progress) -> None:
        if (told.phase, told.step) == (phase, step) and told.done >= int(done):
            os.kill(os.getpid(), signal.SIGKILL)

    closed = TypeAdapter(tuple[ShardClosed, ...]).validate_json(shards)
    page.write_page = no_page
    run_once(Settings.model_validate_json(known), RetrainRequested.decode(request.encode()), closed, tell, lenient())


main()
