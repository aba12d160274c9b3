"""The README's table of commands with a mistake in every word, in a shell and in IPython: what one gets to read."""

from __future__ import annotations

import fcntl
import os
import pty
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from skill_magic import cli
from skill_magic.errors import SkillError

ALL = "hint: `%skill list` shows all"
MINE = "hint: `%skill --help` lists the verbs"
OURS = "hint: a tool's own options go after --; options of `docker run` go into the manifest, as extra_args"
OTHERWISE = "hint: did you mean the verb {}? Otherwise the tool's words go after --: `%skill {} -- ffmpeg …`"
SECONDS = "hint: use a number of seconds, e.g. 60 or 1.5"
SIZE = "hint: use a whole number with b, k, m or g, e.g. 512m"


def no_skill(name: str, near: str) -> list[str]:
    return [f"SkillNotFound: no skill is called '{name}'; did you mean {near}?", ALL]


# Each line as in a notebook; in a shell it is the same without the %.
MISTAKES: list[tuple[str, list[str]]] = [
    ("%skill ffmepg -- -y -i in.mp4 out.webm", no_skill("ffmepg", "ffmpeg")),
    ("%skill run ffmepg -- -y -i in.mp4 out.webm", no_skill("ffmepg", "ffmpeg")),
    (
        "%skill rnu ffmpeg -- -y -i in.mp4 out.webm",
        [
            "CommandError: 'ffmpeg' stands between the skill's name and --",
            OTHERWISE.format("run", "rnu"),
        ],
    ),
    (
        "%skill ffmpeg -y -- -i in.mp4 out.webm",
        ["CommandError: run has no option --yes", "hint: `%skill run --help` lists its options"],
    ),
    (
        "%skill ffmpeg in.mp4 -- out.webm",
        [
            "CommandError: 'in.mp4' stands between the skill's name and --",
            "hint: the tool's words go after --: `%skill ffmpeg -- in.mp4 …`",
        ],
    ),
    ("%skill imagemagik -- in.jpg -resize 50% out.png", no_skill("imagemagik", "imagemagick")),
    ("%skill lsit", no_skill("lsit", "the verb list")),
    ("%skill ls", no_skill("ls", "the verb list")),
    ("%skill list --jsno", ["CommandError: unknown option --jsno. Did you mean --json?"]),
    ("%skill list ffmpeg", ["CommandError: list does not take 'ffmpeg'", "hint: write `%skill list`"]),
    ("%skill inof ffmpeg", no_skill("inof", "the verb info")),
    ("%skill info ffmpge", no_skill("ffmpge", "ffmpeg")),
    ("%skill info", [
        "CommandError: info needs the name of a skill",
        "hint: write `%skill info NAME`; `%skill list` lists them",
    ]),
    (
        "%skill explian ffmpeg -- -i a b",
        [
            "CommandError: 'ffmpeg' stands between the skill's name and --",
            OTHERWISE.format("explain", "explian"),
        ],
    ),
    ("%skill explain ffmpge -- -i a b", no_skill("ffmpge", "ffmpeg")),
    ("%skill chekc", no_skill("chekc", "the verb check")),
    ("%skill check nothing", [
        "CommandError: there is no file or directory 'nothing'",
        "hint: `%skill check` alone checks the manifests of this place",
    ]),
    ("%skill check ffmpeg", [
        "CommandError: there is no file or directory 'ffmpeg'",
        "hint: check takes a path; for the skill ffmpeg there is `%skill explain ffmpeg`",
    ]),
    ("%skill plul ffmpeg", no_skill("plul", "the verb pull")),
    ("%skill pull ffmpge", no_skill("ffmpge", "ffmpeg")),
    ("%skill --pull alway ffmpeg", [
        "CommandError: --pull 'alway' is not missing, never or always",
        "hint: did you mean always?",
    ]),
    ("%skill trsut ffmpeg", no_skill("trsut", "the verb trust")),
    ("%skill trust ffmpge", no_skill("ffmpge", "ffmpeg")),
    ("%skill trust --al", ["CommandError: unknown option --al. Did you mean --all?"]),
    ("%skill trust --all", [
        "CommandError: there is no project here whose skills could ask for anything",
        "hint: there is no skills.toml in {here} or above",
    ]),
    ("%skill trust", [
        "CommandError: trust needs the name of a skill, or --all",
        "hint: write `%skill trust NAME` or `%skill trust --all`",
    ]),
    ("%skill pss", no_skill("pss", "the verb ps")),
    ("%skill ps ffmpeg", ["CommandError: ps does not take 'ffmpeg'", "hint: write `%skill ps`"]),
    ("%skill stpo x", no_skill("stpo", "the verb stop")),
    ("%skill stop", [
        "CommandError: stop needs the name of a run",
        "hint: write `%skill stop RUN...`; `%skill ps` lists them",
    ]),
    ("%skill log", no_skill("log", "the verb logs")),
    ("%skill logs", [
        "CommandError: logs needs the name of a run",
        "hint: write `%skill logs RUN`; `%skill ps` lists them",
    ]),
    ("%skill claen", no_skill("claen", "the verb clean")),
    ("%skill doctro", no_skill("doctro", "the verb doctor")),
    ("%skill map ffmpeg a b", ["CommandError: map is not in this version", MINE]),
    ("%skill lock", ["CommandError: lock is not in this version", MINE]),
    ("%skill report --help", ["CommandError: report is not in this version", MINE]),
    ("%skill --memoy 1g ffmpeg", ["CommandError: unknown option --memoy. Did you mean --memory?"]),
    ("%skill --memory 12x ffmpeg", ["CommandError: --memory '12x' is not a size", SIZE]),
    ("%skill --timeout 5x ffmpeg", ["CommandError: --timeout '5x' is not a number of seconds", SECONDS]),
    ("%skill --timeout ffmpeg", ["CommandError: --timeout 'ffmpeg' is not a number of seconds", SECONDS]),
    ("%skill --network host ffmpeg", ["CommandError: unknown option --network", OURS]),
    ("%skill list --timeout 5", [
        "CommandError: list has no option --timeout",
        "hint: `%skill list --help` lists its options",
    ]),
    ("%skill -m nothing.toml list", [
        "ManifestError: there is no manifest {here}/nothing.toml",
        "hint: name a skills.toml, or a directory that has one",
    ]),
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("home", "project", "one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("SKILL_MAGIC_VIEW", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "project"


@pytest.mark.parametrize(("line", "said"), MISTAKES)
def test_in_a_shell(here: Path, capsys: pytest.CaptureFixture[str], line: str, said: list[str]) -> None:
    assert cli.main(shlex.split(line)[1:]) in (2, 125)
    wanted = [each.replace("%skill", "skill").replace("{here}", str(here)) for each in said]
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()) == ("", wanted)


@pytest.fixture
def shell(here: Path) -> Iterator[InteractiveShell]:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_cell("%load_ext skill_magic")
    yield shell
    shell.run_cell("%unload_ext skill_magic")


def told(shell: InteractiveShell, cell: str) -> list[str]:
    error = shell.run_cell(cell).error_in_exec
    assert isinstance(error, SkillError)
    return error.lines()


@pytest.mark.parametrize(("line", "said"), MISTAKES)
def test_in_ipython(here: Path, shell: InteractiveShell, line: str, said: list[str]) -> None:
    assert told(shell, line) == [each.replace("{here}", str(here)) for each in said]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            "%%skill python-runer\nprint(1)",
            no_skill("python-runer", "python-runner or python-runner-net or npm-runner"),
        ),
        (
            "%%skill\nprint(1)",
            [
                "CommandError: name a skill after %%skill: the cell's body is for it",
                "hint: write `%%skill NAME`; `%skill list` lists the skills",
            ],
        ),
        (
            "%%skill list\nprint(1)",
            ["CommandError: %%skill list takes no cell", "hint: write `%skill list`, with a single %"],
        ),
        (
            "%%skill --help\nprint(1)",
            ["CommandError: %%skill --help takes no cell", "hint: write `%skill --help`, with a single %"],
        ),
        (
            "%%skill --timeou 60 python-runner\nprint(1)",
            ["CommandError: unknown option --timeou. Did you mean --timeout?"],
        ),
        (
            "%%skill -i python-runner\nprint(1)",
            ["CommandError: --interactive is for a shell", "hint: the body of a %%skill cell is the tool's input"],
        ),
        (
            "%skill imagemagick -- in.jpg -resize '50%",
            [
                "CommandError: the quote ' is not closed (column 31):",
                "  imagemagick -- in.jpg -resize '50%",
                "                                ^",
                "hint: close it, or write \\' for an apostrophe",
            ],
        ),
        (
            "size = 1\n%skill ffmpeg -- {siez}",
            [
                "CommandError: {siez}: no variable is called 'siez'; did you mean {size}?",
                "hint: for the text {siez} itself write {{siez}}, or use --raw",
            ],
        ),
        (
            "%skill --bg --kep ffmpeg -- x",
            ["CommandError: unknown option --kep. Did you mean --keep?"],
        ),
        (
            "r = %skill --out 1r ffmpeg -- x",
            [
                "CommandError: --out '1r' is not the name of a variable",
                "hint: use letters, digits and _, e.g. --out result",
            ],
        ),
    ],
)  # fmt: skip
def test_in_a_cell(shell: InteractiveShell, cell: str, said: list[str]) -> None:
    assert told(shell, cell) == said


