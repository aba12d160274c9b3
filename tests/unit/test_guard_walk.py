"""What the host runs later is found wherever it lies in a mounted folder, or the folder is not mounted."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from policy_helpers import codes, make_host, make_skill

from skill_magic.command.parse import Request
from skill_magic.host import Host
from skill_magic.mounts import guard_walk, guards, mounts
from skill_magic.policy.decide import evaluate
from skill_magic.spec import Mount


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


def make(host: Host, *names: str) -> None:
    """Files, and folders for names that end in a slash."""
    for name in names:
        path = host.directory / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def kept(host: Host, *more: Mount) -> set[str]:
    """What is read-only in the container, below /workdir."""
    made = mounts.complete((mounts.project_mount(host), *more), host)
    return {each.target.removeprefix("/workdir/") for each in made if each.ours and each.read_only}


@pytest.mark.parametrize(
    ("names", "guarded"),
    [
        (["inner/.git/config"], "inner/.git"),
        (["a/b/c/d/.git/hooks/"], "a/b/c/d/.git"),
        (["repo/.hg/hgrc"], "repo/.hg"),
        (["old/.svn/wc.db"], "old/.svn"),
        (["new/.jj/repo/"], "new/.jj"),
        (["data/HEAD", "data/config", "data/objects/", "data/refs/"], "data"),
        (["sub/.venv/bin/python"], "sub/.venv"),
        (["sub/named/pyvenv.cfg", "sub/named/bin/python"], "sub/named"),
        (["sub/cenv/conda-meta/history"], "sub/cenv"),
        (["node_modules/.bin/eslint"], "node_modules"),
        (["web/node_modules/.bin/eslint"], "web/node_modules"),
        ([".tox/py/bin/python"], ".tox"),
        ([".nox/py/bin/python"], ".nox"),
        (["w/.direnv/bin/"], "w/.direnv"),
        (["w/.pixi/envs/"], "w/.pixi"),
        ([".ipynb_checkpoints/a-checkpoint.ipynb"], ".ipynb_checkpoints"),
        (["pkg/__pycache__/helper.cpython-311.pyc"], "pkg/__pycache__"),
        ([".gitmodules"], ".gitmodules"),
        (["x/.gitattributes"], "x/.gitattributes"),
        (["x/.Rprofile"], "x/.Rprofile"),
        ([".mcp.json"], ".mcp.json"),
        (["x/.claude/settings.json"], "x/.claude"),
        (["jupyter_server_config.py"], "jupyter_server_config.py"),
        (["x/ipython_config.py"], "x/ipython_config.py"),
        (["x/evil.pth"], "x/evil.pth"),
        (["startup.m"], "startup.m"),
        (["x/skills.toml"], "x/skills.toml"),
    ],
)
def test_each_is_read_only_wherever_it_lies(host: Host, names: list[str], guarded: str) -> None:
    make(host, "result.csv", "x/result.csv", *names)
    assert kept(host) == {guarded}


@pytest.mark.parametrize(
    "name",
    ["analysis.py", "Makefile", "package.json", "pyproject.toml", "objects/refs", "a/HEAD", "data/config"],
)
def test_what_tools_are_asked_to_write_is_not(host: Host, name: str) -> None:
    make(host, name)
    assert kept(host) == set()


def test_a_nested_clone_takes_its_pointers_along(host: Host) -> None:
    make(
        host, "store/worktrees/w/HEAD", "store/config", "sub/w/.git", "hooks/pre-commit", "sub/c/.git/config"
    )
    (host.directory / "sub/w/.git").write_text("gitdir: ../../store/worktrees/w\n")
    (host.directory / "store/worktrees/w/commondir").write_text("../..\n")
    (host.directory / "sub/c/.git/config").write_text(
        "[core]\n\thooksPath = ../../hooks\n[include]\n\tpath = ../x\n"
    )
    make(host, "sub/c/x")
    assert kept(host) == {"store", "sub/w/.git", "sub/c/.git", "hooks", "sub/c/x"}


def test_what_is_guarded_is_not_looked_into(host: Host) -> None:
    make(
        host, "node_modules/a/.git/config", "node_modules/a/node_modules/b/x", ".venv/lib/p/__pycache__/m.pyc"
    )
    assert kept(host) == {"node_modules", ".venv"}


def test_caches_need_no_mounts_around_them(host: Host) -> None:
    make(host, "a/b/__pycache__/m.pyc")
    made = mounts.complete((mounts.project_mount(host),), host)
    assert [each.target for each in made] == ["/workdir", "/workdir/a/b/__pycache__"]


def test_the_folders_above_another_cannot_be_moved(host: Host) -> None:
    make(host, "a/b/.git/config")
    made = mounts.complete((mounts.project_mount(host),), host)
    assert [(each.target, each.read_only) for each in made[1:]] == [
        ("/workdir/a", False), ("/workdir/a/b", False), ("/workdir/a/b/.git", True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "names", [["pyvenv.cfg", "bin/python"], ["HEAD", "config", "objects/", "refs/", "hooks/x"]]
)
def test_a_directory_that_is_one_itself_has_its_parts_guarded(host: Host, names: list[str]) -> None:
    make(host, "result.csv", *names)
    assert kept(host) == {name.partition("/")[0] for name in names}


def test_links_are_not_followed_out(host: Host, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / ".git").mkdir(parents=True)
    make(host, "real/git/config", "sub/")
    (host.directory / "way").symlink_to(outside)
    (host.directory / "round").symlink_to(".")
    (host.directory / "sub/.git").symlink_to("../real/git")
    (host.directory / "sub/.venv").symlink_to(outside)
    assert kept(host) == {"real/git"}


def test_a_folder_that_cannot_be_listed_is_read_only(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    make(host, "closed/.git/config")
    real = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("/closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert kept(host) == {"closed"}


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name is short enough for a socket's address."""
    folder = Path(tempfile.mkdtemp(prefix="gw"))
    yield folder
    shutil.rmtree(folder)


