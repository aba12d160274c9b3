"""What other accounts can do since a run, what a run without a result left, and notes that stay short."""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from policy_helpers import make_host, make_spec

from skill_magic import aftermath, background, mode_bits, road
from skill_magic.aftermath import Aftermath
from skill_magic.command.parse import Request
from skill_magic.errors import EngineError
from skill_magic.events import Event, Finished, Note, Started
from skill_magic.files import SKIPPED
from skill_magic.host import Host
from skill_magic.mounts import mounts
from skill_magic.policy import protected_later
from skill_magic.policy.protected_later import group_of, guarded, why
from skill_magic.views.base import QuietView


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def put(host: Host, name: str, text: str = "x", mode: int = 0o644) -> Path:
    path = host.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def begin(host: Host) -> Aftermath:
    return Aftermath(
        make_spec(host, mounts=mounts.complete((mounts.project_mount(host),), host)), host, SKIPPED
    )


def told(after: Aftermath) -> str:
    return "\n".join(after.notes())


# --- other accounts -------------------------------------------------------------------------------


def test_files_that_everybody_can_write_to(host: Host) -> None:
    """An account with nothing else on this machine could put code into them, which the person then runs."""
    put(host, "mine.py")
    after = begin(host)
    put(host, "mine.py", "y", mode=0o666)
    put(host, "sub/new.py", mode=0o606)
    put(host, "sub/group.py", mode=0o664)
    assert "files that everybody on this machine can write to: mine.py, sub/new.py" in told(after)


def test_files_that_were_so_before_are_left_alone(host: Host) -> None:
    path = put(host, "old.py", mode=0o666)
    after = begin(host)
    after._since = path.stat().st_ctime_ns + 1
    assert told(after) == ""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_where_everybody_may_write_anyway_it_is_no_news(host: Host, kind: str) -> None:
    """On some file systems (FAT, a Windows disk in WSL) every file and folder has all rights."""
    (host.directory / "open").mkdir()
    for folder in (host.directory, host.directory / "open"):
        folder.chmod(0o777)
    after = begin(host)
    os.umask(0)
    if kind == "file":
        put(host, "open/new", mode=0o777)
    else:
        (host.directory / "open/new/deeper").mkdir(parents=True)
    assert told(after) == ""


def test_a_folder_within_an_open_one_is_told_where_it_was_closed(host: Host) -> None:
    host.directory.chmod(0o777)
    (host.directory / "private").mkdir(mode=0o700)
    after = begin(host)
    (host.directory / "private").chmod(0o777)
    assert "everybody on this machine can write to: private" in told(after)


def test_a_folder_that_everybody_can_look_into(host: Host) -> None:
    (host.directory / "private").mkdir(mode=0o700)
    (host.directory / "passed").mkdir(mode=0o700)
    after = begin(host)
    (host.directory / "private").chmod(0o755)
    (host.directory / "passed").chmod(0o711)
    (host.directory / "new").mkdir(mode=0o755)  # the tool's own
    assert "this run let everybody on this machine look into passed, private" in told(after)


class Group:
    def __init__(self, name: str, *members: str) -> None:
        self.gr_name, self.gr_mem = name, list(members)


@pytest.mark.parametrize(
    ("group", "news"),
    [
        (Group("u"), False),
        (Group("u", "u"), False),
        (Group("users"), True),
        (Group("u", "u", "v"), True),
    ],
)
def test_a_folder_that_a_group_can_write_to(
    host: Host, monkeypatch: pytest.MonkeyPatch, group: Group, news: bool
) -> None:
    monkeypatch.setattr("grp.getgrgid", lambda number: group)
    (host.directory / "was").mkdir(mode=0o775)
    (host.directory / "was").chmod(0o775)
    (host.directory / "sub").mkdir()
    after = begin(host)
    for name in ("sub", "was/new"):
        (host.directory / name).mkdir(exist_ok=True)
        (host.directory / name).chmod(0o775)
    text = told(after)
    assert ("others of a group on this machine can write to: sub" in text) == news
    assert "was" not in text


def grant(path: Path, *, kind: str = "access", number: int = 12345) -> None:
    """Version 2: user::rwx, user:NUMBER:rwx, group::r-x, mask::rwx, other::r-x."""
    entries = [
        (1, 7, 0xFFFFFFFF),
        (2, 7, number),
        (4, 5, 0xFFFFFFFF),
        (16, 7, 0xFFFFFFFF),
        (32, 5, 0xFFFFFFFF),
    ]
    data = (2).to_bytes(4, "little")
    for tag, rights, each in entries:
        data += tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + each.to_bytes(4, "little")
    os.setxattr(path, f"system.posix_acl_{kind}", data)


