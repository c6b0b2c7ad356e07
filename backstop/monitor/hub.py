"""The newest panels, for any number of readers.

The watcher's thread publishes; every reader waits on its own and takes what is newest when it can.
Nothing is queued: a slow reader misses what was replaced meanwhile, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from typing import Any, Final

from backstop.chain.commands import plain
from backstop.monitor.series import Series

PANELS: Final = ("status", "fund", "markets", "stake", "risk", "shock", "feed", "rules")
"""Names of the panels, in the order in which a new reader gets them."""


def to_json(value: Any) -> str:
    """Compact JSON; what is no number (infinity, NaN) becomes null."""
    return json.dumps(_finite(plain(value)), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


class Hub:
    """Panels with their versions, and the time series."""

    def __init__(self) -> None:
        self.series = Series()
        self._lock = threading.Lock()
        self._panels: dict[str, tuple[int, str]] = {}
        self._plain: dict[str, Any] = {}
        self._version = 0
        self.closed = False
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def publish(self, **panels: Any) -> None:
        """Replace panels (those that differ) and wake the readers; from any thread."""
        texts = {name: to_json(panel) for name, panel in panels.items()}
        with self._lock:
            self._version += 1
            for name, text in texts.items():
                if self._panels.get(name, (0, ""))[1] != text:
                    self._panels[name] = (self._version, text)
                    self._plain[name] = panels[name]
        self._ring()

    def close(self) -> None:
        """There will be no more: readers end."""
        self.closed = True
        self._ring()

    def _ring(self) -> None:
        with self._lock:
            waiting = list(self._waiting)
        for loop, event in waiting:
            with contextlib.suppress(RuntimeError):  # the loop ends while we publish
                loop.call_soon_threadsafe(event.set)

    def text(self, name: str) -> str | None:
        """A panel's JSON; None before the first."""
        return self._panels.get(name, (0, None))[1]

    def get(self, name: str) -> Any:
        """A panel as it was published; None before the first."""
        return self._plain.get(name)

    def newer(self, seen: dict[str, int]) -> list[tuple[str, str]]:
        """Panels (name, JSON) that a reader has not seen; `seen` is brought up to date."""
        with self._lock:
            news = []
            for name in PANELS:
                version, text = self._panels.get(name, (0, ""))
                if version > seen.get(name, 0):
                    seen[name] = version
                    news.append((name, text))
            return news

    def subscribe(self) -> Subscription:
        """Wait for news in the running event loop."""
        return Subscription(self)

    @property
    def readers(self) -> int:
        """How many are waiting for news."""
        return len(self._waiting)


class Subscription:
    """One reader's bell; a context manager."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._event = asyncio.Event()
        self._entry = (asyncio.get_running_loop(), self._event)

    def __enter__(self) -> Subscription:
        with self._hub._lock:
            self._hub._waiting.add(self._entry)
        return self

    def __exit__(self, *_: object) -> None:
        with self._hub._lock:
            self._hub._waiting.discard(self._entry)

    async def wait(self, seconds: float) -> bool:
        """Until something was published, at most so long; whether it was."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
