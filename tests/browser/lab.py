"""A real JupyterLab server, and a real browser's view of its notebooks."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Dialog, Locator, Page, Request, expect

SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},  # a test saves when it means to
    "notebook-extension/tracker": {"recordTiming": False},
}


IPYKERNEL_6 = "ipykernel-6"
"""The name of a kernel with the older ipykernel; scripts/test puts that beside the environment's own."""

OVERLAY = Path(__file__).resolve().parent.parent.parent / "build" / IPYKERNEL_6


class Lab:
    """A JupyterLab (or Notebook 7) server with its own configuration, whose files lie in ``root``."""

    def __init__(self, base: Path, browser: Browser, *, app: Literal["lab", "notebook"] = "lab") -> None:
        self.browser = browser
        self._app = app
        self.root = base / "notebooks"
        self.home = base / "home"
        self.root.mkdir()
        self.home.mkdir()
        for name, values in SETTINGS.items():
            file = self.home / "lab/@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        kernel = self.home / "data/kernels" / IPYKERNEL_6 / "kernel.json"
        kernel.parent.mkdir(parents=True)
        kernel.write_text(
            json.dumps(
                {
                    "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                    "display_name": IPYKERNEL_6,
                    "language": "python",
                    "env": {"PYTHONPATH": str(OVERLAY)},
                }
            )
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = (base / "server.log").open("wb")
        self._server = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "jupyterlab" if app == "lab" else "notebook",
                    "--no-browser",
                    "--allow-root",
                    "--expose-app-in-browser",
                ),
                *(
                    f"--ServerApp.port={port}",
                    "--ServerApp.port_retries=0",
                    f"--ServerApp.root_dir={self.root}",
                ),
                *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"),
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            ],
            env=self.environment(),
            cwd=self.root,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait(base / "server.log")

    def environment(self) -> dict[str, str]:
        """Variables of the server and its kernels: the person's own, but none of their files."""
        own = {
            "HOME": str(self.home),
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self.home / "lab"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.home / "workspaces"),
            "IPYTHONDIR": str(self.home / "ipython"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "xdg"),
            "XDG_DATA_HOME": str(self.home / "xdg-data"),
        }
        return {**{name: value for name, value in os.environ.items() if name != "SKILL_MAGIC_VIEW"}, **own}

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/api/status", timeout=5):
                    return
            except OSError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-4000:]}") from None
                time.sleep(0.2)

    def close(self) -> None:
        """End the server and its kernels."""
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._log.close()

    def write(self, name: str, *cells: str, kernel: str = "python3") -> Path:
        """A new notebook with these code cells."""
        code: list[dict[str, Any]] = [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ]
        metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"cells": code, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
        return path

    def without_kernel(self, path: Path, *, trusted: bool) -> Path:
        """A copy of a saved notebook that asks for no kernel: somebody else's, or one's own."""
        content = json.loads(path.read_text())
        content["metadata"] = {"own": trusted}  # names no kernel to start; no signature fits this any more
        copy = path.with_name(f"{path.stem}-{'own' if trusted else 'foreign'}.ipynb")
        copy.write_text(json.dumps(content))
        if trusted:
            sign = "from nbformat.sign import TrustNotebookApp as Trust; Trust.launch_instance()"
            subprocess.run([sys.executable, "-c", sign, copy], env=self.environment(), check=True)
        return copy

    def open(self, path: Path, *, kernel: bool = True, theme: str = "light", scale: float = 1) -> Notebook:
        """Open a notebook in a page of its own."""
        size = {"width": 1000, "height": 900 if scale == 1 else 1400}
        context = self.browser.new_context(viewport=size, device_scale_factor=scale)  # type: ignore[arg-type]
        page = context.new_page()
        received: list[tuple[float, int]] = []
        page.on(
            "websocket",
            lambda socket: socket.on(
                "framereceived", lambda data: received.append((time.monotonic(), len(data)))
            ),
        )
        where = "doc/tree" if self._app == "lab" else "notebooks"
        page.goto(f"{self.url}/{where}/{path.relative_to(self.root)}?reset")
        notebook = Notebook(page, path, received)
        if kernel:
            notebook.wait_for_kernel()
        else:
            page.locator(".jp-Dialog .jp-mod-reject").click(timeout=60_000)  # "No Kernel"
        if theme == "dark":
            page.evaluate(
                "window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
            )
            page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        return notebook


