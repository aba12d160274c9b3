"""%skill and %%skill in a real kernel: results, cards, errors, interrupts, floods."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from pace import pace

from .kernels import RUN, Kernel, ours

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    kernel = Kernel(folder)
    yield kernel
    kernel.close()


@pytest.fixture(autouse=True)
def nothing_is_left(folder: Path, tmp_path: Path) -> Iterator[None]:
    yield
    until = time.monotonic() + 5
    while (left := ours(folder) + ours(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []


class TestResults:
    def test_a_run_leaves_one_card_and_no_second_one(self, kernel: Kernel) -> None:
        cell = kernel.run("%skill python-runner -- -c 'print(6 * 7)'")
        assert cell.ok
        assert len(cell.runs) == 1
        assert cell.runs[0]["state"] == "finished"
        assert cell.runs[0]["exit_code"] == 0
        assert "42" in cell.data("text/plain")[-1]
        assert [each["type"] for each in cell.outputs] == ["display_data"]

    def test_the_result_is_a_value(self, kernel: Kernel) -> None:
        cell = kernel.run(
            "r = %skill python-runner -- -c 'import sys; print(1); print(2, file=sys.stderr); sys.exit(0)'"
        )
        assert cell.ok
        cell = kernel.run("(r.exit_code, r.stdout, r.stderr, r.duration > 0, r.ok)")
        assert cell.data("text/plain") == ["(0, '1\\n', '2\\n', True, True)"]

    def test_it_can_be_looked_at_again_in_a_later_cell(self, kernel: Kernel) -> None:
        kernel.run("again = %skill python-runner -- -c 'print(\"look\")'")
        cell = kernel.run("again")
        assert len(cell.runs) == 1
        assert "look" in cell.data("text/plain")[0]

    def test_files_it_made_are_named(self, kernel: Kernel, folder: Path) -> None:
        cell = kernel.run("""r = %skill python-runner -- -c 'open("made.txt", "w").write("x" * 9)'""")
        assert [(each["path"], each["size"]) for each in cell.runs[0]["files"]] == [("made.txt", 9)]
        assert (folder / "made.txt").read_text() == "x" * 9

    def test_a_cells_body_is_stdin(self, kernel: Kernel) -> None:
        cell = kernel.run("%%skill --out body python-runner\nname = 'wörld'\nprint(f'hello {name}')\n")
        assert cell.ok, cell.error
        assert kernel.run("print(body.stdout)").text() == "hello wörld\n\n"

    def test_a_cells_body_is_arguments_where_the_manifest_says_so(self, kernel: Kernel) -> None:
        cell = kernel.run("%%skill --out made imagemagick\n-size 8x8    # small\n  xc:red\n'red dot.png'\n")
        assert cell.ok, cell.error
        assert kernel.run("made.args, made.files[0].path").data("text/plain") == [
            "(('-size', '8x8', 'xc:red', 'red dot.png'), 'red dot.png')"
        ]

    def test_values_of_the_notebook(self, kernel: Kernel) -> None:
        kernel.run("words = ['a b', '-c', 'ü']\nclass Thing: name = 'it''s'\nthing, d = Thing(), {'k': 3}")
        code = "import sys; print(sys.argv[1:])"
        cell = kernel.run(
            f"r = %skill python-runner -- -c '{code}' {{words}} x{{thing.name}} {{d[k]}} {{{{d}}}}"
        )
        assert cell.ok, cell.error
        assert kernel.run("r.stdout").data("text/plain") == [repr("['a b', '-c', 'ü', 'xits', '3', '{d}']\n")]

    def test_values_of_a_function(self, kernel: Kernel) -> None:
        cell = kernel.run(
            "def run(what):\n    r = %skill python-runner -- -c {what}\n    return r.stdout\nrun('print(5)')"
        )
        assert cell.ok, cell.error
        assert cell.data("text/plain")[-1] == "'5\\n'"

    @pytest.mark.parametrize(
        "line", ["%skill python-runner -- -c 'print(1);'", "%skill python-runner -- -c pass ( 0777"]
    )
    def test_arguments_that_are_no_python(self, kernel: Kernel, line: str) -> None:
        assert kernel.run(line).ok


def test_the_notebooks_directory_is_mounted_wherever_the_kernel_goes(tmp_path: Path) -> None:
    for name in ("book", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "book" / "a.ipynb").touch()
    listing = "r = %skill python-runner -- -c 'import os; print(sorted(os.listdir()))'\nprint(r.stdout)"
    # As a server that keeps its kernels elsewhere names it, and as a front end that names nothing.
    for start, environment in (
        (tmp_path / "elsewhere", {"JPY_SESSION_NAME": str(tmp_path / "book" / "a.ipynb")}),
        (tmp_path / "book", {"JPY_SESSION_NAME": "/nowhere/console-1"}),
    ):
        kernel = Kernel(start, **environment)
        try:
            kernel.run(f"%cd -q {tmp_path}")
            assert kernel.run(listing).text().strip() == "['a.ipynb']"
        finally:
            kernel.close()


class TestErrors:
    def test_a_tool_that_fails_raises_in_a_few_lines(self, kernel: Kernel) -> None:
        cell = kernel.run("%skill python-runner -- -c 'import sys; sys.exit(\"broken bird\")'")
        assert not cell.ok
        assert cell.reply["ename"] == "SkillFailed"
        assert "exit code 1" in cell.error
        assert "broken bird" in cell.error
        assert len(cell.error.splitlines()) <= 3
        assert cell.runs[0]["state"] == "failed"

    def test_no_raise_returns_the_result(self, kernel: Kernel) -> None:
        assert kernel.run("r = %skill --no-raise python-runner -- -c 'raise SystemExit(3)'").ok
        assert kernel.run("r.exit_code, r.ok").data("text/plain") == ["(3, False)"]

    def test_out_holds_the_result_of_a_failed_run_too(self, kernel: Kernel) -> None:
        assert not kernel.run("%skill --out kept python-runner -- -c 'raise SystemExit(4)'").ok
        assert kernel.run("kept.exit_code").data("text/plain") == ["4"]

    @pytest.mark.parametrize(
        ("line", "kind", "needles"),
        [
            ("%skill ffmpg -- -version", "SkillNotFound", ["ffmpg", "ffmpeg"]),
            ("%skill ffmpeg -- 'open", "CommandError", ["^", "not closed"]),
            ("%skill ffmpeg -- {nothing_here}", "CommandError", ["nothing_here"]),
            ("%%skill python-runner\n   \n", "CommandError", ["no body", "%%skill"]),
            ("%skill --timeout soon ffmpeg", "CommandError", ["soon"]),
        ],
    )
    def test_mistakes_are_short_and_say_the_way_out(
        self, kernel: Kernel, line: str, kind: str, needles: list[str]
    ) -> None:
        cell = kernel.run(line)
        assert cell.reply["status"] == "error"
        assert cell.reply["ename"] == kind
        for needle in needles:
            assert needle in cell.error
        assert "Traceback" not in cell.error

    def test_an_empty_cell_is_a_usage_line(self, kernel: Kernel) -> None:
        cell = kernel.run("%%skill python-runner")
        assert cell.reply["ename"] == "UsageError"

    def test_short_errors_can_be_turned_off(self, kernel: Kernel) -> None:
        kernel.run("%config SkillMagics.short_errors = False")
        try:
            assert "Traceback" in kernel.run("%skill nothing-of-the-kind").error
        finally:
            kernel.run("%config SkillMagics.short_errors = True")

    def test_timeout(self, kernel: Kernel) -> None:
        start = time.monotonic()
        cell = kernel.run("%skill --timeout 1 python-runner -- -c 'import time; time.sleep(60)'")
        assert cell.reply["ename"] == "SkillTimeout"
        assert time.monotonic() - start < 8 * pace()


SLEEPER = 'import time; print("ready", flush=True); time.sleep(60)'
DEAF = (
    "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; "
    'print("ready", flush=True); time.sleep(60)'
)


@pytest.mark.parametrize(("script", "limit"), [(SLEEPER, 1.5), (DEAF, 3.0)])
def test_an_interrupt_ends_the_run(kernel: Kernel, folder: Path, script: str, limit: float) -> None:
    kernel.run("%config SkillMagics.view = 'text'")
    message, cell = kernel.start(f"%skill python-runner -- -c '{script}'")
    kernel.wait_for(cell, "ready")
    start = time.monotonic()
    kernel.manager.interrupt_kernel()
    kernel.finish(message, cell)
    took = time.monotonic() - start
    kernel.run("%config SkillMagics.view = 'auto'")
    assert cell.reply["status"] == "error"
    assert cell.reply["ename"] == "SkillInterrupted"
    assert took < limit
    assert ours(folder) == []
    assert kernel.run("6 * 7").data("text/plain") == ["42"]


class TestBackground:
    def test_a_handle_at_once_and_the_result_later(self, kernel: Kernel) -> None:
        start = time.monotonic()
        cell = kernel.run(
            "h = %skill --bg python-runner -- -c 'import time; print(1, flush=True); time.sleep(3); print(2)'"
        )
        assert cell.ok, cell.error
        assert time.monotonic() - start < 2.5 * pace()
        assert kernel.run("h.state in ('starting', 'running')").data("text/plain") == ["True"]
        assert kernel.run("h.wait(30).stdout").data("text/plain") == ["'1\\n2\\n'"]
        assert kernel.run("h.state, h.result.exit_code, h.done").data("text/plain") == [
            "('finished', 0, True)"
        ]

    def test_it_is_seen_read_and_stopped_by_name(self, kernel: Kernel) -> None:
        kernel.run(f"h = %skill --bg python-runner -- -c '{SLEEPER}'")
        cell = kernel.run("import time\nwhile 'ready' not in h.logs(): time.sleep(.05)\nprint(h.name)")
        name = cell.text().strip()
        assert name in kernel.run("%skill ps").data("text/plain")[0]
        assert kernel.run(f"%skill logs {name}").text() == "ready\n"
        assert kernel.run(f"%skill stop {name}").ok
        cell = kernel.run("h.wait(10)")
        assert cell.reply["ename"] == "SkillStopped"

    def test_its_name_is_known_in_the_same_cell_and_stops_it(self, kernel: Kernel) -> None:
        cell = kernel.run(
            f"h = %skill --bg python-runner -- -c '{SLEEPER}'\n"
            "print(h.name)\n"
            "%skill stop {h.name}\n"
            "try: h.wait(10)\n"
            "except BaseException as error: print(type(error).__name__)"
        )
        assert cell.ok, cell.error
        name, ended = cell.text().split()
        assert name.startswith("skill-python-runner-")
        assert ended == "SkillStopped"

    def test_a_run_that_was_just_started_is_starting(self, kernel: Kernel) -> None:
        cell = kernel.run(
            "import contextlib, time\n"
            "seen = set()\n"
            f"h = %skill --bg python-runner -- -c '{SLEEPER}'\n"
            "from skill_magic import cli\n"
            "while h.state == 'starting': cli.main(['ps']); time.sleep(.02)\n"
            "h.stop()"
        )
        assert cell.ok, cell.error
        assert "created" not in cell.text()

    def test_a_run_that_was_just_started_is_listed(self, kernel: Kernel) -> None:
        cell = kernel.run(
            f"h = %skill --bg python-runner -- -c '{SLEEPER}'\n%skill ps\nprint(h.name)\nh.stop()"
        )
        assert cell.ok, cell.error
        name = cell.text().strip()
        assert [text for text in cell.data("text/plain") if name in text and "starting" in text]

    def test_a_kept_run_is_cleaned_where_it_was_started(self, kernel: Kernel, folder: Path) -> None:
        kernel.run(f"h = %skill --bg --keep python-runner -- -c '{SLEEPER}'")
        kernel.run("import time\nwhile 'ready' not in h.logs(): time.sleep(.05)\nh.stop()")
        cell = kernel.run("while not h.done: time.sleep(.05)\nprint(h.name)\n%skill logs {h.name}")
        assert cell.data("text/html") == []  # logs writes, and shows nothing beside it
        name = cell.text().split()[0]
        assert name in str(ours(folder))
        assert name in kernel.run("%skill clean").data("text/plain")[0]
        assert ours(folder) == []

    def test_without_a_panel_it_writes_into_no_cell(self, kernel: Kernel) -> None:
        kernel.run("%config SkillMagics.view = 'text'")
        kernel.run("h = %skill --bg python-runner -- -c 'print(\"stray\")'")
        cell = kernel.run("h.wait(20)\nimport time; time.sleep(.5)")
        kernel.run("%config SkillMagics.view = 'auto'")
        assert "stray" not in cell.text()
        assert kernel.run("h.logs()").data("text/plain") == ["'stray\\n'"]

    def test_what_still_runs_ends_with_the_kernel(self, folder: Path) -> None:
        other = Kernel(folder)
        other.run(f"h = %skill --bg python-runner -- -c '{SLEEPER}'")
        other.run("import time\nwhile 'ready' not in h.logs(): time.sleep(.05)")
        assert len(ours(folder)) == 1
        other.close()  # and nothing_is_left


def test_a_kept_run_outlives_its_kernel_and_another_one_finds_it(folder: Path, kernel: Kernel) -> None:
    other = Kernel(folder)
    other.run(f"h = %skill --bg --keep python-runner -- -c '{SLEEPER}'")
    name = (
        other.run("import time\nwhile 'ready' not in h.logs(): time.sleep(.05)\nprint(h.name)").text().strip()
    )
    other.close()
    time.sleep(1)
    try:
        [listed] = kernel.run("%skill ps").data("text/plain")
        assert re.search(rf"{name} .* kept", listed)
        assert kernel.run(f"%skill logs {name}").text() == "ready\n"
        assert kernel.run(f"%skill clean {name}").reply["ename"] == "CommandError"
        assert kernel.run(f"%skill stop {name}").ok
        assert kernel.run(f"%skill logs {name}").text() == "ready\n"
    finally:
        cleaned = kernel.run(f"%skill clean {name}")
    assert cleaned.ok, cleaned.error
    assert name in cleaned.data("text/plain")[0]


def test_two_runs_at_once_do_not_mix(kernel: Kernel) -> None:
    cell = kernel.run(
        "import threading, skill_magic\n"
        "found = {}\n"
        "def one(letter):\n"
        "    code = f'for n in range(2000): print({letter!r} * 50, flush=True)'\n"
        "    found[letter] = skill_magic.run('python-runner', ['-c', code]).stdout\n"
        "threads = [threading.Thread(target=one, args=(letter,)) for letter in 'abc']\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print([found[letter] == (letter * 50 + '\\n') * 2000 for letter in 'abc'])"
    )
    assert cell.text() == "[True, True, True]\n", cell.error


class TestFloods:
    def test_ten_thousand_lines(self, kernel: Kernel) -> None:
        cell = kernel.run("r = %skill python-runner -- -c 'for n in range(10000): print(n, flush=True)'")
        assert cell.ok, cell.error
        assert cell.bytes < 1_000_000
        expected = "".join(f"{n}\n" for n in range(10000))
        kernel.run("import hashlib")
        digest = kernel.run("hashlib.sha256(r.stdout_bytes).hexdigest()").data("text/plain")[0]
        assert digest == repr(hashlib.sha256(expected.encode()).hexdigest())

    @pytest.mark.parametrize("view", ["auto", "text"])
    def test_a_hundred_megabytes(self, kernel: Kernel, view: str) -> None:
        kernel.run(f"%config SkillMagics.view = '{view}'")
        kernel.run("import psutil; process = psutil.Process(); before = process.memory_info().rss")
        cell = kernel.run(
            "%%skill --out r python-runner\n"
            "import sys\n"
            "for _ in range(10**6): sys.stdout.write('x' * 99 + chr(10))\n"
        )
        grown = kernel.run("process.memory_info().rss - before").data("text/plain")[0]
        kernel.run("%config SkillMagics.view = 'auto'")
        assert cell.ok, cell.error
        assert len(json.dumps(cell.outputs)) < 2_000_000
        assert int(grown) < 50 << 20
        assert kernel.run("r.log.stat().st_size, r.stdout_bytes.count(b'\\n')").data("text/plain") == [
            "(100000000, 1000000)"
        ]


def notebook(*cells: str) -> nbformat.NotebookNode:
    book: nbformat.NotebookNode = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    return book


LATER = "open('later.txt', 'w').close()"


class TestRunners:
    """nbclient and papermill: the saved notebook holds the card, and a failure stops them."""

    def test_nbclient_saves_the_card(self, tmp_path: Path) -> None:
        from nbclient import NotebookClient

        book = notebook(
            "%load_ext skill_magic", "%skill python-runner -- -c 'print(\"hello\")'", "%skill list"
        )
        NotebookClient(book, resources={"metadata": {"path": str(tmp_path)}}).execute()
        [output] = book.cells[1].outputs
        assert output.data[RUN]["state"] == "finished"
        assert "hello" in output.data["text/html"]
        assert "hello" in output.data["text/plain"]
        assert "application/vnd.jupyter.widget-view+json" not in output.data
        assert "ffmpeg" in book.cells[2].outputs[0].data["text/html"]

    def test_nbclient_stops(self, tmp_path: Path) -> None:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError

        book = notebook("%load_ext skill_magic", "%skill python-runner -- -c 'raise SystemExit(5)'", LATER)
        with pytest.raises(CellExecutionError, match="exit code 5"):
            NotebookClient(book, resources={"metadata": {"path": str(tmp_path)}}).execute()
        assert not (tmp_path / "later.txt").exists()

    def test_papermill_stops(self, tmp_path: Path) -> None:
        import papermill

        book = notebook("%load_ext skill_magic", "%skill python-runner -- -c 'raise SystemExit(5)'", LATER)
        nbformat.write(book, tmp_path / "in.ipynb")
        with pytest.raises(papermill.PapermillExecutionError, match="exit code 5"):
            papermill.execute_notebook(
                tmp_path / "in.ipynb",
                tmp_path / "out.ipynb",
                cwd=tmp_path,
                kernel_name="python3",
                progress_bar=False,
            )
        assert not (tmp_path / "later.txt").exists()
        saved: Any = nbformat.read(tmp_path / "out.ipynb", 4)
        assert any(
            RUN in output.get("data", {}) for cell in saved.cells for output in cell.get("outputs", ())
        )
