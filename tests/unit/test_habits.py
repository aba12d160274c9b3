"""Words of a shell among a tool's: told of a run that ended well too, and never of what is the tool's own."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from plan_world import make_host

from skill_magic import api, magics, road
from skill_magic.command import parse as command
from skill_magic.command.habits import MOST, Habit, find
from skill_magic.command.words import Bare
from skill_magic.events import Finished, Started
from skill_magic.foreign import markup
from skill_magic.host import Host
from skill_magic.mounts.mounts import project_mount
from skill_magic.result import RunResult
from skill_magic.spec import RunSpec
from skill_magic.views import card, hints
from skill_magic.views.stream import StreamView
from skill_magic.views.terminal import TerminalView

START = "there is no shell: "
HERE = "; names of files are relative to the notebook's directory"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "frames").mkdir()
    for name in ("a.mp4", "b.mp4", "in.txt", "seq.fa", "frames/1.png", "v", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    environment = {"HOME": "/home/u", "PWD": "/", "DATA_DIR": "/data", "x": "1"}
    return make_host(tmp_path, cache_dir=tmp_path.parent / "cache", environment=environment)


def told(host: Host, args: tuple[str, ...], habits: tuple[Habit, ...] | None, **changes: Any) -> str:
    facts: dict[str, Any] = {
        "mounts": (project_mount(host),),
        "directory": host.directory,
        "entrypoint": "tool",
    }
    spec = RunSpec("tool", "debian:12", args, **(facts | changes))
    end = Finished("finished", 0, 1.0, 0.0)
    lines = list(hints.on_success(spec, end, args, habits, host))
    assert len(lines) <= 1
    assert "\n" not in "".join(lines)
    return "".join(lines)


def typed(host: Host, line: str, **changes: Any) -> str:
    """What is told of ``%skill tool -- LINE``."""
    words = command.split(f"tool -- {line}")
    request = command.parse(words, namespace={"out": "made.txt", "sign": ">"}).request
    assert request is not None
    return told(host, request.args or (), request.habits, **changes)


def in_python(host: Host, *args: str, **changes: Any) -> str:
    request = api._request("tool", args, None, None, command.Options())
    return told(host, args, request.habits, **changes)


def in_shell(host: Host, *args: str, **changes: Any) -> str:
    request = command.parse(["tool", "--", *args], door="shell").request
    assert request is not None
    return told(host, args, request.habits, **changes)


TYPED = {
    "-i a.mp4 > out.txt": "> went to the tool as an argument; --stdout out.txt writes a file",
    "-i a.mp4 > in.txt": "> went to the tool as an argument; --stdout in.txt writes a file",
    "a > sub/out.png": "> went to the tool as an argument; --stdout sub/out.png writes a file",
    "a > 'my out.txt'": "> went to the tool as an argument; --stdout 'my out.txt' writes a file",
    "a > {out}": "> went to the tool as an argument; --stdout '{out}' writes a file",
    "a 1> out.txt": "1> went to the tool as an argument; --stdout out.txt writes a file",
    "a &> out.txt": "&> went to the tool as an argument; --stdout out.txt writes a file",
    "a > /dev/null": "> went to the tool as an argument",
    "a > ../out.txt": "> went to the tool as an argument; --stdout out.txt writes a file",
    "a > ~/out.txt": "> and ~/out.txt went to the tool as arguments; --stdout out.txt writes a file" + HERE,
    "a >out.txt": ">out.txt went to the tool as an argument; --stdout out.txt writes a file",
    "a > Makefile": "> went to the tool as an argument; --stdout Makefile writes a file",
    "a >> f": ">> went to the tool as an argument; r.stdout_bytes can be appended in Python",
    "a >>log.txt": ">>log.txt went to the tool as an argument; r.stdout_bytes can be appended in Python",
    "a 2>&1": "2>&1 went to the tool as an argument; standard error is in r.stderr",
    "a 2>/dev/null": "2>/dev/null went to the tool as an argument; standard error is in r.stderr",
    "a 2> err.log": "2> went to the tool as an argument; standard error is in r.stderr",
    "a >&2": ">&2 went to the tool as an argument; standard error is in r.stderr",
    "a | head": "| went to the tool as an argument; work on r.stdout in Python",
    "-l | head -1": "| went to the tool as an argument; work on r.stdout in Python",
    "a |& grep -v x": "|& went to the tool as an argument; work on r.stdout in Python",
    "a && rm b": "&& went to the tool as an argument; start one run after the other",
    "a || true": "|| went to the tool as an argument; start one run after the other",
    "a ; ls": "; went to the tool as an argument; start one run after the other",
    "-x ; cat f": "; went to the tool as an argument; start one run after the other",
    "a &": "& went to the tool as an argument; --bg runs it in the background",
    "a < in.txt": "< went to the tool as an argument; a cell's body is the input",
    "a <in.txt": "<in.txt went to the tool as an argument; a cell's body is the input",
    "a <<EOF": "<<EOF went to the tool as an argument; a cell's body is the input",
    "*.mp4": "*.mp4 went to the tool as an argument; {names} fills in a list of names",
    "a ?.mp4": "?.mp4 went to the tool as an argument; {names} fills in a list of names",
    "x frames/*.png": "frames/*.png went to the tool as an argument; {names} fills in a list of names",
    "~/x": "~/x went to the tool as an argument" + HERE,
    "-i ~/x": "~/x went to the tool as an argument" + HERE,
    "--in=~/x": "--in=~/x went to the tool as an argument" + HERE,
    "$HOME": "$HOME went to the tool as an argument" + HERE,
    "-i $PWD/a": "$PWD/a went to the tool as an argument" + HERE,
    "$DATA_DIR/a": "$DATA_DIR/a went to the tool as an argument" + HERE,
    "a > one.txt > two.txt": "> went to the tool as an argument; --stdout one.txt writes a file",
    "a *.mp4 | head > out.txt": "*.mp4, | and > went to the tool as arguments; {names} fills in a list of names; "
    "work on r.stdout in Python; --stdout out.txt writes a file",
    "a > out.txt 2>&1": "> and 2>&1 went to the tool as arguments; --stdout out.txt writes a file; "
    "standard error is in r.stderr",
    "~/a $HOME/b": "~/a and $HOME/b went to the tool as arguments" + HERE,
}
"""What is typed on a magic's line, and what is told."""


