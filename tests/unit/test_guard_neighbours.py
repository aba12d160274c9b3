"""Ways past the guards: folders that cannot be looked into, mounts over mounts, odd names, trees made to cost."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from policy_helpers import codes, make_host, make_skill

from skill_magic.command.parse import Request
from skill_magic.host import Host
from skill_magic.mounts import mounts
from skill_magic.mounts.guards import MOST_GUARDS
from skill_magic.policy.decide import evaluate
from skill_magic.policy.paths import Judge
from skill_magic.spec import Mount


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


def put(host: Host, name: str, text: str = "x") -> Path:
    path = host.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def bind(host: Host, text: str) -> Mount:
    return mounts.parse_volume(text, field="volumes[0]", host=host, base_dir=host.directory)


def read_only(host: Host, *more: str) -> set[str]:
    given = (mounts.project_mount(host), *(bind(host, text) for text in more))
    made = mounts.complete(given, host)
    return {each.target for each in made if each.ours and each.read_only}


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """As an ordinary user, whom the file system's rights concern."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(54323)
    os.seteuid(54323)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def their_host() -> Iterator[Host]:
    """A host of an ordinary user, in a folder of theirs."""
    root = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(root, 54323, 54323)
    with somebody():
        made = make_host(root)
    yield made
    for folder, _, _ in os.walk(root):
        if os.geteuid() == 0:
            os.chmod(folder, 0o700)
    shutil.rmtree(root)


# --- folders that cannot be looked into -----------------------------------------------------------


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o300, 0o400, 0o600, 0o644])
def test_what_cannot_be_looked_into_is_read_only_as_a_whole(their_host: Host, mode: int) -> None:
    """The run has the caller's uid: it could open the folder and then write to the repository in it."""
    host = their_host
    with somebody():
        for name in ("inner/.git", "outer/sub/.hg", "outer/sub/deeper/.venv"):
            (host.directory / name).mkdir(parents=True)
        for name in ("inner", "outer/sub"):
            (host.directory / name).chmod(mode)
        try:
            assert read_only(host) == {"/workdir/inner", "/workdir/outer/sub"}
            with pytest.raises(mounts.GuardsError, match="cannot be looked into"):
                mounts.complete((bind(host, "./inner:/x"),), host)
            assert len(mounts.complete((bind(host, "./inner:/x:ro"),), host)) == 1
        finally:
            for name in ("inner", "outer/sub"):
                (host.directory / name).chmod(0o755)


# --- mounts over mounts ---------------------------------------------------------------------------


def test_no_guard_is_put_into_another_mount(host: Host) -> None:
    """Its place may be missing there, and the engine would make it on the host, as root."""
    (host.directory / "a/b/.git").mkdir(parents=True)
    (host.directory / "c/.git").mkdir(parents=True)
    (host.directory / "data").mkdir()
    assert read_only(host, "./data:/workdir/a") == {"/workdir/c/.git"}
    assert read_only(host, "./data:/workdir/a/b") == {"/workdir/c/.git"}
    assert read_only(host, "./data:/workdir/a/other") == {"/workdir/a/b/.git", "/workdir/c/.git"}
    # What is mounted there instead has its own.
    assert read_only(host, "./c:/workdir/a") == {"/workdir/a/.git", "/workdir/c/.git"}
    assert read_only(host, "./a:/workdir/a") == {"/workdir/a/b/.git", "/workdir/c/.git"}
    covered = (mounts.project_mount(host), Mount("tmpfs", "/workdir/a"))
    assert "/workdir/a/b/.git" not in {each.target for each in mounts.complete(covered, host)}


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"d\xff/.git", b"d/\xe9/.venv", b"\x80/sub/.git"])
def test_a_name_that_the_engine_cannot_take(host: Host, name: bytes) -> None:
    os.makedirs(os.path.join(os.fsencode(host.directory), name))
    decision = evaluate(make_skill(host), Request("t"), host)
    assert codes(decision.violations) == ["mount-guards"]
    assert "not UTF-8" in decision.violations[0].reason
    assert decision.violations[0].fix.startswith("Rename it")
    str(decision.violations[0]).encode()  # can be shown


def test_an_ordinary_file_of_such_a_name_is_no_matter(host: Host) -> None:
    os.makedirs(os.path.join(os.fsencode(host.directory), b"d\xff/data"))
    assert evaluate(make_skill(host), Request("t"), host).verdict == "allow"


# --- git ------------------------------------------------------------------------------------------


def test_a_repository_whose_rest_is_elsewhere(host: Host) -> None:
    put(host, "data/HEAD", "ref: refs/heads/main\n")
    put(host, "data/commondir", "../rest\n")
    put(host, "rest/config")
    assert read_only(host) == {"/workdir/data", "/workdir/rest"}


