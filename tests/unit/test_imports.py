"""What this package and its libraries import is not looked for in the notebook's directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skill_magic.imports import InstalledOnly

ROOT = Path(__file__).parents[2]
THEIRS = """
import sys
frame, names = sys._getframe(), []
while frame:
    names.append(frame.f_globals.get("__name__"))
    frame = frame.f_back
print("theirs:", __name__, names, flush=True)
"""


def python(folder: Path, code: str) -> str:
    """What Python prints that runs ``code`` as a kernel does: with the current directory before all other places."""
    start = "import sys; sys.path.insert(0, ''); import skill_magic\n"
    environment = {**os.environ, "HOME": str(folder.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", start + code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


LIBRARIES = (
    "docker",
    "requests",
    "urllib3",
    "rich",
    "tomli",
    "platformdirs",
    "ipywidgets",
    "anywidget",
    "nbformat",
)
STANDARD = (
    "tempfile",
    "secrets",
    "json",
    "hmac",
    "fcntl",
    "grp",
    "uuid",
    "email",
    "http",
    "ssl",
    "statistics",
)
MISSING = (
    "simplejson",
    "chardet",
    "brotli",
    "zstandard",
    "socks",
    "h2",
    "paramiko",
    "win32pipe",
    "win32file",
)


def test_a_run_imports_nothing_from_the_directory(folder: Path) -> None:
    """Also what a library only tries to import, and is not installed."""
    for name in (*LIBRARIES, *STANDARD, *MISSING):
        (folder / f"{name}.py").write_text(THEIRS)
    shown = python(
        folder,
        """
import contextlib, io
from skill_magic.errors import SkillError
for work in (
    lambda: skill_magic.check("python-runner"),
    lambda: skill_magic.run("python-runner", ["-V"]),
    lambda: __import__("skill_magic.cli").cli.main(["list"]),
    lambda: __import__("skill_magic.views.panel"),
):
    with contextlib.suppress(SkillError, ModuleNotFoundError):
        work()
print("done")
""",
    )
    assert "theirs" not in shown
    assert shown.rstrip().endswith("done")


@pytest.mark.parametrize("entry", ["", ".", "{cwd}"])
def test_the_directory_may_stand_there_in_any_form(folder: Path, entry: str) -> None:
    (folder / "tempfile.py").write_text(THEIRS)
    code = f"""
sys.path[:] = [{entry.replace("{cwd}", str(folder))!r}, *[place for place in sys.path if place]]
sys.modules.pop("tempfile", None)
from skill_magic.policy import trust
from skill_magic.host import discover
trust._save(discover(), {{}}) if discover().data_dir.mkdir(parents=True) is None else None
print(sys.modules["tempfile"].__file__)
"""
    assert "theirs" not in python(folder, code)


def test_a_persons_own_imports_are_found_as_ever(folder: Path) -> None:
    """Their notebook's, and those of a function of theirs that this package calls."""
    source = "class Source:\n    def read(self, n=-1):\n        import late\n        return b''\n"
    (folder / "mine.py").write_text(f"import helper\n{source}")
    (folder / "helper.py").write_text("")
    (folder / "late.py").write_text("print('late is here')")
    code = """
import mine
from skill_magic import stdin
print(stdin.source(mine.Source()).read(10))
"""
    assert "late is here" in python(folder, code)


def test_it_is_installed_once() -> None:
    import skill_magic.imports

    skill_magic.imports.install()
    assert sum(isinstance(finder, InstalledOnly) for finder in sys.meta_path) == 1


def test_the_package_itself_is_loaded_anew_from_where_it_is(folder: Path) -> None:
    (folder / "skill_magic.py").write_text(THEIRS)
    code = f"""
sys.path.append({str(ROOT)!r})
import importlib
print(importlib.reload(skill_magic).__file__)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = "import sys, skill_magic\nsys.path.insert(0, '')\n"
    command = [sys.executable, "-P", "-c", start + code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(ROOT / "skill_magic/__init__.py")
