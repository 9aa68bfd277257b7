"""A worker with the trainer agent, whose trainer is the shell script in its first argument."""

from __future__ import annotations

import asyncio
import sys

from mailweir.services.app import Host
from mailweir.services.cli.output import emit
from mailweir.services.settings import load_settings
from mailweir.services.stream import KafkaBus
from mailweir.services.telemetry import configure_logging
from mailweir.services.trainer.agent import register


async def main(script: str) -> None:
    """Run it until a signal."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    host = Host(settings, KafkaBus(settings))
    register(host, ("sh", "-c", script, "trainer"), look_s=0.1)
    await host.serve(lambda url: emit({"ready": True, "metrics": url}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
