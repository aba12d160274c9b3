"""scripts/check: which checks it runs, on what, and that it says what failed; in a copy, with programs that only note
that they were called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import working_copy

NAMES = ("pyproject.toml", "scripts/_common.sh", "scripts/check", "scripts/setup")
STYLE = ["ruff check", "ruff format --check", "mypy "]
PYTEST = "python -m pytest -q "


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy with the scripts alone. Its Python is ours but for pytest, which is only noted; so is a docker."""
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((working_copy.ROOT / name).read_bytes())
        path.chmod(0o755)
    working_copy.environment(tmp_path)
    note = 'echo "{name} $*" >>.venv/called; [ ! -e .venv/{name}-fails ]'
    for name in ("ruff", "mypy", "docker"):
        working_copy.program(tmp_path, name, note.format(name=name))
    working_copy.program(
        tmp_path,
        "python",
        f'case "$*" in *pytest*) {note.format(name="python")} ;; *) exec "{sys.executable}" "$@" ;; esac',
    )
    return tmp_path


def check(copy: Path, *words: str, **environment: str) -> tuple[int, list[str], str]:
    """Exit code, what was called, and everything that was printed."""
    (copy / ".venv" / "called").write_text("")
    path = f"{copy / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("TEST_PROCESSES", "SKILL_MAGIC_PYTHON")
    }
    done = subprocess.run(
        [copy / "scripts" / "check", *words],
        cwd="/",
        env={**env, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    called = (copy / ".venv" / "called").read_text().splitlines()
    return done.returncode, called, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "tests"),
    [
        ((), "tests/unit --numprocesses 2 --dist loadfile"),
        (("--quick",), "tests/unit --numprocesses 2 --dist loadfile -m not slow"),
        (("tests/unit/test_cli.py",), "tests/unit/test_cli.py"),
        (("tests/unit/test_cli.py::test_one", "-x"), "tests/unit/test_cli.py::test_one -x"),
        (("-k", "memory"), "tests/unit -k memory"),
        (("-k", "scripts"), "tests/unit -k scripts"),  # also the name of a folder, which is no test
    ],
)
def test_what_it_runs(copy: Path, words: tuple[str, ...], tests: str) -> None:
    """From any directory, and never docker."""
    code, called, shown = check(copy, *words)
    assert (code, called) == (0, [*STYLE, PYTEST + tests]), shown
    assert shown.endswith("check: everything passed\n")


def test_how_many_at_a_time(copy: Path) -> None:
    assert check(copy, TEST_PROCESSES="7")[1][-1] == f"{PYTEST}tests/unit --numprocesses 7 --dist loadfile"


@pytest.mark.parametrize(
    ("program", "steps"),
    [("ruff", ["ruff check", "ruff format"]), ("mypy", ["mypy"]), ("python", ["unit tests on Python"])],
)
def test_it_names_what_failed_and_goes_on(copy: Path, program: str, steps: list[str]) -> None:
    (copy / ".venv" / f"{program}-fails").touch()
    code, called, shown = check(copy)
    assert (code, len(called)) == (1, 4)
    *_, listed = shown.partition("check: failed:\n")
    assert len(listed.splitlines()) == len(steps)
    for line, step in zip(listed.splitlines(), steps, strict=True):
        assert line.strip().startswith(step)
    assert "everything passed" not in shown


@pytest.mark.parametrize("words", [("--quick", "-x"), ("tests/unit", "--quick")])
def test_quick_stands_alone(copy: Path, words: tuple[str, ...]) -> None:
    code, called, shown = check(copy, *words)
    assert (code, called) == (1, [])
    assert shown.startswith("check: --quick stands alone")


def test_the_slow_tests_are_few() -> None:
    """--quick leaves out what is marked, and the mark is known to pytest."""
    marked = [
        path.name
        for path in (working_copy.ROOT / "tests" / "unit").glob("test_*.py")
        if "pytest.mark.slow" in path.read_text(encoding="utf-8")
    ]
    total = len(list((working_copy.ROOT / "tests" / "unit").glob("test_*.py")))
    assert 0 < len(marked) < total / 4
    assert '"slow: ' in (working_copy.ROOT / "pyproject.toml").read_text(encoding="utf-8")
