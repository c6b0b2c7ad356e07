"""Pages, JSON, server-sent events, metrics and health over HTTP. There is nothing to write to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backstop.monitor.hub import PANELS, Hub, to_json
from backstop.monitor.metrics import render

STATIC: Final = Path(__file__).with_name("static")

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""Sent with every answer: the page loads nothing from elsewhere and runs no inline script."""

MOST_READERS: Final = 500
HEARTBEAT: Final = 15.0
"""Seconds after which an idle stream says that it is there."""


class _Headers:
    """Adds `HEADERS`; plain ASGI, since starlette's own middleware class breaks streams' ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def make_app(hub: Hub, hosts: list[str] | None = None) -> Starlette:
    """The application.

    Args:
        hub: has the panels.
        hosts: names under which it answers (a page elsewhere cannot read it through a name of its
            own that points here); any if None.
    """
    handlers = _Handlers(hub)
    middleware = [Middleware(_Headers)]
    if hosts is not None:
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=hosts))
    return Starlette(
        routes=[
            Route("/", handlers.page),
            Route("/api", handlers.index),
            Route("/api/series", handlers.series),
            Route("/api/{panel}", handlers.panel),
            Route("/stream", handlers.stream),
            Route("/metrics", handlers.metrics),
            Route("/healthz", handlers.health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=middleware,
    )


def _json(text: str, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(text, status, headers, media_type="application/json")


class _Handlers:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def index(self, request: Request) -> Response:
        return JSONResponse({"panels": [f"/api/{name}" for name in (*PANELS, "series")]})

    async def panel(self, request: Request) -> Response:
        name = request.path_params["panel"]
        if name not in PANELS:
            listed = ", ".join((*PANELS, "series"))
            return JSONResponse({"error": f"no such panel; there are: {listed}"}, 404)
        text = self._hub.text(name)
        if text is None:
            status = self._hub.get("status") or {}
            why = status.get("problem") or "the chain is being read"
            return JSONResponse({"error": f"nothing to show yet: {why}"}, 503)
        return _json(text)

    async def series(self, request: Request) -> Response:
        return _json(_series_text(self._hub, -1, 0)[2])

    async def metrics(self, request: Request) -> Response:
        return Response(render(self._hub), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def health(self, request: Request) -> Response:
        status = self._hub.get("status") or {"state": "starting", "problem": "starting"}
        good = status["state"] == "live"
        answer = {"ok": good, "state": status["state"], "block": status.get("block")}
        if not good:
            answer["reason"] = status["problem"] or status["state"]
        return _json(to_json(answer), 200 if good else 503)

    async def stream(self, request: Request) -> Response:
        if self._hub.readers >= MOST_READERS:
            message = f"{MOST_READERS} pages are open already; use /api, or try again later"
            return JSONResponse({"error": message}, 503, headers={"retry-after": "30"})
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(), headers=headers, media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        """What is newest, then what is newer: the reader's speed decides how much it gets."""
        seen: dict[str, int] = {}
        generation, sequence = -1, 0
        yield "retry: 1000\n\n"
        with self._hub.subscribe() as bell:
            while not self._hub.closed:
                before = generation
                generation, sequence, text, empty = _series_text(self._hub, generation, sequence)
                news = self._hub.newer(seen)
                if generation != before:
                    news.append(("series", text))
                elif not empty:
                    news.append(("points", text))
                if news:
                    yield "".join(f"event: {name}\ndata: {data}\n\n" for name, data in news)
                if not await bell.wait(HEARTBEAT):
                    yield ": still here\n\n"


def _series_text(hub: Hub, generation: int, sequence: int) -> tuple[int, int, str, bool]:
    generation, last, columns, rows = hub.series.read(generation, sequence)
    head = to_json({"generation": generation, "columns": columns})
    text = f'{head[:-1]},"rows":[{",".join(rows)}]}}'
    return generation, last, text, not rows
