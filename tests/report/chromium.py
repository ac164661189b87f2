"""A small client of a real headless Chromium over its debugging pipe."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """Path of an installed Chromium, if any."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One page in one browser; all that it logs and requests is kept in `events`."""

    def __init__(self, profile: Path, *, timeout_s: float = 60.0) -> None:
        self.events: list[dict[str, Any]] = []
        self._timeout_s = timeout_s
        self._rest = b""
        self._count = 0
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # Numbers 3 and 4 are where Chromium expects its ends; keep ours out of their way.
        ends = [fcntl.fcntl(one, fcntl.F_DUPFD, 20) for one in (theirs_in, theirs_out)]
        shell = f'exec "$0" "$@" 3<&{ends[0]} 4>&{ends[1]} 2>/dev/null'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, chromium() or "", *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
        )
        for one in (theirs_in, theirs_out, *ends):
            os.close(one)
        self._in, self._out = ours_in, ours_out
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        self._process.wait(timeout=20)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Result of one command; events that arrive meanwhile are kept."""
        self._count += 1
        message: dict[str, object] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], self._timeout_s)
            assert ready, "Chromium does not answer"
            chunk = os.read(self._in, 1 << 16)
            assert chunk, "Chromium ended"
            self._rest += chunk
        line, self._rest = self._rest.split(b"\0", 1)
        return json.loads(line)

    def look(self, expression: str) -> Any:  # noqa: ANN401 -- whatever the page says
        """Value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, page: Path, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Opens a file and waits until the page says that its charts are drawn."""
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=page.as_uri())
        end = time.monotonic() + self._timeout_s
        while self.look("document.documentElement?.dataset.ready") != "true":
            assert time.monotonic() < end, "the page never became ready"
            time.sleep(0.05)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Writes a PNG of the page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole, format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Console messages, log entries and uncaught exceptions since `open`."""
        wanted = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(one["params"])[:500] for one in self.events if one["method"] in wanted]

    def requests(self) -> list[str]:
        """Addresses the page asked for since `open`, itself left out."""
        asked = (one for one in self.events if one["method"] == "Network.requestWillBeSent")
        addresses = (one["params"]["request"]["url"] for one in asked)
        return [one for one in addresses if not one.startswith(("file:", "data:"))]
