"""Parsing in processes of their own: a mail that takes too long or kills the parser costs that mail and no other.

Why not `pebble.ProcessPool`: it was measured fit in speed (0.07 to 0.12 ms CPU a mail in the parent, this 0.03), but a
worker that dies while idle breaks its pool for good, a worker that ignores SIGTERM costs three more seconds per timeout,
and it unpickles what comes back from a process that reads hostile mail. This child answers in JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from mailweir.schemas.errors import ParserCrashed, ParseTimeout, RecordError, SetupError
from mailweir.schemas.events import Email
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.wire import HEADER, decode_answer, encode_limits, encode_mail

__all__ = ["ParserPool"]

_CHILD = ("-m", "mailweir.services.ingest.child")
_START_SECONDS = 60.0  # a child is ready after about two; on a machine that swaps, more
_GRACE_SECONDS = 10.0  # beyond the limit that the child keeps itself: for one whose timer does not fire
_ATTEMPTS = 2  # a child that was killed from outside says nothing about the mail in hand


class _Gone(Exception):
    """The child ended before it answered."""


@dataclass(slots=True)
class _Child:
    """One parser process and its pipes."""

    process: asyncio.subprocess.Process
    limits: ParseLimits

    @classmethod
    async def start(cls, limits: ParseLimits) -> Self:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *_CHILD,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C and a stop of the group are for the parent, who finishes its batch
        )
        child = cls(process, limits)
        try:
            await child._send(encode_limits(limits))
            async with asyncio.timeout(_START_SECONDS):
                await child._receive()
        except (_Gone, TimeoutError) as error:
            await child.kill()
            message = f"the parser process did not start (exit code {process.returncode}): see its message on stderr"
            raise SetupError(message) from error
        except BaseException:
            await child.kill()
            raise
        return child

    async def parse(self, mails: Sequence[RawMail], results: list[Email | RecordError]) -> None:
        """Append to `results` one by one; what is missing after `_Gone` or `TimeoutError` was not answered."""
        sending = asyncio.ensure_future(self._send(*map(encode_mail, mails)))
        try:
            for _ in mails:
                async with asyncio.timeout(self.limits.parse_seconds + _GRACE_SECONDS):
                    results.append(decode_answer(await self._receive()))
            await sending
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, _Gone):
                await sending

    async def _send(self, *frames: bytes) -> None:
        pipe = self.process.stdin
        assert pipe is not None  # noqa: S101  asked for above
        try:
            for frame in frames:
                pipe.write(frame)
                await pipe.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _Gone from error

    async def _receive(self) -> bytes:
        pipe = self.process.stdout
        assert pipe is not None  # noqa: S101  asked for above
        try:
            (size,) = HEADER.unpack(await pipe.readexactly(HEADER.size))
            return await pipe.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionResetError) as error:
            raise _Gone from error

    async def kill(self) -> int:
        """End it now; its exit code, minus the signal if one ended it."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Popen.kill() would take the exit code of a child that has just ended from asyncio, which then says 255
                os.kill(self.process.pid, signal.SIGKILL)
        self._close_stdin()
        return await self.process.wait()

    async def finish(self) -> None:
        """Let it end by itself: the end of its input says so."""
        self._close_stdin()
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await self.process.wait()
        except TimeoutError:
            await self.kill()

    def _close_stdin(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()


class ParserPool:
    """Parses batches of raw mail in `workers` processes, within the limits."""

    def __init__(self, limits: ParseLimits, workers: int = 1) -> None:
        self._limits = limits
        self._workers = workers
        self._idle: asyncio.Queue[_Child | None] = asyncio.Queue()
        self._started = False

    async def start(self) -> None:
        """Start the processes and wait until they are warm.

        Raises:
            SetupError: a process does not come up.
        """
        children = await asyncio.gather(*(_Child.start(self._limits) for _ in range(self._workers)))
        for child in children:
            self._idle.put_nowait(child)
        self._started = True

    async def close(self) -> None:
        """Wait for the mails in hand and end the processes."""
        if not self._started:
            return
        self._started = False
        for _ in range(self._workers):
            child = await self._idle.get()
            if child is not None:
                await child.finish()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def parse_all(self, mails: Sequence[RawMail]) -> list[Email | RecordError]:
        """One result for each mail, in its place: the `Email`, or the error for which it belongs into `mail.dead`."""
        if not self._started:
            raise SetupError("the parser pool is not running: await start() first")
        shares = [mails[worker :: self._workers] for worker in range(min(self._workers, len(mails)))]
        answers = await asyncio.gather(*map(self._parse_share, shares))
        dealt = itertools.chain.from_iterable(itertools.zip_longest(*answers))
        return [result for result in dealt if result is not None]

    async def _parse_share(self, mails: Sequence[RawMail]) -> list[Email | RecordError]:
        """All of `mails` in one child; after an accident go on behind the mail at fault with a new child."""
        results: list[Email | RecordError] = []
        attempts = 1
        while len(results) < len(mails):
            done = len(results)
            child = await self._idle.get()
            try:
                child = child or await _Child.start(self._limits)
                await child.parse(mails[done:], results)
            except (_Gone, TimeoutError) as accident:
                exit_code = await child.kill() if child else 0
                child = None
                attempts = 1 if len(results) > done else attempts
                fault = _fault(accident, exit_code, attempts, self._limits)
                if fault is not None and len(results) < len(mails):
                    results.append(fault)
                attempts = 1 if fault else attempts + 1
            except BaseException:
                if child is not None:
                    await asyncio.shield(child.kill())
                child = None
                raise
            finally:
                self._idle.put_nowait(child)
        return results


def _fault(accident: Exception, exit_code: int, attempts: int, limits: ParseLimits) -> RecordError | None:
    """Why the mail in hand has no result; None if it deserves another attempt."""
    if isinstance(accident, TimeoutError) or exit_code == -signal.SIGALRM:
        return ParseTimeout(
            f"parsing took longer than {limits.parse_seconds:g} s: "
            "raise MAILWEIR_INGEST_PARSE_SECONDS if such mail is wanted",
            seconds=limits.parse_seconds,
            setting="MAILWEIR_INGEST_PARSE_SECONDS",
        )
    if attempts < _ATTEMPTS:
        return None
    return ParserCrashed(
        f"the parser process died on this mail {attempts} times, last with exit code {exit_code}: report the mail",
        exit_code=exit_code,
        attempts=attempts,
    )
