"""Output on streams: a pipe gets bytes, a terminal safe text and a live line, a notebook not too much."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import IPython
import pytest
from plan_world import plan_of

from skill_magic.events import Note, Output, Pulling, Started, Usage
from skill_magic.files import FileChange
from skill_magic.output import StreamName, saved
from skill_magic.result import RunResult
from skill_magic.spec import RunSpec
from skill_magic.views.stream import END_LINES, NOTEBOOK_CHARACTERS, StreamView
from skill_magic.views.terminal import TerminalView

SPEC = RunSpec("tool", "debian:12", notes=("cpus lowered from 4 to 2",))
STARTED = Started("c", "n", "i", None, 0.0)
MIB = 1024 * 1024


def a_result(**changes: Any) -> RunResult:
    facts: dict[str, Any] = {"skill": "tool", "args": (), "image": "debian:12", "state": "finished"}
    facts |= {"exit_code": 0, "duration": 3.2, "started": 0.0}
    return RunResult(**(facts | changes))


def usage(elapsed: float = 1.0) -> Usage:
    return Usage(elapsed, 1.5, 150.0, 2, 100 * MIB, 120 * MIB, 512 * MIB)


class Pipe(io.TextIOWrapper):
    """A stream that leads to a pipe or a file."""

    def __init__(self) -> None:
        self.raw_bytes = io.BytesIO()
        super().__init__(self.raw_bytes, encoding="utf-8")

    def value(self) -> bytes:
        self.flush()
        return self.raw_bytes.getvalue()


class Terminal:
    """A pseudo-terminal, and what its screen shows: lines as a person sees them, colours left out."""

    def __init__(self, master: int, stream: TextIO) -> None:
        self.stream = stream
        self._master = master
        self._bytes = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65_536):
                self._bytes += data

    def close(self) -> bytes:
        self.stream.close()
        self._reader.join(5)
        return bytes(self._bytes)

    @staticmethod
    def screen(data: bytes) -> list[str]:
        lines: list[list[str]] = [[]]
        column = 0
        for token in re.findall(r"\x1b\[[0-9;:?]*[A-Za-z]|[\s\S]", data.decode()):
            if token == "\n":
                lines.append([])
            elif token == "\r":
                column = 0
            elif token == "\x1b[2K":
                lines[-1].clear()
            elif token.startswith("\x1b["):
                assert token.endswith("m") or token in ("\x1b[?25l", "\x1b[?25h"), repr(token)
            else:
                line = lines[-1]
                line.extend(" " * (column - len(line)))
                line[column : column + 1] = [token]
                column += 1
        return ["".join(line).rstrip() for line in lines]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    master, slave = os.openpty()
    yield Terminal(master, os.fdopen(slave, "w", encoding="utf-8"))
    os.close(master)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))


def feed(view: StreamView, *events: Any) -> StreamView:
    view.begin(SPEC, lambda: None)
    for event in events:
        view.event(event)
    return view


def test_a_pipe_gets_the_bytes_and_nothing_else() -> None:
    stdout, stderr = Pipe(), Pipe()
    data = bytes(range(256)) * 300 + b"\x1b[2J\x1b]0;x\x07"
    view = feed(StreamView(stdout, stderr), STARTED, Output("stdout", data), Output("stderr", b"\xff\x1b[6n"))
    assert stdout.value() == data  # at once, not at the end
    view.finish(a_result())
    assert stdout.value() == data
    assert stderr.value() == b"skill: cpus lowered from 4 to 2\n\xff\x1b[6n"


def test_a_run_that_failed_and_raises_nothing_is_summed_up(terminal: Terminal) -> None:
    view = TerminalView(terminal.stream, terminal.stream)
    feed(view, STARTED)
    result = a_result(state="failed", exit_code=3)
    view.finish(result)
    view.tolerated(result)
    shown = terminal.screen(terminal.close())
    assert [line for line in shown if "failed" in line] == ["✗ tool failed: exit code 3 in 3.2 s"]


def test_bytes_stand_after_what_python_printed() -> None:
    stdout = Pipe()
    stdout.write("printed before\n")
    feed(StreamView(stdout, Pipe()), Output("stdout", b"tool\n"))
    assert stdout.value() == b"printed before\ntool\n"


def test_pulls_and_notes_are_said_once_on_standard_error() -> None:
    stdout, stderr = Pipe(), Pipe()
    pulls = [Pulling("debian:12", current, 64 * MIB, (0, 1)) for current in range(0, 64 * MIB, MIB)]
    feed(StreamView(stdout, stderr), Note(SPEC.notes[0]), *pulls, STARTED)
    assert stdout.value() == b""
    assert stderr.value().decode().splitlines() == [
        "skill: cpus lowered from 4 to 2",
        "skill: pulling debian:12",
        "skill: pulled debian:12, 64 MiB",
    ]


def test_notes_of_every_run_are_left_to_the_card_and_explain(tmp_path: Path) -> None:
    told = ("hidden from the container: .env",)
    routine = (
        plan_of(tmp_path, memory=None, cpus="32").spec.notes + plan_of(tmp_path, memory="64g").spec.notes
    )
    assert len(routine) == 3
    stderr = Pipe()
    view = StreamView(Pipe(), stderr)
    view.begin(RunSpec("tool", "debian:12", notes=(*routine, *told)), lambda: None)
    for note in routine:
        view.event(Note(note))
    assert stderr.value() == b"skill: hidden from the container: .env\n"


def test_an_error_does_not_repeat_what_stands_above_it(terminal: Terminal) -> None:
    failed = a_result(state="failed", exit_code=1, output=saved(b"out\n", b"err\n"))
    only_out = a_result(state="failed", exit_code=1, output=saved(b"out\n"))
    shell, piped = TerminalView(terminal.stream, terminal.stream), TerminalView(Pipe(), terminal.stream)
    for result, view, said in (
        (failed, shell, ""),
        (failed, piped, ""),
        (only_out, shell, ""),
        (only_out, piped, "\nout"),
    ):
        error = result.error(view.printed)
        assert error is not None
        assert error.message == f"tool failed: exit code 1{said}"


def test_a_text_stream_gets_safe_text_in_few_writes() -> None:
    class Counting(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            return super().write(text)

    stdout = Counting()
    view = StreamView(stdout, io.StringIO())
    for number in range(2000):
        view.event(Output("stdout", b"\x1b[2K%d\n" % number))
        view.tick()
    view.finish(a_result())
    assert stdout.getvalue() == "".join(f"{number}\n" for number in range(2000))
    assert stdout.writes < 50


def test_an_unfinished_character_is_written_at_the_end() -> None:
    stdout = io.StringIO()
    view = feed(StreamView(stdout, io.StringIO()), Output("stdout", b"caf\xc3"))
    view.finish(a_result())
    assert stdout.getvalue() == "caf\ufffd"


def test_two_streams_keep_their_order() -> None:
    both = io.StringIO()
    view = StreamView(both, both)
    for number in range(5):
        view.event(Output("stdout", b"out%d\n" % number))
        view.event(Output("stderr", b"err%d\n" % number))
    view.finish(a_result())
    assert both.getvalue().split() == [f"{name}{number}" for number in range(5) for name in ("out", "err")]


@pytest.mark.usefixtures("notebook")
def test_a_notebook_gets_the_start_and_the_end() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    view = StreamView(stdout, stderr)
    for number in range(60_000):
        view.event(Output("stdout", b"line %d of many\n" % number))
    view.finish(a_result())
    lines = stdout.getvalue().splitlines()
    assert lines[:2] == ["line 0 of many", "line 1 of many"]
    assert lines[-1] == "line 59999 of many"
    assert len(lines) == 5000 + 2 + END_LINES
    assert lines[5000:5002] == [
        "… the output goes on; its end is shown when the run is over",
        "… 54 950 lines omitted; all of it: the result's stdout and stderr",
    ]
    assert stderr.getvalue() == ""


@pytest.mark.usefixtures("notebook")
@pytest.mark.parametrize(
    "chunk", [b"x" * 1_000_000, b"y" * 999 + b"\n", b"progress\r" * 500, "漢字".encode() * 700]
)
def test_a_notebook_never_grows_much(chunk: bytes) -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    view = StreamView(stdout, stderr)
    for _ in range(20_000_000 // len(chunk)):
        view.event(Output("stdout", chunk))
    view.finish(a_result())
    assert len(stdout.getvalue()) + len(stderr.getvalue()) < NOTEBOOK_CHARACTERS + 40_000


@pytest.mark.usefixtures("notebook")
def test_a_notebook_is_told_of_binary_output_and_not_given_it() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    view = feed(StreamView(stdout, stderr), Output("stdout", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"))
    view.event(Output("stdout", b"more of it"))
    view.event(Output("stderr", b"written\n"))
    view.finish(a_result())
    assert stdout.getvalue() == "26 B of binary output\n"
    assert stderr.getvalue().endswith("written\n")


@pytest.mark.usefixtures("notebook")
def test_progress_lines_do_not_use_up_the_notebook() -> None:
    stdout = io.StringIO()
    view = StreamView(stdout, io.StringIO())
    for number in range(100_000):
        view.event(Output("stdout", b"%7d of 100000\r" % number))
    view.event(Output("stdout", b"\nthe end\n"))
    view.finish(a_result())
    assert "omitted" not in stdout.getvalue()
    assert stdout.getvalue().endswith("  99999 of 100000\r\nthe end\n")
    assert len(stdout.getvalue()) < 10_000


@pytest.mark.usefixtures("notebook")
def test_a_notebook_is_told_where_all_of_it_is(tmp_path: Path) -> None:
    stdout = io.StringIO()
    view = StreamView(stdout, io.StringIO())
    for _ in range(10_000):
        view.event(Output("stdout", b"x\n"))
    log = tmp_path / "stdout.log"
    output = saved()
    view.finish(a_result(output=type(output)(stdout=type(output.stdout)(path=log, size=1))))
    assert str(log) in stdout.getvalue()


def test_the_terminal_shows_each_line_whole(terminal: Terminal) -> None:
    view = TerminalView(terminal.stream, terminal.stream)
    view.begin(SPEC, lambda: None)
    view.event(Pulling("debian:12", 0, None, (0, 2)))
    for current in range(0, 64 * MIB, 16 * MIB):
        view.event(Pulling("debian:12", current, 64 * MIB, (1, 2)))
        time.sleep(0.11)
        view.tick()
    view.event(STARTED)
    view._began = time.monotonic() - 5  # as if it had run for a while
    expected = []
    for number in range(12):
        name: StreamName = "stderr" if number % 3 == 0 else "stdout"
        view.event(Output(name, b"\x1b[32mline %d\x1b[0m of the tool\n" % number))
        expected.append(f"line {number} of the tool")
        view.event(usage())
        time.sleep(0.06)
        view.tick()
    view.event(Output("stderr", b" 10%\r 50%\r"))
    time.sleep(0.12)
    view.tick()
    view.event(Output("stderr", b"100%\nno line end"))
    time.sleep(0.25)
    view.tick()
    view.finish(
        a_result(files=(FileChange("out.webm", "created", 5),), peak_memory=120 * MIB, cpu_seconds=1.5)
    )
    data = terminal.close()
    lines = Terminal.screen(data)
    start = lines.index("line 0 of the tool")
    assert lines[:start] == ["skill: cpus lowered from 4 to 2", "skill: pulled debian:12, 64 MiB"]
    assert lines[start : start + 12] == expected
    assert lines[start + 12 :] == [
        "100%",
        "no line end",
        "✓ tool finished in 3.2 s · CPU 1.5 s · peak memory 120 MiB · made out.webm (5 B)",
        "",
    ]
    seen = re.sub(r"\x1b\[[0-9;]*m", "", data.decode())
    assert "━" in seen
    assert "of 64 MiB · 1 of 2 layers" in seen
    assert re.search(r"tool 5\.\d s · CPU 75 % of 2 CPUs · memory 100 MiB of 512 MiB", seen)


def test_the_live_line_never_wraps(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    view = TerminalView(terminal.stream, terminal.stream)
    view.begin(RunSpec("x" * 100, "i"), lambda: None)
    view.event(STARTED)
    view.event(usage())
    view._began = time.monotonic() - 5
    time.sleep(0.11)
    view.tick()
    view.error(KeyboardInterrupt())
    data = terminal.close()
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode())
    assert max(len(part) for part in drawn.split("\r")) < 40
    assert Terminal.screen(data) == [""]


def test_the_tools_colour_outlives_the_live_line_and_not_the_run(terminal: Terminal) -> None:
    view = TerminalView(terminal.stream, terminal.stream)
    view.begin(RunSpec("t", "i"), lambda: None)
    view.event(STARTED)
    view._began = time.monotonic() - 5
    view.event(Output("stdout", b"\x1b[31mred\n"))
    view.flush()
    time.sleep(0.11)
    view.tick()
    view.event(Output("stdout", b"still red\n"))
    view.finish(a_result(state="failed", exit_code=1))
    data = terminal.close().decode()
    assert re.search(r"\x1b\[2K\x1b\[31mstill red", data)
    assert data.endswith("\x1b[0m")


def test_a_quick_run_gets_no_line_of_its_own(terminal: Terminal) -> None:
    view = TerminalView(terminal.stream, terminal.stream)
    view.begin(RunSpec("t", "i"), lambda: None)
    for event in (STARTED, Output("stdout", b"hello\n")):
        view.event(event)
        view.tick()
    view.finish(a_result(duration=0.1))
    assert Terminal.screen(terminal.close()) == ["hello", ""]


def test_a_terminal_is_not_obeyed(terminal: Terminal) -> None:
    view = TerminalView(terminal.stream, terminal.stream)
    view.begin(RunSpec("t\x1b[2J", "i\x1b]0;x\x07"), lambda: None)
    view.event(Pulling("i\x1b]0;x\x07", 1, 2, (0, 1)))
    time.sleep(0.11)
    view.tick()
    view.event(STARTED)
    view.event(Output("stdout", b"\x1b[6n\x1b]52;c;AA\x07\x1b[2J\x1b[Hok\n"))
    view.finish(a_result(skill="t\x1b[2J"))
    data = terminal.close()
    Terminal.screen(data)  # refuses every sequence but colours and our own
    assert b"\x1b]" not in data
    assert b"\x07" not in data


def test_stdout_in_a_pipe_stays_exact_when_stderr_is_a_terminal(terminal: Terminal) -> None:
    stdout = Pipe()
    view = TerminalView(stdout, terminal.stream)
    view.begin(SPEC, lambda: None)
    view.event(Pulling("debian:12", 1, 2, (0, 1)))
    time.sleep(0.11)
    view.tick()
    view.event(STARTED)
    view._began = time.monotonic() - 5
    view.event(Output("stdout", b"\x1b[2Jraw"))
    time.sleep(0.11)
    view.tick()
    view.finish(a_result())
    assert stdout.value() == b"\x1b[2Jraw"
    assert Terminal.screen(terminal.close()) == [
        "skill: cpus lowered from 4 to 2",
        "skill: pulled debian:12, 2 B",
        "",
    ]


def test_rich_is_imported_when_something_is_drawn() -> None:
    code = (
        "import sys; from skill_magic.views.terminal import TerminalView; v = TerminalView(); "
        "assert not {m.split('.')[0] for m in sys.modules} & {'rich', 'docker', 'ipywidgets', 'IPython'}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