class Notebook:
    """One open notebook. Cells are counted from 0."""

    def __init__(self, page: Page, path: Path, received: list[tuple[float, int]]) -> None:
        self.page = page
        self.received = received  # (time, bytes) of each message of the server
        self.path = path
        self.faults: list[str] = []  # errors of scripts, dialogs, requests that go elsewhere
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", self._refuse)
        page.on("request", self._note)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)

    def _refuse(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note(self, request: Request) -> None:
        server = "/".join(self.page.url.split("/")[:3])
        if not request.url.startswith((server, "data:", "blob:")):
            self.faults.append(f"request: {request.url}")

    def wait_for_kernel(self) -> None:
        """Wait until the kernel is there and idle."""
        self.page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )

    def put(self, cell: int, source: str) -> None:
        """Write ``source`` into a cell and clear its outputs."""
        self.page.evaluate(
            """([index, source]) => {
                const cell = window.jupyterapp.shell.currentWidget.content.model.cells.get(index);
                cell.sharedModel.setSource(source);
                cell.clearExecution();
            }""",
            [cell, source],
        )

    def start(self, cell: int) -> None:
        """Run a cell and come back at once."""
        self.page.evaluate(
            """index => {
                const app = window.jupyterapp;
                app.shell.currentWidget.content.activeCellIndex = index;
                void app.commands.execute('notebook:run-cell');
            }""",
            cell,
        )

    def run(self, cell: int, timeout: float = 60) -> None:
        """Run a cell and wait ``timeout`` seconds at most until it is over."""
        self.start(cell)
        self.wait(cell, timeout)

    def wait(self, cell: int, timeout: float = 60) -> None:
        """Wait until a cell that was started is over."""
        expect(self.prompt(cell)).to_have_text(_NUMBER, timeout=timeout * 1000)

    def prompt(self, cell: int) -> Locator:
        """The ``[n]:`` beside a cell; ``[*]:`` while it runs."""
        return self.cell(cell).locator(".jp-InputArea-prompt").first

    def cell(self, cell: int) -> Locator:
        """A cell with its outputs."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell)

    def output(self, cell: int) -> Locator:
        """Where a cell's outputs are."""
        return self.cell(cell).locator(".jp-Cell-outputArea")

    def panel(self, cell: int = 0) -> Locator:
        """The live panel in a cell's outputs."""
        return self.output(cell).locator(".skill-magic-panel")

    def stop(self, cell: int = 0) -> Locator:
        """The panel's Stop."""
        return self.panel(cell).locator(".sm-stop")

    def stop_and_watch(self, cell: int = 0) -> None:
        """Press the panel's Stop; what its state says from then on is kept, for :meth:`said_after_stop`.

        A tool that obeys at once leaves the words "stopping…" for a tenth of a second: too short for a look at it.
        """
        self.panel(cell).locator(".sm-state").evaluate(
            """state => {
                const said = window.skillMagicSaid = [];
                const clicked = performance.now();
                const note = () => said.push([performance.now() - clicked, state.textContent]);
                new MutationObserver(note).observe(state, {childList: true, characterData: true, subtree: true});
                state.closest(".skill-magic-panel").querySelector(".sm-stop").click();
                note();
            }"""
        )

    def said_after_stop(self) -> dict[str, float]:
        """What the state of that panel said after Stop, with the milliseconds until each was first said."""
        said: dict[str, float] = {}
        for when, words in self.page.evaluate("window.skillMagicSaid"):
            said.setdefault(words, when)
        return said

    def trusted(self) -> bool:
        """Whether JupyterLab trusts what the outputs hold."""
        cells = "Array.from(window.jupyterapp.shell.currentWidget.content.model.cells)"
        return bool(self.page.evaluate(f"{cells}.every(cell => cell.trusted)"))

    def interrupt(self) -> None:
        """The toolbar's square."""
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:interrupt-kernel')")

    def save(self) -> Any:
        """Save it and return what the file holds."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        return json.loads(self.path.read_text())

    def close(self) -> None:
        """Close the page and shut its kernel down; nothing, where the page has been closed already."""
        if self.page.is_closed():
            return
        self.page.evaluate(
            "async () => { await window.jupyterapp.shell.currentWidget?.sessionContext?.shutdown() }"
        )
        self.page.context.close()


_NUMBER = re.compile(r"^\[\d+\]:$")


def outputs(saved: Any, cell: int) -> list[Any]:
    """The outputs of a cell in a saved notebook."""
    return list(saved["cells"][cell]["outputs"])