def test_a_folder_with_an_access_list(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that is named in an access list writes by the rights of the group's bits."""
    monkeypatch.setattr("grp.getgrgid", lambda number: Group("u"))
    (host.directory / "sub").mkdir()
    after = begin(host)
    grant(host.directory / "sub")
    assert "others of a group on this machine can write to: sub" in told(after)


def test_an_access_list_on_what_was_made_or_changed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the group's bits were before."""
    monkeypatch.setattr("grp.getgrgid", lambda number: Group("u"))
    for name in ("open", "plain", "kept"):
        (host.directory / name).mkdir()
    (host.directory / "open").chmod(0o775)
    (host.directory / "kept").chmod(0o770)
    grant(host.directory / "kept")
    after = begin(host)
    grant(host.directory / "open")
    grant(host.directory / "plain", kind="default")
    grant(put(host, "secret", mode=0o600))
    grant(put(host, "kept/own"))
    text = told(after)
    assert (
        "access list that opens them to other accounts of this machine: kept/own, open, plain, secret;"
        in text
    )


def test_what_an_access_list_passes_on_is_no_news(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grp.getgrgid", lambda number: Group("u"))
    (host.directory / "shared").mkdir()
    grant(host.directory / "shared", kind="default")
    after = begin(host)
    put(host, "shared/file")
    (host.directory / "shared/folder").mkdir()
    put(host, "shared/folder/file")
    assert os.getxattr(host.directory / "shared/folder/file", "system.posix_acl_access")
    assert "access list" not in told(after)
    grant(host.directory / "shared/folder", number=54321)
    assert "access list that opens them to other accounts of this machine: shared/folder;" in told(after)


def test_a_list_that_is_not_understood_opens(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    after = begin(host)
    path = put(host, "new")
    monkeypatch.setattr(
        os, "getxattr", lambda place, name, **options: b"\3\0\0\0" if str(path) == place else b""
    )
    assert "access list that opens them" in told(after)


def test_files_that_a_group_can_write_to(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grp.getgrgid", lambda number: Group("users"))
    (host.directory / "team").mkdir()
    (host.directory / "team").chmod(0o775)
    after = begin(host)
    put(host, "mine.py", mode=0o660)
    put(host, "team/ours.py", mode=0o664)
    assert "files that others of a group on this machine can write to: mine.py" in told(after)
    assert "team" not in told(after)


def test_what_was_given_to_another_group(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode is as before, and the group is not."""
    other = (
        12345
        if os.getuid() == 0
        else next((one for one in os.getgroups() if one != os.getgid()), os.getgid())
    )
    monkeypatch.setattr("grp.getgrgid", lambda number: Group("users" if number == other else "u"))
    for name in ("given", "kept"):
        (host.directory / name).mkdir()
        (host.directory / name).chmod(0o770)
    after = begin(host)
    os.chown(host.directory / "given", -1, other)
    os.chown(put(host, "kept/file", mode=0o660), -1, other)
    text = told(after)
    assert "others of a group on this machine can write to: given" in text
    assert "files that others of a group on this machine can write to: kept/file" in text


# --- notes stay short, the work too ---------------------------------------------------------------


@pytest.mark.parametrize("length", [200, 2000])
def test_long_names_make_no_long_notes(host: Host, length: int) -> None:
    after = begin(host)
    folder = host.directory / "/".join(["d" * 49] * (length // 50))
    for number in range(7):
        folder.joinpath(str(number)).mkdir(parents=True)
        folder.joinpath(str(number), ".envrc").touch()
        folder.joinpath(str(number), "helper").touch()
        folder.joinpath(str(number), "helper").chmod(0o4755)
    notes = list(after.notes())
    assert any("/6/.envrc" in note or "and 2 more" in note for note in notes)
    assert len(notes) == 2
    assert all(len(note) < aftermath.SHOWN * (aftermath.WIDTH + 2) + 200 for note in notes), notes


def test_many_files_deep_down_are_reached_by_one_way(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    after = begin(host)
    folder = host.directory / "/".join(["d"] * 500)
    folder.mkdir(parents=True)
    paths = [folder / str(number) for number in range(1000)]
    for path in paths:
        path.touch()
        path.chmod(0o4755)
    opened = 0
    real = os.open

    def count(*args: Any, **options: Any) -> int:
        nonlocal opened
        opened += 1
        return real(*args, **options)

    monkeypatch.setattr(os, "open", count)
    assert "bits were taken from" in told(after)
    assert not any(path.stat().st_mode & stat.S_ISUID for path in paths)
    assert opened < 2000


def test_what_there_is_no_time_for_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_bits, "SECONDS", -1.0)
    after = begin(host)
    put(host, "helper", mode=0o4755)
    assert "bits could not be taken from helper" in told(after)


# --- runs without a result ------------------------------------------------------------------------


class FakeRun:
    """A run whose tool does ``work`` as soon as it is started, and whose events are given."""

    id: str | None = "c0ffee"
    name = "skill-t-1"
    done = False

    def __init__(self, work: Callable[[], None], *events: Event | BaseException) -> None:
        work()
        self.closed = False
        self._events = deque(events)

    def next(self, timeout: float | None = None) -> Event | None:
        event = self._events.popleft()
        if isinstance(event, BaseException):
            raise event
        return event

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Listener(QuietView):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def event(self, event: Event) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)

    def error(self, error: BaseException) -> None:
        self.notes.append("error")


@pytest.fixture
def started(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[FakeRun]]:
    """Put a fake run in the place of the engine's: ``started(work, *events)``."""

    def prepare(work: Callable[[], None], *events: Event | BaseException) -> list[FakeRun]:
        made: list[FakeRun] = []

        def start(*_: object) -> FakeRun:
            made.append(FakeRun(work, *events))
            return made[-1]

        (host.directory / "skills.toml").write_text('[skills.t.docker]\nimage = "debian:12"\n')
        monkeypatch.setattr(road, "connect", lambda host: None)
        monkeypatch.setattr(road, "start", start)
        return made

    return prepare


STARTED = Started("c0ffee", "skill-t-1", "sha256:11", None, 0.0)


def plant(host: Host) -> Callable[[], None]:
    def work() -> None:
        put(host, ".Rprofile")
        put(host, "helper", mode=0o4755)

    return work


@pytest.mark.parametrize("end", [EngineError("lost"), MemoryError()])
def test_a_run_that_breaks_off_is_looked_at_too(
    host: Host, started: Callable[..., list[FakeRun]], end: BaseException
) -> None:
    made = started(plant(host), STARTED, end)
    view = Listener()
    with pytest.raises(type(end)):
        road.execute(Request("t"), host, view)
    assert made[0].closed
    assert not (host.directory / "helper").stat().st_mode & stat.S_ISUID
    assert view.notes[-1] == "error"
    assert any("created .Rprofile" in note for note in view.notes)
    assert any("taken from helper" in note for note in view.notes)


def test_a_run_that_never_was_made_is_not(
    host: Host, started: Callable[..., list[FakeRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = started(plant(host), EngineError("no such image"))
    view = Listener()
    monkeypatch.setattr(FakeRun, "id", None)
    with pytest.raises(EngineError):
        road.execute(Request("t"), host, view)
    assert made
    assert view.notes == ["error"]


@pytest.mark.parametrize("how", ["execute", "background"])
def test_the_first_look_comes_before_the_start(
    host: Host, started: Callable[..., list[FakeRun]], how: str
) -> None:
    """A quick tool has done its work before a look at a large folder is over."""
    started(plant(host), STARTED, Finished("finished", 0, 0.1, 0.0))
    if how == "execute":
        result = road.execute(Request("t"), host, QuietView())
    else:
        result = background.start(Request("t"), host, QuietView()).wait(10)
    assert any("created .Rprofile" in note for note in result.notes), result.notes
    assert any("taken from helper" in note for note in result.notes), result.notes


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["renv", "packrat", ".pylintrc", "mypy.ini", ".flake8", "latexmkrc", "profile.do", "autoexec.sas",
     "x.code-workspace",
     "x.sublime-project", "_targets.R", "rust-toolchain.toml", ".clinerules", "azure-pipelines.yml", "x.PTH",
     "jupyter_lab_config.py", "IPython_config.py"],
)  # fmt: skip
def test_existing_ones_are_read_only(name: str) -> None:
    assert guarded(name)
    assert why(name)


@pytest.mark.parametrize(
    "name",
    [".RData", "pyvenv.cfg", "conda-meta", "Project.toml", "Manifest.toml", "conf.py", "_quarto.yml", "dbt_project.yml",
     "MLproject", "vite.config.mts", "tailwind.config.cjs", ".eslintrc.cjs", ".babelrc.js", "build.gradle",
     "Cargo.toml", "Pipfile", "requirements.txt"],
)  # fmt: skip
def test_what_tools_write_is_told(name: str) -> None:
    assert not guarded(name)
    assert why(name)


@pytest.mark.parametrize(
    "name", ["data.csv", "config.js", "rc.js", "model.pt", "a.rdata", "conf.txt", "notes.md"]
)
def test_ordinary_names(name: str) -> None:
    assert group_of(name) is None
    assert why(name) is None


def test_every_group_says_why_once() -> None:
    groups = protected_later.GROUPS
    assert len({group.why for group in groups}) == len(groups)
    names = [name for group in groups for name in group.names]
    assert len(names) == len(set(names))


def test_an_installed_package_is_shadowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also one that no list knows."""
    place = tmp_path / "site-packages"
    (place / "lab_of_mine").mkdir(parents=True)
    (place / "lab_of_mine-1.0.dist-info").mkdir()
    (place / "single.py").touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(place), str(tmp_path / "missing/site-packages")])
    protected_later.shadowed.cache_clear()
    try:
        for name, parent in (("lab_of_mine.py", ""), ("single.pyc", ""), ("__init__.py", "lab_of_mine")):
            assert why(name, parent) == protected_later.IMPORTED
        assert why("lab_of_yours.py") is None
    finally:
        protected_later.shadowed.cache_clear()


@pytest.mark.parametrize("name", ["csv", "numpy"])
def test_a_link_of_a_librarys_name_may_be_a_package(host: Host, name: str) -> None:
    put(host, "data/__init__.py")
    (host.directory / "json").mkdir()  # a folder without an __init__.py shadows nothing
    after = begin(host)
    (host.directory / name).symlink_to("data")
    text = told(after)
    assert f"created {name}: {protected_later.IMPORTED}" in text
    assert "json" not in text


@pytest.mark.parametrize(
    "name",
    [
        "org.py",
        "simplejson/__init__.py",
        "backports.py",
        "mpl_toolkits/mplot3d/__init__.py",
        "google/protobuf.py",
        "sub/ruamel/yaml/main.py",
    ],
)
def test_a_module_that_would_be_found_first_is_told(host: Host, name: str) -> None:
    after = begin(host)
    put(host, name)
    put(host, "mine/protobuf.py")
    assert f"created {name}: {protected_later.IMPORTED}" in told(after)


@pytest.mark.parametrize(
    "name",
    [
        "main.tf", "__main__.py", "usercustomize.pyc", "composer.json",
        "matplotlibrc", "sub/matplotlibrc", ".jupytext.py", "nbgrader_config.py", "gunicorn.conf.py", "karma.conf.js",
        "lefthook-local.yml", "compose.override.yaml", "docker-compose.override.yml", ".pylintrc.toml", ".eslintrc.py",
        "analysis.Rproj", ".iex.exs", "evil-1.0.dist-info", "evil.egg-info",
        "mine.dist-info/entry_points.txt", "_extensions", ".terraform",
    ],
)  # fmt: skip
def test_settings_that_are_code_are_told(host: Host, name: str) -> None:
    (host.directory / "mine.dist-info").mkdir()
    (host.directory / "sub").mkdir()
    after = begin(host)
    if name.endswith(("info", "s", "m")):
        (host.directory / name).mkdir()
    else:
        put(host, name)
    assert f"created {name}: " in told(after)


CHAINS = {
    ".venv": (".envs/current", "v1"),
    ".vscode": ("cfg/current", "v1"),
    "sub/.envrc": ("../envs/current", "v1"),
    ".git/hooks/pre-commit": ("../../scripts/hook", "h1.sh"),
    "sub/.git/hooks/pre-commit": ("../../../scripts/hook", "h1.sh"),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_link_in_the_middle_that_was_changed_is_told(host: Host, name: str) -> None:
    """What is guarded is the last place; another link on the way leads the host elsewhere."""
    middle, last = CHAINS[name]
    link = host.directory / name
    link.parent.mkdir(parents=True, exist_ok=True)
    between = Path(os.path.normpath(link.parent / middle))
    between.parent.mkdir(parents=True, exist_ok=True)
    for target in (last, "other"):
        (between.parent / target).mkdir()
    between.symlink_to(last)
    link.symlink_to(middle)
    spec = make_spec(host, mounts=mounts.complete((mounts.project_mount(host),), host))
    absent, after = mounts.absent(spec, host), begin(host)
    assert told(after) == ""
    between.unlink()
    between.symlink_to("other")
    assert link in mounts.planted(absent) or f"changed {name}: " in told(after)
