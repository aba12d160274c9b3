"""Streams that a tool may write to hold up whoever shows them, of any size; and what shows them, without an engine.

Each is a pattern that is repeated, or one that is begun and never ended.
"""

from __future__ import annotations

import contextlib
import io
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from skill_magic.events import Output
from skill_magic.output import OutputLog, SavedOutput
from skill_magic.result import RunResult
from skill_magic.views import card, words
from skill_magic.views.base import View
from skill_magic.views.panel_state import PanelState
from skill_magic.views.stream import StreamView
from skill_magic.views.terminal import TerminalView

CHUNK = 64 * 1024
"""Bytes of one event, as the engine's side joins them under a flood."""


def repeated(unit: bytes) -> Callable[[int], bytes]:
    return lambda size: (unit * (size // len(unit) + 1))[:size]


def begun(start: bytes, unit: bytes) -> Callable[[int], bytes]:
    return lambda size: (start + unit * (size // len(unit) + 1))[:size]


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def bitmap(size: int) -> bytes:
    """A BMP of something like a photograph: slopes of light with grain, all byte values in it."""
    width = 640
    grain = random.Random(2).randbytes(4096)
    rows = bytearray(b"BM" + size.to_bytes(4, "little") + b"\0\0\0\0\x36\0\0\0\x28\0\0\0" + b"\x01\x02" * 18)
    row = 0
    while len(rows) < size:
        rows += bytes((x // 8 + row // 3 + grain[(x * 7 + row) % 4096] // 16) & 255 for x in range(width))
        rows += bytes(rows[-width:]) * 7
        row += 8
    return bytes(rows[:size])


PLAIN = repeated(b"a line of ordinary text that a tool writes 0123456789\n")

# What a notebook and a pipe may be given by a tool that means no harm.
USUAL: dict[str, Callable[[int], bytes]] = {
    "random bytes": noise,
    "random bytes without a zero": lambda size: noise(size).replace(b"\0", b"\x01"),
    "a bitmap": bitmap,
    "a bitmap without a zero": lambda size: bitmap(size).replace(b"\0", b"\x0b"),
    "one \\r, then x": begun(b"\r", b"x"),
    "\\r and text": repeated(b"\rx"),
    "text and \\r": repeated(b"progress 12345\r"),
}

HOSTILE: dict[str, Callable[[int], bytes]] = {
    "an OSC without end": begun(b"\x1b]0;", b"x"),
    "OSC after OSC": repeated(b"\x1b]"),
    "OSC with end": repeated(b"\x1b]x\x07"),
    "DCS, APC": repeated(b"\x1bPq\x1b\\\x1b_x\x1b\\"),
    "ESC [": repeated(b"\x1b["),
    "ESC": repeated(b"\x1b"),
    "ESC and a letter": repeated(b"\x1ba"),
    "erasing": repeated(b"\x1b[2K"),
    "C1 CSI": repeated("\u009b".encode()),
    "character sets": repeated(b"\x1b("),
    "long parameters": begun(b"\x1b[", b"1;"),
    "many parameters": repeated(b"\x1b[" + b"1;" * 31 + b"mx"),
    "colours": repeated(b"\x1b[31mx"),
    "colours after \\r": repeated(b"\x1b[31mx\x1b[1m\r"),
    "a thousand colours": lambda size: b"".join(
        b"\x1b[38;2;%d;%d;%dmx" % (n % 251, n % 241, n % 239) for n in range(size // 15)
    )[:size],
    "conceal": repeated(b"\x1b[8mx"),
    "backspaces": repeated(b"a\x08"),
    "combining marks": begun(b"a", "\u0301".encode()),
    "zero width joiners": repeated("a\u200d".encode()),
    "zero width spaces": repeated("a\u200b".encode()),
    "reversed text": repeated("\u202e".encode()),
    "one line": repeated(b"x"),
    "newlines": repeated(b"\n"),
    "\\r": repeated(b"\r"),
    "\\r\\n": repeated(b"x\r\n"),
    "drawn over in every line": repeated(b"a\rb\rc\n"),
    "\\r twice": repeated(b"ab\r\rc\r"),
    "not UTF-8": repeated(b"\xff"),
    "half of a character": repeated(b"\xf0\x9f"),
    "zeros": repeated(b"\0"),
}


def events(data: bytes) -> Iterator[Output]:
    for at in range(0, len(data), CHUNK):
        yield Output("stdout", data[at : at + CHUNK])


def a_result(output: SavedOutput) -> RunResult:
    return RunResult("t", (), "debian:12", "failed", 1, duration=1.0, started=0.0, output=output)


def show(view: View | None, output: bytes | Iterable[Output], runs: Path) -> RunResult:
    """What happens to output between the engine and its reader; without a view as with -q and in Python."""
    log = OutputLog(runs)
    for event in events(output) if isinstance(output, bytes) else output:
        log.write(event.stream, event.data)
        if view is not None:
            view.event(event)
            view.tick()
    result = a_result(log.close())
    if view is not None:
        view.finish(result)
    words.error(result)
    return result


class Sink(io.StringIO):
    """A stream that claims to be a terminal or a notebook's, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.size += len(text)
        return len(text)


class Panel:
    """The panel's kernel side, updated with every event, which is far more often than it is."""

    def __init__(self) -> None:
        self.state = PanelState("t", "debian:12")
        self.now = 0.0

    def event(self, event: Output) -> None:
        self.state.apply(event, self.now)

    def tick(self) -> None:
        self.now += 0.5
        self.state.delta(self.now)

    def finish(self, result: RunResult) -> None:
        card.bundle(result)


def as_notebook() -> StreamView:
    view = StreamView(Sink(), Sink())
    view._kinds = dict.fromkeys(view._kinds, "notebook")
    return view


FRONTS: dict[str, Callable[[], View | None]] = {
    "quiet, Python": lambda: None,
    "panel": Panel,  # type: ignore[dict-item]
    "text in a notebook": as_notebook,
    "terminal": lambda: TerminalView(Sink(), Sink()),
}


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of this process, the best of several."""
    found = []
    for _ in range(times):
        began = time.process_time()
        with contextlib.suppress(StopIteration):
            work()
        found.append(time.process_time() - began)
    return min(found)