@pytest.mark.parametrize("line", TYPED)
def test_what_a_shell_would_have_obeyed(host: Host, line: str) -> None:
    assert typed(host, line) == START + TYPED[line]


NO_HABITS = [
    # ffmpeg
    "-i a.mp4 -filter_complex [0:v]scale=1:2[a];[a]hflip out.webm",
    "-i a.mp4 -filter_complex '[0:v] scale=1:2 [a] ; [a] hflip' out.webm",
    "-map 0:v? -map 0:a? out.mkv",
    "-vf select='gt(scene,0.4)' -vsync vfr f%03d.png",
    "-pattern_type glob -i *.mp4 out.gif",
    "-i frames/%d.png out.mp4",
    "-y ?.mp4",
    "-vf 'select=eq(n\\,3)' -f null -",
    # jq
    "'.a | .b > 3' in.json",
    ".[]",
    ".a",
    ".items[*]",
    "-n --arg x 1 $x",
    "'$x | length'",
    "'.a && .b'",
    ". | .b",
    # awk
    "'$1 > 3 { print $NF }' in.txt",
    '\'BEGIN { while (("ls" | getline) > 0) print > "out.txt" }\'',
    "-F | '{print $1}' in.txt",
    "-F ; '{print $1}' in.txt",
    "$NF",
    "$1",
    # SQL
    "-c \"select 'a' || 'b'\"",
    "-c 'select * from t where a > 3;'",
    "-c 'select a from t where b < 3 and c > 4'",
    "SELECT * FROM t",
    "-c 'select $1'",
    # Python, Node, shells
    "-c 'print(1 > 2); import os'",
    "-e 'console.log(1 && 2)'",
    "-p 2 > 3",
    "-c 'a && b'",
    "-c 'ls | head > out.txt 2>&1'",
    '-c "echo $HOME; ls *.mp4"',
    "-c 'echo ~/x'",
    # regular expressions
    "-E '(a|b)*' in.txt",
    ".*foo in.txt",
    "^a?b$ in.txt",
    "-c '>' seq.fa",
    '-c ">" seq.fa',
    "-c \\> seq.fa",
    "s/a*/b/ in.txt",
    # ImageMagick
    "a.png ( b.png -resize 50% ) -composite c.png",
    "a.png \\( b.png \\) c.png",
    "a.png -resize 100x100> c.png",
    "a.png -resize 100x100\\> c.png",
    "a.png -resize 100x100< c.png",
    "a.png -fill #ff0000 c.png",
    # find, cut, paste, sort, expr, cron, versions
    ". -name *.mp4 -exec ls {} ;",
    ". -name '*.mp4'",
    "-d | -f 2 in.txt",
    "-d ; -f 2 in.txt",
    "-d | in.txt seq.fa",
    "-t ; -k 1",
    "2 * 3",
    "* * * * * backup",
    "react@>=16",
    "foo>=1.2",
    ">=1.2",
    "~>1.2",
    "KEYS user:*",
    "--include=*.py -r x",
    # what is a habit only with a word behind it, or before it
    "> out.txt",
    "a >",
    "a |",
    "a > 3",
    "a > 1.5",
    "a > .b",
    "a > -x",
    "a > (b)",
    "a > b and c",
    "a < 3",
    "a && -x",
    "a & 7",
    "a & b",
    "a || (b)",
    "& a",
    # no file has such a name
    "*.avi",
    "sub/*.mp4",
    "../*.mp4",
    "/tmp/*.mp4",
    "a ??? b",
    # not set on this machine, or no whole word
    "$NOT_SET/a",
    "$x",
    "a$HOME",
    "cost$5",
    "$HOMEx",
    "file~",
    "a~/b",
    "~",
    "HEAD~/x",
    "a|b",
    "a;b",
    "a&&b",
    "a>b",
    "<b>",
    "<p>text</p>",
    "a#b",
    "# a",
    "https://x.org/?a=b&c=d",
    "{sign} {out}",
    "'>' out.txt '|' head '&&' ls '*.mp4' '~/x' '$HOME'",
    '"2>&1" \\| head a \\; ls',
]
"""What a tool may well have been meant to get."""


