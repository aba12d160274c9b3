"""Hints for files that a tool cannot have although they lie in the notebook's directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hints_world import GONE, said
from plan_world import make_host

from skill_magic.events import Finished
from skill_magic.output import saved
from skill_magic.spec import Mount, RunSpec, Wish
from skill_magic.views import hints_output


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("project", "project/data", "elsewhere"):
        (tmp_path / name).mkdir()
    folder = tmp_path / "project"
    (folder / "data/a.csv").write_text("x")
    (tmp_path / "elsewhere/b.csv").write_text("x")
    (folder / "out.csv").symlink_to("../elsewhere/b.csv")
    (folder / "whole").symlink_to(tmp_path / "elsewhere")
    (folder / "absolute.csv").symlink_to(folder / "data/a.csv")
    (folder / "inner.csv").symlink_to("data/a.csv")
    (folder / "twice").symlink_to("whole")
    (folder / "circle").symlink_to("circle")
    return folder


@pytest.mark.parametrize(
    ("name", "link", "to"),
    [
        ("out.csv", "out.csv", "../elsewhere/b.csv"),
        ("./out.csv", "out.csv", "../elsewhere/b.csv"),
        ("/workdir/out.csv", "out.csv", "../elsewhere/b.csv"),
        ("whole/b.csv", "whole", "{}/elsewhere"),
        ("whole/new.csv", "whole", "{}/elsewhere"),
        ("twice/b.csv", "whole", "{}/elsewhere"),
    ],
)
def test_a_link_that_leads_out(project: Path, name: str, link: str, to: str) -> None:
    wanted = [
        (
            f"{link} is a link to {to.format(project.parent)}, which the tool does not see: "
            "put the file itself there, or mount its folder (`volumes`)"
        )
    ]
    assert said(project, "x: cannot open file", "-i", name) == wanted
    assert said(project, "x: cannot open file", f"--input={name}") == wanted
    assert said(project, GONE.format(name), "script.py") == wanted


def test_a_link_by_its_path_on_the_host(project: Path) -> None:
    (hint,) = said(project, GONE.format("absolute.csv"))
    assert hint == (
        "absolute.csv is a link by its path on this machine, which the tool sees as /workdir: "
        "write data/a.csv, or make the link relative"
    )


@pytest.mark.parametrize(
    "name", ["inner.csv", "data/a.csv", "nothing.csv", "circle", "../x.csv", "/etc/x", "", "-"]
)
def test_what_is_no_link_out(project: Path, name: str) -> None:
    assert said(project, GONE.format(name), name) == []


def test_a_link_is_told_only_where_a_file_was_missed(project: Path) -> None:
    assert said(project, "ValueError: bad number", "out.csv") == []
    mounts = (
        Mount("bind", "/workdir", str(project), ours=True),
        Mount("bind", str(project.parent / "elsewhere"), str(project.parent / "elsewhere")),
    )
    assert said(project, GONE.format("whole/x"), "whole/x", mounts=mounts) == []


def test_the_path_of_the_directory_in_a_script(project: Path) -> None:
    path = f"{project}/data/a.csv"
    wanted = [f"the tool sees {project} as /workdir: write data/a.csv"]
    assert said(project, GONE.format(path)) == wanted
    assert said(project, "cat: not found", "-c", f"open('{path}')") == wanted
    assert said(project, "ValueError: x", "-c", f"open('{path}')") == []
    assert said(project, GONE.format(f"{project.parent}/elsewhere/b.csv")) == []
    assert said(project, GONE.format(f"{project}-old/a.csv")) == []
    same = (Mount("bind", str(project), str(project), ours=True),)
    assert said(project, GONE.format(path), mounts=same, working_dir=str(project)) == []


SCRIPTS = {
    "crlf.sh": b"#!/bin/sh\r\necho\r\n",
    "fish.sh": b"#!/usr/bin/fish\necho\n",
    "good.sh": b"#!/bin/sh\nnosuch\n",
    "plain.sh": b"echo\r\nnosuch\r\n",
    "bare.sh": b"echo\n",
}


@pytest.mark.parametrize(
    ("stderr", "args", "hint"),
    [
        (b"sh: 1: ./crlf.sh: not found", ("-c", "./crlf.sh"), "the first line of crlf.sh ends in CRLF"),
        (
            b"bash: ./crlf.sh: cannot execute: required file not found",
            (),
            "the first line of crlf.sh ends in CRLF",
        ),
        (
            b"bash: ./crlf.sh: /bin/sh^M: bad interpreter: No such file",
            ("./crlf.sh",),
            "crlf.sh has line ends",
        ),
        (
            "env: \u2018python3\\r\u2019: No such file or directory".encode(),
            ("-c", "./crlf.sh"),
            "crlf.sh has line ends",
        ),
        (b"env: 'python3\\r': No such file or directory", (), "a script has line ends"),
        (b"plain.sh: 2: nosuch\r: not found", ("plain.sh",), "plain.sh has line ends of Windows (CRLF)"),
        (b"plain.sh: line 2: $'nosuch\\r': command not found", ("plain.sh",), "plain.sh has line ends"),
        (
            b"sh: 1: ./fish.sh: not found",
            (),
            "fish.sh is there: what is missing is its interpreter /usr/bin/fish",
        ),
        (
            b"OSError: [Errno 8] Exec format error: './bare.sh'",
            (),
            "bare.sh has no first line such as #!/bin/sh",
        ),
    ],
)
def test_a_script_that_a_shell_could_not_run(
    tmp_path: Path, stderr: bytes, args: tuple[str, ...], hint: str
) -> None:
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_bytes(text)
    found = said(tmp_path, stderr, *args, code=127)
    assert [each[: len(hint)] for each in found] == [hint]


@pytest.mark.parametrize(
    ("stderr", "args"),
    [
        (b"sh: 1: nosuch: not found", ("good.sh",)),
        (b"good.sh: 2: nosuch: not found", ("good.sh",)),
        (b"cat: nothing.sh: No such file or directory", ("nothing.sh",)),
        (b"10%\r20%\r100%\nValueError: x", ("crlf.sh",)),
        (b"ValueError: bad line end '\\r'", ("crlf.sh",)),
        (b"sh: 1: ./good.sh: not found", ()),
        (b"/usr/bin/fish.sh: not found", ()),
    ],
)
def test_another_failure_of_a_shell(tmp_path: Path, stderr: bytes, args: tuple[str, ...]) -> None:
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_bytes(text)
    assert said(tmp_path, stderr, *args, code=127) == []


def test_nothing_is_opened_through_a_link_or_waited_for(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SCRIPTS["fish.sh"])
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.sh").symlink_to(secret)
    (project / "folder").symlink_to(tmp_path)
    os.mkfifo(project / "pipe")
    for name in ("a.sh", "folder/secret", "pipe"):
        assert not [hint for hint in said(project, f"sh: 1: {name}: not found") if "fish" in hint]


DENIED = "PermissionError: [Errno 13] Permission denied: '{}'"


def shared(tmp_path: Path, mode: int = 0o2770) -> tuple[Path, dict[str, Any]]:
    """A folder of a team, and a member who does not own it."""
    (tmp_path / "team").mkdir()
    (tmp_path / "team").chmod(mode)
    facts = (tmp_path / "team").stat()
    own = facts.st_gid + 1
    return tmp_path, {"uid": facts.st_uid + 1, "gid": own, "groups": (own, facts.st_gid)}


@pytest.mark.parametrize("name", ["team/x.csv", "/workdir/team/x.csv", "team"])
def test_a_folder_of_a_supplementary_group(tmp_path: Path, name: str) -> None:
    folder, me = shared(tmp_path)
    (hint,) = said(folder, DENIED.format(name), host=me)
    assert hint.startswith("team is yours through the group ")
    assert str((folder / "team").stat().st_gid) in hint
    assert hint.endswith(", which the tool is not in")


@pytest.mark.parametrize(
    ("mode", "changes", "host"),
    [
        (0o2777, {}, {}),  # anybody may
        (0o2755, {}, {}),  # nor may the person
        (0o2770, {"user": "5:5", "user_field": "user"}, {}),
        (0o2770, {}, {"groups": ()}),
    ],
)
def test_another_denial(tmp_path: Path, mode: int, changes: dict[str, Any], host: dict[str, Any]) -> None:
    folder, me = shared(tmp_path, mode)
    assert said(folder, DENIED.format("team/x.csv"), host=me | host, **changes) == []


def test_rights_are_not_looked_at_through_a_link(tmp_path: Path) -> None:
    folder, me = shared(tmp_path)
    (folder / "team/in").mkdir(mode=0o770)
    project = tmp_path / "project"
    project.mkdir()
    (project / "link").symlink_to("../team")
    for name in ("link/x", "link/in/x", "link"):
        assert not [hint for hint in said(project, DENIED.format(name), host=me) if "group" in hint]


def test_a_group_that_the_tool_is_in(tmp_path: Path) -> None:
    folder, me = shared(tmp_path)
    group = str((folder / "team").stat().st_gid)
    assert said(folder, DENIED.format("team/x"), host=me, group_add=(group,)) == []
    assert said(folder, DENIED.format("team/x"), host=me, wishes=(Wish("group-add", group, "x"),)) == []
    assert said(folder, "KeyError: 'team/x'", host=me) == []
    assert said(folder, DENIED.format("/etc/shadow"), host=me | {"uid": folder.stat().st_uid}) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_root_without_roots_rights(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o755)
    os.chown(tmp_path / "theirs", 1234, 1234)
    (hint,) = said(tmp_path, DENIED.format("theirs/x"), host={"uid": 0, "gid": 0, "groups": (0,)})
    assert hint.startswith("theirs belongs to the user 1234, and the tool runs as root without root's right")


def test_an_argument_with_a_secret_in_it_is_passed_over(project: Path) -> None:
    spec = RunSpec("t", "i", ("out.csv",), directory=project, working_dir="/workdir",
                   mounts=(Mount("bind", "/workdir", str(project), ours=True),))  # fmt: skip
    end, output = Finished("failed", 1, 1.0, 0.0), saved(b"", b"cannot open file")
    assert hints_output.of(spec, end, output, make_host(project), ("***",)) == ()


def test_no_more_than_two(project: Path) -> None:
    stderr = "\n".join(
        (
            "Temporary failure in name resolution",
            "ModuleNotFoundError: No module named 'x'",
            GONE.format("out.csv"),
        )
    )
    assert len(said(project, stderr, network="none", code=135)) == hints_output.MOST


def test_a_colleagues_file_in_a_team_directory(tmp_path: Path) -> None:
    """The tool has the team's group; the file has no right for it."""
    folder, me = shared(tmp_path)
    file = folder / "team/a.png"
    file.write_bytes(b"x")
    group = folder.joinpath("team").stat().st_gid
    os.chown(file, -1, group)
    file.chmod(0o644)
    (hint,) = said(folder, DENIED.format("team/a.png"), host=me, groups=(group,))
    assert hint.startswith("team/a.png belongs to ")
    assert hint.endswith("(chmod g+w)")
    file.chmod(0o664)
    assert said(folder, DENIED.format("team/a.png"), host=me, groups=(group,)) == []
