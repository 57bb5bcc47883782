"""A headless Chromium, spoken to over its own protocol; nothing but a browser is needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClientConnection, websocket_connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

BROWSER = next((found for one in NAMES if (found := shutil.which(one))), None)


class Tab:
    """One page: what it asked for, what its console said, and what an expression gives."""

    def __init__(self, connection: WebSocketClientConnection, loop: IOLoop) -> None:
        self._connection, self._loop, self._last = connection, loop, 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.loaded = False

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events before it are noted."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        self._loop.run_sync(lambda: self._connection.write_message(json.dumps(message)))
        while (answer := self._next()).get("id") != self._last:
            pass
        assert "error" not in answer, answer
        return dict(answer["result"])

    def open(self, page: Path) -> None:
        """Load a file, to its end."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not self.loaded:
            self._next()

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def _next(self) -> dict[str, Any]:
        raw = self._loop.run_sync(self._connection.read_message, timeout=60)
        message = dict(json.loads(str(raw)))
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(params))
        elif method == "Page.loadEventFired":
            self.loaded = True
        return message


@contextmanager
def open_tab(profile: Path) -> Iterator[Tab]:
    """A browser of its own, with an empty profile; it ends with the test."""
    assert BROWSER is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    flags += ["--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}"]
    with subprocess.Popen(
        [BROWSER, *flags, "about:blank"], stderr=subprocess.PIPE, text=True
    ) as browser:
        try:
            assert browser.stderr is not None
            lines = (re.search(r"ws://([\d.:]+)/", line) for line in browser.stderr)
            found = next(one for one in lines if one)
            yield _connect(found[1])
        finally:
            browser.kill()


def _connect(host: str) -> Tab:
    from urllib.request import Request, urlopen

    with urlopen(Request(f"http://{host}/json/new?about:blank", method="PUT")) as answer:
        url = json.load(answer)["webSocketDebuggerUrl"]
    loop = IOLoop(make_current=False)
    connection = loop.run_sync(lambda: websocket_connect(url, max_message_size=2**28))
    return Tab(connection, loop)
