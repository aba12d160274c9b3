"""What an installation brings: the files of the wheel, and ``%skill`` without ``%load_ext``."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STARTUP = "data/etc/ipython/startup/50-skill_magic.py"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints, run with nothing of the person's own: profile, manifests, PYTHONPATH."""
    env = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    env |= {"HOME": str(cwd), "PWD": str(cwd), "TERM": "dumb"} | environment
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working tree."""
    out = tmp_path_factory.mktemp("dist")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    run(sys.executable, "-c", build, out, cwd=ROOT, HOME=str(out))
    [made] = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment: the installed wheel, and its requirements borrowed from ours.

    Python searches a path that a .pth file names, but reads no .pth file in it: the editable install of this
    tree, which is one, stays invisible.
    """
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    site = home / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def shell(python: Path, folder: Path, *cells: str) -> str:
    """What a terminal IPython prints for the cells; it ends with the first that raises."""
    script = folder / "cells.ipy"
    script.write_text("\n".join(cells) + "\n")
    options = ("--no-banner", "--colors=NoColor", "--HistoryManager.enabled=False")
    return run(python, "-m", "IPython", *options, script, cwd=folder)


def test_the_wheel_holds_what_is_needed_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        package = {name for name in names if name.startswith("skill_magic/")}
        info = {name.partition(".dist-info/")[2] for name in names if ".dist-info/" in name}
        data = {name.partition(".data/")[2] for name in names if ".data/" in name}
        [metadata] = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    assert {"skill_magic/__init__.py", "skill_magic/py.typed", "skill_magic/catalog/skills.toml"} <= package
    assert data == {STARTUP}
    assert {"licenses/LICENSE", "entry_points.txt"} <= info
    assert len(package) + len(info) + len(data) == len(names), names
    assert not [name for name in names if Path(name).name.startswith("test") or "__pycache__" in name]
    assert "License-Expression: BSD-3-Clause" in metadata


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    git = ("git", "ls-files", "skill_magic")
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: no list of the package's files to compare with")
    with zipfile.ZipFile(wheel) as archive:
        assert set(listed.stdout.split()) - set(archive.namelist()) == set()


def test_the_installed_package_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    where = run(installed, "-c", "import skill_magic; print(skill_magic.__file__)", cwd=tmp_path)
    assert where.startswith(str(installed.parents[1]))


def test_skill_works_without_load_ext(installed: Path, tmp_path: Path) -> None:
    assert "ffmpeg" in shell(installed, tmp_path, "%skill list")


def test_help_works_without_load_ext(installed: Path, tmp_path: Path) -> None:
    help_text = shell(installed, tmp_path, "%skill?")
    assert "not found" not in help_text
    assert "Docstring:" in help_text


def test_the_startup_file_loads_nothing_and_leaves_no_name(installed: Path, tmp_path: Path) -> None:
    cells = (
        "import sys",
        "print('loaded:', sorted(name for name in sys.modules if name.startswith('skill_magic.')))",
        "print('names:', sorted(name for name in globals() if not name.startswith('_')))",
    )
    shown = shell(installed, tmp_path, *cells)
    assert "loaded: ['skill_magic._version', 'skill_magic.imports']" in shown
    assert "names: ['In', 'Out', 'exit', 'get_ipython', 'open', 'quit', 'sys']" in shown


@pytest.mark.parametrize("name", ["skill_magic.py", "skill_magic/__init__.py"])
def test_a_project_cannot_take_the_packages_place(installed: Path, tmp_path: Path, name: str) -> None:
    """A shell looks for modules in its directory first."""
    path = tmp_path / "project" / name
    path.parent.mkdir(parents=True)
    path.write_text("print('theirs')\n")
    shown = shell(
        installed,
        tmp_path / "project",
        "%skill list --help",
        "import skill_magic",
        "print(skill_magic.__file__)",
    )
    assert "theirs" not in shown
    assert "site-packages/skill_magic/__init__.py" in shown


def test_a_startup_file_that_cannot_register_is_silent(tmp_path: Path) -> None:
    startup = ROOT / "jupyter-config" / "ipython" / "startup" / "50-skill_magic.py"
    assert run(sys.executable, "-I", startup, cwd=tmp_path) == ""


def test_the_command_is_installed(installed: Path, tmp_path: Path) -> None:
    assert "skill" in run(installed.with_name("skill"), "--help", cwd=tmp_path)
    assert "skill" in run(installed, "-m", "skill_magic", "--help", cwd=tmp_path)
