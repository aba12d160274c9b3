"""scripts/build: what a release uploads is what git tracks, and the package index would show it."""

from __future__ import annotations

import email.parser
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import working_copy

import skill_magic

pytestmark = pytest.mark.slow

LITTER = (
    ".env",
    "notes.txt",
    "tests/unit/test_mine.py",
    "skill_magic/scratch.py",
    "docs/draft.md",
    "build/old.txt",
    ".venv-3.12/lib/site.py",
    "skill_magic/__pycache__/cli.cpython-311.pyc",
    "dist/skill_magic-0.0.1.tar.gz",
)
"""Files that lie about in a working tree, and that nobody meant to publish."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = working_copy.make(tmp_path_factory.mktemp("release") / "skill_magic", working_copy.tracked())
    working_copy.environment(folder)
    for name in LITTER:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("print('litter')\n")
    return folder


def build(folder: Path) -> tuple[str, str]:
    done = working_copy.run("scripts/build", cwd=folder)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def built(copy: Path) -> tuple[str, str]:
    """What scripts/build printed."""
    return build(copy)


def archives(folder: Path) -> tuple[Path, Path]:
    [source], [wheel] = folder.glob("dist/*.tar.gz"), folder.glob("dist/*.whl")
    return source, wheel


def content(source: Path) -> dict[str, bytes]:
    """Path below the archive's one folder → bytes."""
    found = {}
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None, f"{member.name} is no regular file"
            found[member.name.partition("/")[2]] = file.read()
    return found


def test_the_source_distribution_is_what_git_tracks(copy: Path, built: tuple[str, str]) -> None:
    found = content(archives(copy)[0])
    expected = {name for name in working_copy.tracked() if not name.startswith(".ci/")}
    assert set(found) == {*expected, "PKG-INFO"}
    assert {name for name in expected if found[name] != (working_copy.ROOT / name).read_bytes()} == set()


def test_the_wheel_is_made_of_it(copy: Path, built: tuple[str, str]) -> None:
    with zipfile.ZipFile(archives(copy)[1]) as archive:
        found = {name for name in archive.namelist() if name.startswith("skill_magic/")}
    assert found == {name for name in working_copy.tracked() if name.startswith("skill_magic/")}


def test_it_says_what_it_does(copy: Path, built: tuple[str, str]) -> None:
    shown, said = built
    assert [line for line in shown.splitlines() if line.startswith("dist/")] == [
        f"dist/{path.name}" for path in sorted(archives(copy), key=lambda path: path.name)
    ]
    assert shown.count("PASSED") == 2
    assert "not committed stay out" in said
    assert "Traceback" not in said


def test_the_metadata_are_those_of_pyproject(copy: Path, built: tuple[str, str]) -> None:
    project = tomllib.loads((copy / "pyproject.toml").read_text())["project"]
    metadata = email.parser.BytesParser().parsebytes(content(archives(copy)[0])["PKG-INFO"])
    assert metadata["Name"] == project["name"]
    assert metadata["Version"] == skill_magic.__version__
    assert metadata["License-Expression"] == project["license"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert sorted(metadata.get_all("Classifier") or []) == sorted(project["classifiers"])
    urls = [f"{name}, {address}" for name, address in project.get("urls", {}).items()]
    assert (metadata.get_all("Project-URL") or []) == urls


def test_the_same_commit_gives_the_same_bytes(copy: Path, built: tuple[str, str]) -> None:
    before = [path.read_bytes() for path in archives(copy)]
    build(copy)
    assert [path.read_bytes() for path in archives(copy)] == before


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("letter.txt", "forgotten in the list\n", "does not hold what git tracks"),
        ("pyproject.toml", "[project]\n", "the build failed"),
    ],
)
def test_what_must_not_be_released_is_refused(copy: Path, name: str, text: str, says: str) -> None:
    """Each in a commit of its own, taken back afterwards."""
    path = copy / name
    before = path.read_bytes() if path.exists() else None
    path.write_text(text)
    working_copy.environment(copy)
    working_copy.git(copy, "add", "--force", name)
    working_copy.git(copy, "commit", "--quiet", "--message=A mistake")
    try:
        done = subprocess.run(["scripts/build"], cwd=copy, capture_output=True, text=True, check=False)
    finally:
        working_copy.git(copy, "reset", "--quiet", "--hard", "HEAD~1")
        working_copy.environment(copy)
    assert done.returncode == 1
    assert says in done.stderr
    assert (path.read_bytes() if path.exists() else None) == before


def test_without_a_checkout_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("build", "_common.sh"):
        (tmp_path / "scripts" / name).write_bytes((working_copy.ROOT / "scripts" / name).read_bytes())
    done = subprocess.run(
        ["bash", "scripts/build"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("build: this is no git checkout")