def test_sockets_pipes_and_devices_are_hidden(short: Path) -> None:
    host = make_host(short)
    make(host, "sub/")
    os.mkfifo(host.directory / "pipe")
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        one.bind(str(host.directory / "sub/s"))
        two.bind(str(host.directory / ".env"))
        for read_only in (False, True):
            mount = Mount("bind", "/w", str(host.directory), read_only=read_only)
            made = mounts.complete((mount,), host)
            hidden = {each.target: each.source for each in made if each.kind == "mask"}
            assert hidden == {"/w/pipe": "/dev/null", "/w/sub/s": "/dev/null", "/w/.env": "/dev/null"}


def verdict(host: Host, *volumes: str) -> tuple[str, list[str]]:
    decision = evaluate(make_skill(host, volumes=volumes), Request("t"), host)
    return decision.verdict, codes(decision.violations)


def test_too_many_guards_refuse_the_run(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "MOST_GUARDS", 8)
    make(host, *(f"p{number}/__pycache__/" for number in range(8)))
    assert verdict(host) == ("allow", [])
    make(host, "p8/.git/")
    assert verdict(host) == ("deny", ["mount-guards"])
    assert verdict(host, ".:/workdir:ro") == ("allow", [])


def test_the_bound_as_it_is(host: Host) -> None:
    make(host, *(f"m{number}/.git/" for number in range(257)))
    assert verdict(host) == ("deny", ["mount-guards"])


@pytest.mark.parametrize(("name", "value"), [("ENTRIES", 20), ("SECONDS", -1.0)])
def test_too_much_to_look_at_refuses_the_run(
    host: Host, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    make(host, *(f"data/{number}" for number in range(30)))
    assert verdict(host) == ("allow", [])
    monkeypatch.setattr(guard_walk, name, value)
    decision = evaluate(make_skill(host), Request("t"), host)
    assert codes(decision.violations) == ["mount-guards"]
    [fault] = decision.violations
    assert (fault.field, fault.value) == ("directory", str(host.directory))
    assert "smaller folder" in fault.fix
    assert verdict(host, ".:/workdir:ro") == ("allow", [])


@pytest.mark.parametrize(
    "inner",
    ["inner/.git", "inner/.git/hooks", "sub/named/bin", "node_modules/.bin", "data/hooks", "x/.mcp.json"],
)
def test_none_is_mounted_alone_without_a_grant(host: Host, inner: str) -> None:
    make(
        host,
        "inner/.git/hooks/",
        "sub/named/pyvenv.cfg",
        "sub/named/bin/",
        "node_modules/.bin/",
        "x/.mcp.json",
    )
    make(host, "data/HEAD", "data/objects/", "data/refs/", "data/hooks/")
    assert verdict(host, f"./{inner}:/x") == ("trust", ["mount-project-code"])
    assert verdict(host, f"./{inner}:/x:ro") == ("allow", [])


def test_what_a_nested_repository_points_at_is_not_either(host: Host) -> None:
    make(host, "sub/.git/config", "tools/hooks/")
    (host.directory / "sub/.git/config").write_text("[core]\n\thooksPath = ../tools/hooks\n")
    assert verdict(host, "./tools/hooks:/x") == ("trust", ["mount-project-code"])