@pytest.mark.parametrize("line", NO_HABITS)
def test_what_is_the_tools_own(host: Host, line: str) -> None:
    assert typed(host, line) == ""


def test_the_table_of_false_alarms_is_the_longer_one() -> None:
    assert len(NO_HABITS) > len(TYPED)


@pytest.mark.parametrize("entrypoint", ["magick", "/usr/bin/git", "find", "convert"])
def test_a_program_that_reads_patterns_itself(host: Host, entrypoint: str) -> None:
    assert typed(host, "a *.mp4 out.png", entrypoint=entrypoint) == ""
    assert typed(host, "a *.mp4 out.png", entrypoint="ffmpeg") != ""


@pytest.mark.parametrize("line", ["a < b", "host a && port b", "a > b", "x ; ls", "a || ( b )"])
@pytest.mark.parametrize("entrypoint", ["expr", "/usr/bin/test", "tcpdump", "["])
def test_a_program_with_operators_of_its_own(host: Host, entrypoint: str, line: str) -> None:
    assert typed(host, line, entrypoint=entrypoint) == ""
    assert typed(host, f"{entrypoint} {line}", entrypoint=None) == ""


@pytest.mark.parametrize("door", [in_python, in_shell])
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("a", ">", "out.txt"), ">"),
        (("a", ">out.txt"), ">out.txt"),
        (("a", "2>&1"), "2>&1"),
        (("-l", "|", "head"), "|"),
        (("a", "&&", "b"), "&&"),
        (("a", ";", "ls"), ";"),
        (("a", "<", "in.txt"), "<"),
        (("~/x",), "~/x"),
        (("--in=$HOME/x",), "--in=$HOME/x"),
    ],
)
def test_words_of_a_list(host: Host, door: Any, args: tuple[str, ...], words: str) -> None:
    assert door(host, *args).startswith(f"{START}{words} went to the tool as an argument; ")


@pytest.mark.parametrize("door", [in_python, in_shell])
@pytest.mark.parametrize(
    "args",
    [
        ("-c", ">", "seq.fa"), ("-c", ">", "in.txt"), ("a", "<", "out.txt"), ("-d", "|", "-f", "2"),
        ("new", ";", "split"),
        ("-d", "|", "in.txt", "seq.fa"), (".", "-exec", "ls", "{}", ";"), ("a", "&"), ("a", "<<EOF"), ("2", "*", "3"),
        ("-c", "a && b > out.txt"), (">seq1", "in.txt"), ("a", ">=1.2"), ("-i", "*.mp4"), ("$x",), ("$NF",),
        ("a b > c",),
    ],
)  # fmt: skip
def test_words_of_a_list_that_are_the_tools(host: Host, door: Any, args: tuple[str, ...]) -> None:
    assert door(host, *args) == ""


def test_each_door_has_its_own_way(host: Host) -> None:
    assert in_python(host, "a", ">", "out.txt").endswith("; stdout='out.txt' writes a file")
    assert in_shell(host, "a", ">", "out.txt").endswith("; --stdout out.txt writes a file")
    assert in_shell(host, "a", "|", "head").endswith("; without quotes it is your own shell's")
    assert in_python(host, "a", "<", "in.txt").endswith("; stdin=Path(…) is the input")
    assert in_python(host, "*.mp4") != ""
    assert in_shell(host, "*.mp4") == ""  # a shell has names for it, or it was in quotes


