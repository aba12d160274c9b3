"""What is said of a run that ended with 0 although the server refused commands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from policy_helpers import make_host, make_spec

from skill_magic.events import Finished
from skill_magic.output import Saved, SavedOutput, saved
from skill_magic.spec import RunSpec
from skill_magic.views.silent_failures import notes


def note(spec: RunSpec, end: Finished, output: SavedOutput) -> str:
    return "\n".join(notes(spec, end, output))


END = Finished("finished", 0, 0.1, 0.0)
REPLIES = b"OK\nERR unknown command 'nope', with args beginning with: 'x' \n\nWRONGTYPE Operation\n\n1\n"


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return make_spec(make_host(tmp_path), entrypoint="redis-cli", stdin=True)


def test_silent_failures_are_counted_and_the_first_is_shown(spec: RunSpec) -> None:
    said = note(spec, END, saved(REPLIES))
    assert "2 were refused: ERR unknown command 'nope'" in said
    assert "1 was refused" in note(spec, END, saved(b"NOAUTH Authentication required.\n\n"))


@pytest.mark.parametrize(
    "output", [b"", b"OK\n1\n", b"ERR a value\nOK\n", b"ERROR\n\n", b"an ERR x\n\n", b"a\n\nb\n"], ids=repr
)
def test_replies_that_are_no_errors(spec: RunSpec, output: bytes) -> None:
    assert note(spec, END, saved(output)) == ""


def test_it_is_said_of_redis_cli_with_commands_on_its_standard_input_alone(spec: RunSpec) -> None:
    for changed in ({"stdin": False}, {"entrypoint": "psql"}, {"entrypoint": None}):
        assert note(dataclasses.replace(spec, **changed), END, saved(REPLIES)) == ""
    assert note(spec, Finished("failed", 1, 0.1, 0.0), saved(REPLIES)) == ""
    assert note(dataclasses.replace(spec, entrypoint="/usr/bin/redis-cli"), END, saved(REPLIES))


def test_ffmpeg_that_did_not_overwrite(spec: RunSpec) -> None:
    ffmpeg = dataclasses.replace(spec, entrypoint="ffmpeg", stdin=False)
    said = note(
        ffmpeg, END, saved(b"", b"File 'o.webm' already exists. Exiting.\nNot overwriting - exiting\n")
    )
    assert said.startswith("ffmpeg wrote nothing")
    assert note(ffmpeg, END, saved(b"", b"muxing overhead: 1%\n")) == ""


@pytest.mark.parametrize(
    ("program", "args", "told"),
    [
        ("python3", ("-c", "print(1)"), True),
        ("python3", ("-u", "-c", "print(1)"), True),
        ("node", ("-e", "console.log(1)"), True),
        ("psql", ("-v", "ON_ERROR_STOP=1", "-c", "select 5"), True),
        ("python3", ("-c", "import sys; print(sys.stdin.read())"), False),
        ("python3", ("-c", "print(input())"), False),
        ("python3", ("-c", "print(open(0).read())"), False),
        ("node", ("-e", "require('fs').readFileSync(0)"), False),
        ("psql", ("-c", "\\copy t from stdin"), False),
        ("python3", ("-m", "json.tool"), False),
        ("python3", (), False),
        ("bash", ("-c", "cat"), False),
    ],
)
def test_input_that_code_among_the_arguments_does_not_read(
    spec: RunSpec, program: str, args: tuple[str, ...], told: bool
) -> None:
    run = dataclasses.replace(spec, entrypoint=program, args=args)
    assert ("does not read it" in note(run, END, saved())) is told
    assert note(dataclasses.replace(run, stdin=False), END, saved()) == ""


def test_long_output_is_looked_at_in_its_log(spec: RunSpec, tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_bytes(REPLIES + b"x" * (8 << 20))
    output = dataclasses.replace(saved(b""), stdout=Saved(path=log))
    assert "2 were refused" in note(spec, END, output)
    log.unlink()
    assert note(spec, END, output) == ""
