"""A real kernel to run cells in, and what its outputs say."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

RUN = "application/vnd.skill-magic.run+json"


def ours(folder: Path) -> list[str]:
    """Names of the containers that the engine has of this package, started for ``folder``."""
    mark = f"label=skill-magic.directory={folder}"
    line = ["docker", "ps", "-a", "--filter", mark, "--format", "{{.Names}}"]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.split()


class Cell:
    """What one executed cell left behind: its outputs as a notebook would hold them."""

    def __init__(self, displays: dict[str, dict[str, Any]]) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.reply: dict[str, Any] = {}
        self.messages = 0
        self.bytes = 0
        self._displays = displays  # of the whole notebook: a cell may change what another one shows

    def take(self, kind: str, content: dict[str, Any]) -> None:
        self.messages += 1
        self.bytes += len(str(content))
        transient = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            self._displays[transient]["data"] = content["data"]
        elif kind == "stream" and self.outputs and self.outputs[-1].get("name") == content["name"]:
            self.outputs[-1]["text"] += content["text"]
        elif kind in ("stream", "display_data", "execute_result", "error"):
            output = {"type": kind, **content}
            self.outputs.append(output)
            if transient is not None:
                self._displays[transient] = output

    @property
    def ok(self) -> bool:
        return bool(self.reply["status"] == "ok")

    def text(self, name: str = "stdout") -> str:
        return "".join(each["text"] for each in self.outputs if each.get("name") == name)

    def data(self, mime: str) -> list[Any]:
        return [each["data"][mime] for each in self.outputs if mime in each.get("data", {})]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The cards in it, as data."""
        return self.data(RUN)

    @property
    def error(self) -> str:
        return "\n".join(
            line for each in self.outputs if each["type"] == "error" for line in each["traceback"]
        )


class Kernel:
    """One ipykernel with a notebook's directory of its own, and the extension loaded."""

    manager: KernelManager
    client: BlockingKernelClient

    def __init__(self, folder: Path, **environment: str) -> None:
        self._displays: dict[str, dict[str, Any]] = {}
        self._cells: dict[str, Cell] = {}
        self.manager, self.client = start_new_kernel(
            cwd=str(folder), env={**os.environ, **environment}, kernel_name="python3"
        )
        assert self.run("%load_ext skill_magic").ok

    def start(self, code: str, *, stdin: bool = False) -> tuple[str, Cell]:
        message = self.client.execute(code, allow_stdin=stdin)
        self._cells[message] = Cell(self._displays)
        return message, self._cells[message]

    def _next(self) -> tuple[str, str, dict[str, Any]]:
        """The next message: whose it is, its kind and content. Each cell gets what is its own."""
        found = self.client.get_iopub_msg(timeout=1)
        whose, kind, content = found["parent_header"].get("msg_id", ""), found["msg_type"], found["content"]
        if whose in self._cells and kind != "status":
            self._cells[whose].take(kind, content)
        return whose, kind, content

    def finish(
        self, message: str, cell: Cell, *, timeout: float = 120.0, answers: tuple[str, ...] = ()
    ) -> Cell:
        until = time.monotonic() + timeout
        left = list(answers)
        while True:
            if left and self.client.stdin_channel.msg_ready():
                self.client.get_stdin_msg(timeout=1)
                self.client.input(left.pop(0))
            if not self.client.iopub_channel.msg_ready():
                assert time.monotonic() < until, f"no end: {cell.outputs}"
                time.sleep(0.01)
                continue
            whose, kind, content = self._next()
            if whose == message and kind == "status" and content["execution_state"] == "idle":
                break
        while not cell.reply:
            reply = self.client.get_shell_msg(timeout=10)
            if reply["parent_header"].get("msg_id") == message:
                cell.reply = reply["content"]
        return cell

    def run(self, code: str, *, timeout: float = 120.0, answers: tuple[str, ...] = ()) -> Cell:
        message, cell = self.start(code, stdin=bool(answers))
        return self.finish(message, cell, timeout=timeout, answers=answers)

    def wait_for(self, cell: Cell, needle: str, timeout: float = 30.0) -> None:
        """Take outputs until ``needle`` is among them."""
        until = time.monotonic() + timeout
        while needle not in str(cell.outputs):
            assert time.monotonic() < until, f"{needle!r} did not come: {cell.outputs}"
            if self.client.iopub_channel.msg_ready():
                self._next()
            else:
                time.sleep(0.01)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()