@pytest.mark.parametrize(
    "text",
    [
        "[core]\n\thooksPath = tools/hooks\n",
        "[core] hooksPath = tools/hooks\n",
        '[core]\n\thookspath="tools/hooks" ; ours\n',
        "[core]\n\thooksPath = tools/hooks # ours\n",
    ],
)
@pytest.mark.parametrize("place", ["", "inner/"])
def test_hooks_elsewhere_however_they_are_written(host: Host, text: str, place: str) -> None:
    put(host, f"{place}.git/config", text)
    put(host, f"{place}tools/hooks/pre-commit")
    assert f"/workdir/{place}tools/hooks" in read_only(host)


def test_hooks_that_link_to_a_script(host: Host) -> None:
    put(host, "scripts/check.sh")
    put(host, "scripts/other.sh")
    (host.directory / "inner/.git/hooks").mkdir(parents=True)
    (host.directory / "inner/.git/hooks/pre-commit").symlink_to("../../../scripts/check.sh")
    assert read_only(host) == {"/workdir/inner/.git", "/workdir/scripts/check.sh"}


# --- trees that are made to cost ------------------------------------------------------------------


@pytest.mark.slow
def test_many_guards_deep_down_cost_little(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each needs a mount for every folder above it; the folders are counted once, and the count has a bound."""
    deep = host.directory / "/".join(["a"] * 400)
    deep.mkdir(parents=True)
    for number in range(MOST_GUARDS):
        (deep / f"{number}.pth").touch()
    looked: list[str] = []
    real = os.path.realpath

    def count(path: str) -> str:
        looked.append(path)
        return real(path)

    monkeypatch.setattr(os.path, "realpath", count)
    tracemalloc.start()
    with pytest.raises(mounts.GuardsError, match="More than"):
        mounts.complete((mounts.project_mount(host),), host)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert sum(path.count("/a/") > 100 for path in looked) < 5


def test_the_walk_ends_once_there_are_too_many(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MOST_GUARDS + 1):
        (host.directory / f"{number}.pth").touch()
    for number in range(50):
        (host.directory / f"d{number}/sub").mkdir(parents=True)
    listed: list[str] = []
    scandir = os.scandir

    def count(path: str) -> object:
        listed.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", count)
    with pytest.raises(mounts.GuardsError):
        mounts.complete((mounts.project_mount(host),), host)
    assert len(listed) < 10


def test_a_refusal_is_found_once_for_all_skills(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MOST_GUARDS + 1):
        (host.directory / f"{number}.pth").touch()
    judge = Judge(host)
    for _ in range(3):
        decision = evaluate(make_skill(host), Request("t"), host, judge=judge)
        assert codes(decision.violations) == ["mount-guards"]
        monkeypatch.setattr(os, "scandir", lambda path: pytest.fail("a second walk"))


def test_settings_of_git_that_cost_are_refused_soon(host: Host) -> None:
    """A repository that somebody else made can include as much as they like."""
    put(host, "x.git/HEAD")
    for name in ("objects", "refs"):
        (host.directory / "x.git" / name).mkdir()
    line = "\tclean = " + "ab " * 300_000 + "\n"
    for number in range(40):
        put(host, f"x.git/c{number}", f"[include]\n\tpath = c{number + 1}\n[filter]\n{line}")
    put(host, "x.git/config", "[include]\n\tpath = c0\n")
    skill = make_skill(host, volumes=("./x.git:/x",))
    judge = Judge(host)
    began = time.process_time()
    for _ in range(20):
        decision = evaluate(skill, Request("t"), host, grants=frozenset(), judge=judge)
        assert "mount-guards" in codes(decision.violations)
    assert time.process_time() - began < 10


FOREIGN = {
    "include": ("x.git/config", "[include]\n\tpath = {secret}\n"),
    "a link": ("x.git/config", None),
    "commondir": ("x.git/commondir", None),
}


@pytest.mark.parametrize("way", FOREIGN)
def test_what_is_guarded_tells_nothing_of_files_elsewhere(host: Host, tmp_path: Path, way: str) -> None:
    """A tool sees the mounts. A word of a file that it cannot read is no reason for one."""
    name, text = FOREIGN[way]
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n[default]\n\tregion = hunter2\n\tclean = hunter2\n")
    for folder in ("", "x.git/"):
        put(host, f"{folder}hunter2")
    put(host, "x.git/HEAD")
    for folder in ("objects", "refs"):
        (host.directory / "x.git" / folder).mkdir()
    if text is None:
        (host.directory / name).symlink_to(secret)
    else:
        put(host, name, text.format(secret=secret))
    assert not any("hunter2" in target for target in read_only(host))


def test_of_a_persons_own_settings_commands_count_alone(host: Host) -> None:
    put(host, ".git/config")
    put(host, "Jane")
    put(host, "tools/editor")
    (host.home / ".gitconfig").write_text("[user]\n\tname = Jane\n[core]\n\teditor = tools/editor -w\n")
    guarded = read_only(host)
    assert "/workdir/tools/editor" in guarded
    assert "/workdir/Jane" not in guarded
