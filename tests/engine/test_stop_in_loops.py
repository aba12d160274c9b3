"""An interrupt ends the loop around a run, and a stop elsewhere is an ordinary error: in real kernels and pools."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import skill_magic
from skill_magic.engine import session

from .kernels import Kernel

pytestmark = pytest.mark.engine

SLEEPER = 'import time; print("ready", flush=True); time.sleep(60)'


@pytest.fixture
def kernel(folder: Path) -> Iterator[Kernel]:
    kernel = Kernel(folder)
    kernel.run("%config SkillMagics.view = 'text'")
    yield kernel
    kernel.close()


LOOP = """
for number in range(3):
    print("turn", number, flush=True)
    try:
        {line}
    except Exception as error:
        print("swallowed", type(error).__name__)
"""


class TestKernel:
    @pytest.mark.parametrize(
        "line",
        [
            f"%skill python-runner -- -c '{SLEEPER}'",
            f"r = %skill -o kept --no-raise python-runner -- -c '{SLEEPER}'",
            f"import skill_magic; skill_magic.run('python-runner', ['-c', {SLEEPER!r}], show=True)",
            f"import skill_magic; skill_magic.run('python-runner', ['-c', {SLEEPER!r}], check=False, show=True)",
        ],
    )
    def test_an_interrupt_ends_a_loop_that_catches_errors(self, kernel: Kernel, line: str) -> None:
        message, cell = kernel.start(LOOP.format(line=line))
        kernel.wait_for(cell, "ready")
        kernel.manager.interrupt_kernel()
        kernel.finish(message, cell)
        assert cell.reply["status"] == "error"
        assert cell.reply["ename"] == "SkillInterrupted"
        assert "turn 1" not in cell.text()
        assert "swallowed" not in cell.text()
        assert "Traceback" not in cell.error
        assert kernel.run("6 * 7").data("text/plain") == ["42"]
        if "-o kept" in line:
            assert kernel.run("kept.state").data("text/plain") == ["'stopped'"]

    def test_the_interrupt_carries_the_result(self, kernel: Kernel) -> None:
        code = f"try:\n    %skill python-runner -- -c '{SLEEPER}'\nexcept KeyboardInterrupt as error:\n    held = error"
        message, cell = kernel.start(code)
        kernel.wait_for(cell, "ready")
        kernel.manager.interrupt_kernel()
        assert kernel.finish(message, cell).ok, cell.error
        said = kernel.run("held.result.state, held.result.stdout, isinstance(held, Exception)")
        assert said.data("text/plain") == ["('stopped', 'ready\\n', False)"]

    def test_an_interrupt_between_quick_runs_ends_the_loop(self, kernel: Kernel) -> None:
        """Whenever it comes: also as a run has just ended by itself."""
        code = (
            "for number in range(200):\n"
            "    print('turn', number, flush=True)\n"
            "    try:\n"
            "        %skill python-runner -- -c 'print(6 * 7)'\n"
            "    except Exception as error:\n"
            "        print('swallowed', type(error).__name__)"
        )
        message, cell = kernel.start(code)
        kernel.wait_for(cell, "turn 1")
        kernel.manager.interrupt_kernel()
        kernel.finish(message, cell)
        assert cell.reply["ename"] in ("SkillInterrupted", "KeyboardInterrupt")
        assert cell.text().count("turn") <= 3
        assert "swallowed" not in cell.text()

    def test_a_stop_of_what_the_cell_waits_for_ends_the_loop_too(self, kernel: Kernel) -> None:
        """As the Stop of a panel does, which comes from another thread."""
        stop = (
            "import threading, time\n"
            "from skill_magic.engine import session\n"
            "def stop():\n"
            "    while not any(run.id for run in session.current().live.values()): time.sleep(.05)\n"
            "    [run.stop() for run in session.current().live.values()]\n"
            "threading.Thread(target=stop).start()\n"
        )
        cell = kernel.run(stop + LOOP.format(line=f"%skill python-runner -- -c '{SLEEPER}'"))
        assert cell.reply["ename"] == "SkillInterrupted"
        assert "turn 1" not in cell.text()

    def test_a_stopped_task_of_the_kernels_loop_does_not_end_the_kernel(self, kernel: Kernel) -> None:
        """Outside of a cell no interrupt reaches the kernel; a KeyboardInterrupt there would be its end."""
        started = kernel.run(
            "import asyncio, threading, time, skill_magic\n"
            "from skill_magic.engine import session\n"
            "def stop():\n"
            "    while not any(run.id for run in session.current().live.values()): time.sleep(.05)\n"
            "    [run.stop() for run in session.current().live.values()]\n"
            "async def work():\n"
            f"    skill_magic.run('python-runner', ['-c', {SLEEPER!r}])\n"
            "threading.Thread(target=stop).start()\n"
            "task = asyncio.get_running_loop().create_task(work())"
        )
        assert started.ok, started.error
        cell = kernel.run(
            "while not task.done(): await asyncio.sleep(.05)\nprint(type(task.exception()).__name__)"
        )
        assert cell.text() == "SkillStopped\n", cell.error


def stop_what_runs(wait_until: Callable[..., Any], count: int = 1) -> None:
    live = session.current().live
    wait_until(lambda: len([run for run in session.current().live.values() if run.id]) >= count, 60)  # type: ignore[attr-defined]
    live = session.current().live
    for run in live.values():
        run.stop()


def test_a_pool_of_threads_goes_on_after_a_stop(folder: Path, wait_until: Callable[..., Any]) -> None:
    with ThreadPoolExecutor(2) as pool:
        work = [pool.submit(skill_magic.run, "python-runner", ["-c", SLEEPER]) for _ in range(2)]
        stop_what_runs(wait_until, 2)
        for each in work:
            error = each.exception(60)
            assert isinstance(error, skill_magic.SkillStopped)
            assert not isinstance(error, KeyboardInterrupt)
            assert error.result.state == "stopped"
        after = pool.submit(skill_magic.run, "python-runner", ["-c", "print(1)"])
        assert after.result(60).stdout == "1\n"


def test_a_stopped_run_in_a_thread_is_a_result_where_no_error_was_asked_for(
    folder: Path, wait_until: Callable[..., Any]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(skill_magic.run, "python-runner", ["-c", SLEEPER], check=False)
        stop_what_runs(wait_until)
        assert work.result(60).state == "stopped"


POOLS = {
    "executor": (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn'))\n"
        "first, second = pool.submit(work, True), pool.submit(work, False)\n"
        "answer, after = (lambda: first.result(90)), (lambda: second.result(90))\n"
    ),
    "pool": (
        "pool = multiprocessing.get_context('spawn').Pool(1)\n"
        "first, second = pool.apply_async(work, (True,)), pool.apply_async(work, (False,))\n"
        "answer, after = (lambda: first.get(90)), (lambda: second.get(90))\n"
    ),
}


@pytest.mark.parametrize("kind", POOLS)
def test_a_worker_process_survives_an_interrupt(folder: Path, kind: str) -> None:
    """A pool's worker runs its tasks in its main thread, where an interrupt of the terminal reaches it."""
    (folder / "pool.py").write_text(
        "import multiprocessing, os, signal, sys, threading, time\n"
        "import skill_magic\n"
        "from skill_magic.engine import session\n"
        "def interrupt():\n"
        "    while not any(run.id for run in session.current().live.values()): time.sleep(.05)\n"
        "    time.sleep(.5)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "def work(long):\n"
        "    if long: threading.Thread(target=interrupt).start()\n"
        f"    code = {SLEEPER!r} if long else 'print(1)'\n"
        "    return os.getpid(), skill_magic.run('python-runner', ['-c', code]).stdout\n"
        "if __name__ == '__main__':\n"
        + "".join(f"    {line}\n" for line in POOLS[kind].splitlines())
        + "    try: answer()\n"
        "    except Exception as error: print(type(error).__name__, error.result.state)\n"
        "    print(after()[1], end='')\n"
    )
    done = subprocess.run(
        [sys.executable, "pool.py"], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout.splitlines() == ["SkillStopped stopped", "1"], done.stderr


def test_a_script_that_is_interrupted_ends(folder: Path) -> None:
    script = (
        "import skill_magic\n"
        "for number in range(3):\n"
        "    print('turn', number, flush=True)\n"
        "    try:\n"
        f"        skill_magic.run('python-runner', ['-c', {SLEEPER!r}], show=True)\n"
        "    except Exception as error:\n"
        "        print('swallowed', error)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["turn 0\n", "ready\n"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert out == ""
    assert err.splitlines()[-1] == "skill_magic.errors.SkillInterrupted: python-runner stopped by you"
    assert process.returncode == 1  # Python ends itself by the signal for its own class alone


def test_the_command_ends_with_the_code_of_an_interrupt(folder: Path) -> None:
    command = [sys.executable, "-m", "skill_magic", "--no-raise", "python-runner", "--", "-c", SLEEPER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_where_interrupts_are_ignored_a_stop_is_an_ordinary_error(folder: Path) -> None:
    """A job that a shell has put in the background."""
    script = (
        "import os, signal, threading, time, skill_magic\n"
        "from skill_magic.engine import session\n"
        "def stop():\n"
        "    while not any(run.id for run in session.current().live.values()): time.sleep(.05)\n"
        "    [run.stop() for run in session.current().live.values()]\n"
        "threading.Thread(target=stop).start()\n"
        f"try: skill_magic.run('python-runner', ['-c', {SLEEPER!r}])\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert done.stdout == "SkillStopped\n", done.stderr
