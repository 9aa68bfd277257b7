"""The command line: `mailweir`, one file a command."""

from mailweir.services.cli.app import main

__all__ = ["main"]
