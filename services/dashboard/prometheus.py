"""Reading from Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/): three paths, bounded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import aiohttp
import orjson
from yarl import URL

from mailweir.schemas.errors import DependencyError, SettingsError
from mailweir.services.dashboard.answers import Matrix
from mailweir.services.dashboard.asked import Window

__all__ = ["Prometheus", "address"]

_WAIT_S = 10.0
_MOST_BYTES = 32 * 1024 * 1024  # some 3,000 lines of 300 points
_AT_ONCE = 4  # of Prometheus' 20 queries at a time: others want to ask as well


def address(text: str) -> URL:
    """Where Prometheus is.

    Raises:
        SettingsError: it is no http or https address.
    """
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host or url.query_string or url.fragment:
        raise SettingsError(f"--prometheus {text!r} is no address such as http://127.0.0.1:9090")
    return url


class Prometheus:
    """Answers of one server; `DependencyError` with `kind` where there is none."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    @property
    def shown(self) -> str:
        """Its address for people: without a password."""
        return str(self._url.with_user(None)).rstrip("/")

    async def start(self) -> None:
        """Before the first question."""
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=_WAIT_S))

    async def stop(self) -> None:
        """After the last."""
        if self._session:
            await self._session.close()

    async def matrix(self, expression: str, window: Window) -> Matrix:
        """Values at every moment of the window."""
        span = {"start": str(window.start), "end": str(window.end), "step": str(window.step)}
        return list((await self._ask("query_range", {"query": expression, **span}))["result"])

    async def vector(self, expression: str, at: float) -> Matrix:
        """Values of one moment."""
        return list((await self._ask("query", {"query": expression, "time": str(at)}))["result"])

    async def values(self, label: str, selector: str, window: Window) -> list[str]:
        """Values that a label had in the window, sorted."""
        span = {"start": str(window.start), "end": str(window.end)}
        return list(await self._ask(f"label/{label}/values", {"match[]": selector, **span}, "GET"))

    async def _ask(self, path: str, form: Mapping[str, str], method: Literal["GET", "POST"] = "POST") -> Any:
        assert self._session is not None  # noqa: S101 - start() was called
        url = self._url.joinpath("api/v1", path)
        sent = {"params": form} if method == "GET" else {"data": form}
        try:
            async with self._session.request(method, url, **sent) as answer:  # type: ignore[arg-type] # by method
                content = await _bounded(answer.content)
        except TimeoutError as error:
            raise self._away(f"has not answered within {_WAIT_S:.0f} s") from error
        except aiohttp.ClientConnectorError as error:
            raise self._away(f"does not answer ({_reason(error.os_error)})") from error
        except aiohttp.ClientError as error:
            raise self._away(f"broke off ({type(error).__name__})") from error
        return self._data(content, answer.status)

    def _data(self, content: bytes, status: int) -> Any:
        try:
            found = orjson.loads(content)
            if found["status"] == "success":
                return found["data"]
            raise DependencyError(f"Prometheus refuses the query: {found['error']}", kind="refused")
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise self._away(f"answers with HTTP {status} and not as a Prometheus does") from error

    def _away(self, what: str) -> DependencyError:
        return DependencyError(f"Prometheus at {self.shown} {what}", kind="away")


def _reason(error: OSError) -> str:
    """Of the system; asyncio puts words of its own before it. A name that is not found has a negative number."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    parts = bytearray()
    async for part in content.iter_any():
        parts += part
        if len(parts) > _MOST_BYTES:
            raise DependencyError(
                "Prometheus' answer is too large: choose a shorter range or a value above", kind="refused"
            )
    return bytes(parts)
