"""The lines that tell why a tool failed, judged on what real tools wrote when they failed."""

from __future__ import annotations

import dataclasses
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from skill_magic.output import Saved, SavedOutput, saved
from skill_magic.result import RunResult
from skill_magic.views.cause import LINES, MOST, WIDTH, pick
from skill_magic.views.words import cause

PLACE = Path(__file__).parents[1] / "recorded" / "failures"
RECORDED: dict[str, dict[str, Any]] = tomllib.loads((PLACE / "failures.toml").read_text("utf-8"))

MISSED: set[str] = {"cargo-test"}
"""Recordings of which the picker does not name the cause."""


def output(name: str) -> SavedOutput:
    out, err = (PLACE / f"{name}.out.txt", PLACE / f"{name}.txt")
    return saved(*(path.read_bytes() if path.exists() else b"" for path in (out, err)))


def names(name: str) -> bool:
    lines = cause(output(name)).splitlines()
    assert len(lines) <= MOST
    assert all(len(line) <= WIDTH for line in lines)
    return all(any(text in line for line in lines) for text in RECORDED[name]["expected"])


@pytest.mark.parametrize("name", sorted(set(RECORDED) - MISSED))
def test_the_cause_is_named(name: str) -> None:
    assert names(name), cause(output(name))


@pytest.mark.parametrize("name", sorted(MISSED))
def test_what_is_missed_is_still_missed(name: str) -> None:
    assert not names(name), "take it out of MISSED"


def test_the_recordings_are_complete() -> None:
    files = {path.name.removesuffix(".txt").removesuffix(".out") for path in PLACE.glob("*.txt")}
    assert files == set(RECORDED)
    assert len(RECORDED) >= 150
    assert len([name for name, entry in RECORDED.items() if entry.get("held_out")]) * 3 >= len(RECORDED)
    assert len(RECORDED) - len(MISSED) >= 0.95 * len(RECORDED)
    for name, entry in RECORDED.items():
        text = b"".join(path.read_bytes() for path in PLACE.glob(f"{name}.*txt")).decode()
        assert all(expected in text for expected in entry["expected"]), name
        assert entry["exit_code"] != 0, name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("\n \n\t\n", ()),
        ("42\n", ("42",)),
        ("   ^\n", ("^",)),
        ("some words\n1 2 3\n----\n", ("some words",)),
        ("usage: x [-h]\n  -h  show an error\n", ("-h  show an error",)),
        ("it went wrong somewhere\nTry 'x --help' for more information.\n", ("it went wrong somewhere",)),
        ("10%\r50%\rkilled by the queue\r", ("killed by the queue",)),
        (
            "Traceback (most recent call last):\n  File 'a', line 1, in f\n    f()\nValueError: 1\n",
            ("ValueError: 1",),
        ),
        ("Traceback (most recent call last):\n  File 'a', line 1, in f\n", ("File 'a', line 1, in f",)),
        (
            "warning: no such option, ignored\nerror: disk full\n",
            ("warning: no such option, ignored", "error: disk full"),
        ),
        ("error: a\nerror: b\nerror: c\nerror: d\nerror: e\n", ("error: a", "error: b", "error: e")),
        ("error: a\nerror: a\nerror: a\n", ("error: a",)),
    ],
)
def test_small_texts(text: str, expected: tuple[str, ...]) -> None:
    assert pick(text).lines == expected


def test_a_long_line_loses_its_middle() -> None:
    [line] = pick("error: " + "a" * 5000 + " no such file: model.bin\n").lines
    assert len(line) == WIDTH
    assert line.startswith("error: aaa")
    assert line.endswith(" no such file: model.bin")


@pytest.mark.parametrize("before", [0, LINES, 10 * LINES])
def test_the_start_and_the_end_are_looked_at(before: int) -> None:
    filler = "reading part\n" * before
    assert pick(filler + "fatal: the disk is full\n" + "bye\n" * 20).lines == ("fatal: the disk is full",)
    assert pick("fatal: the disk is full\n" + "\n" * before).lines == ("fatal: the disk is full",)


def test_standard_output_counts_where_standard_error_tells_nothing() -> None:
    assert cause(saved(b"ERROR: no key\n", b"3 rows\n")) == "ERROR: no key"
    assert cause(saved(b"ERROR: no key\n", b"fatal: no lock\n")) == "fatal: no lock"
    assert cause(saved(b"3 rows\n", b"bye\n")) == "bye"
    assert cause(saved(b"3 rows\n", b"")) == "3 rows"
    assert cause(saved(b"\x00\x01\x02error: x\n", b"bye\n")) == "bye"
    assert cause(saved(b"\x00\x01\x02error: x\n", b"")) == ""


def test_what_is_printed_just_above_is_not_said_again() -> None:
    assert cause(saved(b"", b"error: x\n"), {"stderr"}) == ""
    assert cause(saved(b"ERROR: no key\n", b"bye\n"), {"stderr"}) == ""
    assert cause(saved(b"error: x\n", b""), {"stderr"}) == "error: x"


def test_an_error_between_floods_is_found() -> None:
    """Head and tail of what is shown hold none of it; the stream itself does."""
    flood = b"row\n" * 60_000
    log = saved(flood, b"error: column 7 is missing\n")
    tail = dataclasses.replace(log, tail=tuple(p for p in log.tail if p.stream == "stdout"))
    assert cause(tail) == "error: column 7 is missing"


def test_a_stream_in_a_file_is_judged_by_what_is_shown(tmp_path: Path) -> None:
    log = saved(b"", b"error: x\n" + b"y\n" * 100)
    gone = dataclasses.replace(log, stderr=Saved(b"", tmp_path / "gone.log", 10, 0))
    assert cause(gone) == "error: x"


def test_colour_and_controls_are_not_in_the_lines() -> None:
    assert cause(saved(b"", b"\x1b[1;31merror:\x1b[0m no \x1b]0;x\x07key\n")) == "error: no key"


def test_the_error_of_a_result_has_the_lines() -> None:
    facts: dict[str, Any] = {"skill": "ffmpeg", "args": (), "image": "i", "state": "failed", "exit_code": 254}
    result = RunResult(**facts, duration=1.0, started=0.0, output=output("ffmpeg-missing-input"))
    error = result.error()
    assert error is not None
    assert error.message.splitlines() == [
        "ffmpeg failed: exit code 254",
        "Error opening input: No such file or directory",
        "Error opening input file missing.mp4.",
    ]


HOSTILE = {
    "carets": "^" * 999 + "x\n",
    "colons": "a:" * 500 + "\n",
    "marks": "!" * 999 + "x\n",
    "errors": "Error" * 200 + "\n",
    "dots": "a." * 500 + "\n",
    "stars": "make: *** " * 100 + "\n",
    "meters": "--:--:--" * 120 + "\n",
    "tracebacks": "Traceback (most recent call last):\n",
    "groups": "  + Exception Group Traceback (most recent call last):\n",
    "causes": "Caused by: " * 90 + "\n",
    "quotes": 'Exception in thread "' * 45 + "\n",
    "levels": "a" * 70 + " INFO " * 150 + "\n",
    "spaces": " " * 999 + "x\n",
    "labels": "error:\n",
    "one line": "no such x: ",
    "files": "Error opening input file " + "." * 970 + "\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_hostile_output_costs_little(unit: str) -> None:
    """64 KiB, all that is kept of a stream; ten times as much costs no more than the splitting into lines."""

    def cost(size: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        began = time.process_time()
        assert len(pick(text).lines) <= MOST
        return time.process_time() - began

    assert cost(64 * 1024) < 1.0
    assert cost(640 * 1024) < 2.0