def test_a_view_that_there_is_not(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKILL_MAGIC_VIEW", "panl")
    assert cli.main(["ffmpeg", "--", "x"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "CommandError: no view is called 'panl'; did you mean panel?",
        "hint: SKILL_MAGIC_VIEW is one of auto, panel, text, quiet",
    ]


def test_a_variable_that_is_not_set_is_asked_for_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "skills.toml").write_text(
        '[skills.x.docker]\nimage = "python:3.12-slim"\n'
        'environment = ["A=${SM_NOPE:?Set SM_NOPE}", "B=${SM_NOPE:?it is needed}", "C=${SM_NOPE}"]\n'
    )
    assert cli.main(["x"]) == 125
    assert [line.strip() for line in capsys.readouterr().err.splitlines() if "SM_NOPE" in line] == [
        "Set SM_NOPE. Then try again.",
        "It is needed. Set SM_NOPE and try again.",
        "The variable SM_NOPE is not set. Set SM_NOPE, or give a default: ${SM_NOPE:-default}.",
    ]


def test_a_command_that_allows_is_said_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "skills.toml").write_text(
        '[skills.hf.docker]\nimage = "python:3.12-slim"\nvolumes = ["../one:/a:ro", "../two:/b:ro"]\n'
    )
    assert cli.main(["hf"]) == 125
    said = capsys.readouterr().err
    assert said.count("skill trust hf") == 1
    assert "hint: look at it and decide: `skill trust hf`\n" in said


@pytest.mark.parametrize("columns", [40, 60, 88, 120])
def test_an_error_has_the_width_of_the_terminal_and_a_pipe_has_none(here: Path, columns: int) -> None:
    words = [sys.executable, "-P", "-m", "skill_magic", "--network", "host", "ffmpeg"]
    leader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    subprocess.run(words, stderr=terminal, stdin=subprocess.DEVNULL, check=False)
    os.close(terminal)
    said = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # Linux: the other end has been closed
            break
        if not piece:
            break
        said += piece
    os.close(leader)
    lines = said.decode().replace("\r", "").splitlines()
    whole = ["CommandError: unknown option --network", OURS]
    assert max(map(len, lines)) <= min(columns, 88)
    assert len(lines) > 2
    assert " ".join(" ".join(lines).split()) == " ".join(whole)
    assert sum("`docker run`" in line for line in lines) == 1
    piped = subprocess.run(words, capture_output=True, text=True, check=False)
    assert piped.stderr.splitlines() == whole