def test_the_words_of_a_cell(host: Host) -> None:
    (host.directory / "skills.toml").write_text(
        '[skills.t.docker]\nimage = "debian:12"\n[skills.t.notebook]\ncell = "args"\n'
    )
    request = command.parse(command.split("t -- a"), namespace={}).request
    assert request is not None
    filled = magics.with_body(request, "-i a.mp4  # a comment\n'|' head\n> out.txt\n", {}, host)
    assert filled.args == ("a", "-i", "a.mp4", "|", "head", ">", "out.txt")
    assert all(type(word) is str for word in filled.args)
    assert (
        told(host, filled.args, filled.habits)
        == f"{START}{TYPED['a > out.txt 2>&1'[:0] or 'a 1> out.txt'][1:]}"
    )


def test_no_word_of_the_parsers_own_kind_goes_on() -> None:
    for line in ("--raw t -- a > b", "t -- a > b"):
        request = command.parse(command.split(line), namespace={}).request
        assert request is not None
        assert all(type(word) is str for word in request.args or ())
        assert all(type(habit.word) is str and type(habit.operand) is str for habit in request.habits or ())
    assert all(isinstance(word, Bare) for word in command.split("a > b"))
    assert not any(isinstance(word, Bare) for word in command.split("'a' b\\ c \"\" x'y'"))


def test_a_secret_is_not_repeated(host: Host) -> None:
    args = ("a", ">", "hunter2.txt")
    habits = find([Bare(word) for word in args], "magic")
    spec = RunSpec("tool", "debian:12", args, mounts=(project_mount(host),), directory=host.directory)
    end = Finished("finished", 0, 1.0, 0.0)
    assert list(hints.on_success(spec, end, ("a", ">", "***.txt"), habits, host)) == []
    failed = dataclasses.replace(end, state="failed", exit_code=1)
    assert list(hints.of(spec, failed, ("a", ">", "***.txt"), habits)) == []


def test_very_many_words_cost_nothing(host: Host) -> None:
    words = [Bare(">"), Bare("~/x")] * 100_000
    assert len(find(words, "magic")) == 2
    assert find([*[Bare("a")] * MOST, Bare("~/x")], "magic") == ()
    assert typed(host, "a " + "*?" * 5000 + ".mp4") == ""


def test_a_failed_run_is_told_of_what_may_have_been_meant(host: Host) -> None:
    request = command.parse(command.split("tool -- -i *.mp4 -c # note"), namespace={}).request
    assert request is not None
    assert request.args is not None
    spec = RunSpec("tool", "debian:12", request.args, mounts=(project_mount(host),), directory=host.directory)
    (said,) = hints.of(spec, Finished("failed", 1, 1.0, 0.0), request.args, request.habits)
    assert said == f"{START}*.mp4 and # went to the tool as arguments; {{names}} fills in a list of names"
    quoted = command.parse(command.split("grep -- -c '>' nothing.fa"), namespace={}).request
    assert quoted is not None
    assert list(hints.of(spec, Finished("failed", 2, 1.0, 0.0), spec.args, quoted.habits)) == []


def result_of(host: Host, line: str) -> RunResult:
    request = command.parse(command.split(f"tool -- {line}"), namespace={}).request
    assert request is not None
    spec = RunSpec(
        "tool", "debian:12", request.args or (), mounts=(project_mount(host),), directory=host.directory
    )
    recorder = road.record(spec, host, request)
    recorder.event(Started("c", "n", "i", None, 0.0))
    recorder.event(Finished("finished", 0, 1.0, 0.0))
    return recorder.result()


def test_it_is_one_line_of_the_card_the_text_and_the_terminal(host: Host) -> None:
    result = result_of(host, "a > out.txt")
    said = START + TYPED["-i a.mp4 > out.txt"]
    assert result.notes.count(said) == 1
    assert card.html(result).count(markup(said)) == 1
    assert card.text(result).count(f"note: {said}") == 1
    for kind in (StreamView, TerminalView):
        out, err = io.StringIO(), io.StringIO()
        kind(out, err).finish(result)
        assert out.getvalue() == ""
        assert err.getvalue() == f"skill: {said}\n"


def test_a_variable_as_ipython_itself_takes_it(host: Host) -> None:
    """Told where the run failed; a word such as ``$x`` may be the tool's own."""
    request = command.parse(command.split("tool -- -i $infile"), namespace={}).request
    assert request is not None
    spec = RunSpec("tool", "debian:12", ("-i", "$infile"), directory=host.directory)
    (said,) = hints.of(spec, Finished("failed", 1, 1.0, 0.0), spec.args, request.habits)
    assert said.endswith(
        "$infile went to the tool as an argument; {infile} fills in a variable of the notebook"
    )
    assert not list(
        hints.on_success(spec, Finished("finished", 0, 1.0, 0.0), spec.args, request.habits, host)
    )
