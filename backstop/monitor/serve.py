"""Runs watcher and web server together, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from backstop.monitor.hub import Hub
from backstop.monitor.source import Source
from backstop.monitor.watcher import Pace, Watcher
from backstop.monitor.web import make_app

PORT = 8710
"""Where the page is if nobody says otherwise."""


class PortTaken(RuntimeError):
    """The address cannot be served; the message names the remedy."""


@dataclass(frozen=True)
class Options:
    """What the user chose.

    Attributes:
        host: address to listen on; the default answers only to this machine.
        port: 0 takes a free one.
        open: open the page in the user's browser.
        pace: how often the chain is looked at.
        store: file of the event store; that of the chain id if None.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    open: bool = False
    pace: Pace = field(default_factory=Pace)
    store: Path | None = None


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; PortTaken if there cannot be one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
    except OSError as error:
        server.close()
        raise PortTaken(
            f"{host}:{port} cannot be served ({error.strerror}): choose another --port (0 takes a"
            " free one) or --host"
        ) from None
    return server


def allowed_hosts(host: str) -> list[str] | None:
    """The names a server on this address answers to; any where it is open to a network."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return ["127.0.0.1", "localhost", "::1", "[::1]"] if local else None


class Monitor:
    """Watcher and server in threads of their own; `with Monitor(source) as page: page.url`.

    Args:
        source: the chain.
        options: where and how often.
    """

    def __init__(self, source: Source, options: Options | None = None) -> None:
        self.options = options or Options()
        self.hub = Hub()
        self.watcher = Watcher(source, self.hub, self.options.pace, self.options.store)
        self._socket = listen(self.options.host, self.options.port)
        app = make_app(self.hub, allowed_hosts(self.options.host))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self._socket.getsockname()[:2]
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
            host, f"[{host}]" if ":" in host else host
        )
        return f"http://{shown}:{port}"

    def start(self) -> Monitor:
        """Begin to watch and to serve."""
        self.watcher.start()
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """End both, and every open stream."""
        self.watcher.stop()
        self.hub.close()
        self._server.should_exit = True
        for thread in (self._thread, self.watcher):
            if thread.is_alive():
                thread.join(5)
        self._socket.close()

    def __enter__(self) -> Monitor:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(source: Source, options: Options, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM (as KeyboardInterrupt).

    Raises:
        PortTaken: the address is in use or not ours.
    """
    with Monitor(source, options) as monitor:
        say(f"the live page is at {monitor.url} (Ctrl-C ends it)")
        if options.open:
            webbrowser.open(monitor.url)
        while monitor.watcher.is_alive():
            time.sleep(0.2)
