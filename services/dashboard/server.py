"""The page's server: files, dashboards, and the answers to a panel's own queries; nobody can ask Prometheus anything else here."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from mailweir.schemas.errors import DependencyError, InputError, SettingsError
from mailweir.services.dashboard import answers
from mailweir.services.dashboard.asked import Window, chosen, fill, window
from mailweir.services.dashboard.board import Board, Panel
from mailweir.services.dashboard.library import Library
from mailweir.services.dashboard.prometheus import Prometheus

__all__ = ["Page"]

HOST = "127.0.0.1"  # whoever can open the page sees every figure: who is elsewhere comes through a tunnel or a proxy of theirs
_OURS = {"127.0.0.1", "localhost", "[::1]"}
_FILES = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_EVENT_STEP_S = 60  # Grafana looks for annotations as often
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class _Question:
    """A request about a dashboard."""

    board: Board
    window: Window
    values: Mapping[str, str]  # of its variables


class Page:
    """A server on this machine only, from `start` to `stop`."""

    def __init__(
        self, prometheus: Prometheus, boards: Mapping[str, Board], library: Library, scrape: int, runbooks: Path
    ) -> None:
        self._prometheus = prometheus
        self._boards = boards
        self._scrape = scrape
        self._runbooks = runbooks
        self._files = {path.name: path.read_bytes() for path in _FILES.iterdir()}
        self._files |= {"uplot.js": library.script, "uplot.css": library.style}
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, port: int) -> None:
        """Listen; 0 takes a free port.

        Raises:
            SettingsError: the port is taken or not allowed.
        """
        app = web.Application(middlewares=[_guard])
        app.add_routes(
            [
                web.get("/", self._first),
                web.get("/files/{name}", self._file),
                web.get("/runbooks/{name}", self._runbook),
                web.get("/api/boards", self._list),
                web.get("/api/boards/{board}", self._board),
                web.get("/api/boards/{board}/choices", self._choices),
                web.get("/api/boards/{board}/events", self._events),
                web.get("/api/boards/{board}/panels/{panel:[0-9]{1,4}}", self._panel),
                web.get("/{board}", self._page),
            ]
        )
        await self._prometheus.start()
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port).start()
        except OSError as error:
            await self.stop()
            reason = "somebody listens there" if error.errno == errno.EADDRINUSE else error.strerror
            raise SettingsError(f"cannot listen on {HOST}:{port} ({reason}): choose another with --port") from error
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}/"

    async def stop(self) -> None:
        """Close it."""
        if self._runner:
            await self._runner.cleanup()
        await self._prometheus.stop()

    async def trouble(self) -> str:
        """What is wrong with Prometheus at this moment; empty if nothing is."""
        try:
            await self._prometheus.vector("1", time.time())
        except DependencyError as error:
            return error.message
        return ""

    async def _first(self, _: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/{next(iter(self._boards))}")

    async def _page(self, request: web.Request) -> web.Response:
        self._named(request)
        return _file("index.html", self._files["index.html"])

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound(text=f"there is no file {name}")
        return _file(name, self._files[name])

    async def _runbook(self, request: web.Request) -> web.Response:
        pages = {path.name: path for path in self._runbooks.glob("*.md")}
        if (name := request.match_info["name"]) not in pages:
            raise web.HTTPNotFound(
                text=f"there is no {name} in {self._runbooks}: start mailweir dashboard with --runbooks DIR, "
                "which is deploy/runbooks of the repository"
            )
        return web.Response(text=pages[name].read_text(encoding="utf-8"), content_type="text/plain", charset="utf-8")

    async def _list(self, _: web.Request) -> web.Response:
        return _json([{"name": board.name, "title": board.title} for board in self._boards.values()])

    async def _board(self, request: web.Request) -> web.Response:
        return web.Response(body=self._named(request).source, content_type="application/json")

    async def _choices(self, request: web.Request) -> web.Response:
        asked = self._asked(request)
        found = await asyncio.gather(
            *(
                self._prometheus.values(choice.label, fill(choice.selector, asked.values), asked.window)
                for choice in asked.board.choices.values()
            )
        )
        return _json(dict(zip(asked.board.choices, found, strict=True)))

    async def _events(self, request: web.Request) -> web.Response:
        asked = self._asked(request)
        if asked.board.events is None:
            return _json([])
        span = Window(asked.window.start, asked.window.end, _EVENT_STEP_S, self._scrape)
        return _json(answers.events(_EVENT_STEP_S, await self._ask(asked, asked.board.events.expression, span)))

    async def _panel(self, request: web.Request) -> web.Response:
        asked = self._asked(request)
        panel = asked.board.panels.get(int(request.match_info["panel"]))
        if panel is None:
            raise web.HTTPNotFound(text="there is no such panel")
        return _json(await self._answer(asked, panel))

    async def _answer(self, asked: _Question, panel: Panel) -> dict[str, Any]:
        expressions = [query.expression for query in panel.queries]
        if panel.kind == "table":
            filled = [self._filled(asked, expression, asked.window) for expression in expressions]
            at = asked.window.end
            return answers.table(await asyncio.gather(*(self._prometheus.vector(one, at) for one in filled)))
        found = await asyncio.gather(*(self._ask(asked, expression, asked.window) for expression in expressions))
        if panel.kind == "heatmap":
            return answers.heat(asked.window, found[0])
        return answers.graph(asked.window, panel.queries, found)

    async def _ask(self, asked: _Question, expression: str, span: Window) -> answers.Matrix:
        return await self._prometheus.matrix(self._filled(asked, expression, span), span)

    def _filled(self, asked: _Question, expression: str, span: Window) -> str:
        return fill(expression, {**asked.values, "__rate_interval": f"{span.rate_interval}s"})

    def _named(self, request: web.Request) -> Board:
        board = self._boards.get(request.match_info["board"])
        if board is None:
            raise web.HTTPNotFound(text=f"there is no such dashboard; there are: {', '.join(self._boards)}")
        return board

    def _asked(self, request: web.Request) -> _Question:
        board = self._named(request)
        try:
            until = float(request.query.get("until") or time.time())
        except ValueError:
            until = 0
        span = window(request.query.get("range", "6h"), until, self._scrape)
        return _Question(board, span, chosen(board, request.query))


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _file(name: str, content: bytes) -> web.Response:
    return web.Response(body=content, content_type=_TYPES[Path(name).suffix], charset="utf-8")


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Each answer with its headers, each failure as its message; a name that leads here from elsewhere is refused.

    A foreign page can let its own name point to this machine (DNS rebinding), and would read along.
    """
    try:
        if (request.host.rpartition(":")[0] or request.host) not in _OURS:
            raise web.HTTPForbidden(text=f"this page is for http://{HOST}, not for {request.host}")
        answer = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    except InputError as error:
        answer = _json({"kind": "asked", "error": error.message}, 400)
    except DependencyError as error:
        answer = _json({"kind": error.detail["kind"], "error": error.message}, 502)
    answer.headers.update(_HEADERS)
    return answer
