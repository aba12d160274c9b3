"""The live panel's state: lines under every split and flood, bounded messages, meters, phases."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skill_magic.events import Note, Output, Pulling, Started, Usage
from skill_magic.text import colour_after
from skill_magic.views.panel_state import BACKLOG, LINES, MESSAGE, POINTS, WIDTH, Pane, PanelState


def shown(pane: Pane) -> list[str]:
    """The text of the lines a browser would have."""
    return [row[2] for row in pane.tail(1 << 20)]


def fed(*chunks: bytes, stream: str = "stdout") -> list[str]:
    """The lines after these chunks, each read by itself."""
    pane = Pane()
    for chunk in chunks:
        pane.feed(stream, chunk)
        pane.take()
    return shown(pane)


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"one\n\ntwo"], ["one", "", "two"]),
        ([b"on", b"e\nt", b"wo"], ["one", "two"]),
        ([b"a\r\nb\r\n"], ["a", "b"]),
        ([b"a\r", b"\nb"], ["a", "b"]),
        ([b"10 %\r20 %\r30 %"], ["30 %"]),
        ([b"10 %\r", b"20 %\r", b"30 %\r"], ["30 %"]),
        ([b"10 %\r20 %\rdone\n"], ["done"]),
        ([b"\r50 %", b"\r100 %", b"\n"], ["100 %"]),
        ([b"\xe2\x82", b"\xac\n"], ["€"]),
        ([b"\x1b[31mred\nstill\x1b[0m\nplain"], ["\x1b[31mred", "\x1b[31mstill\x1b[0m", "plain"]),
        ([b"\x1b[1m\x1b[31mx\r\x1b[0my\n"], ["y"]),
        ([b"1000\r5\n"], ["5000"]),
        ([b"\x1b[32m 5 %\r", b"10 %\r"], ["\x1b[32m10 %"]),
        ([b"\x1b]0;title\x07text\n"], ["text"]),
        ([b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n"], ["link"]),
        ([b"<script>alert(1)</script>\n"], ["<script>alert(1)</script>"]),
    ],
)
def test_lines(chunks: list[bytes], lines: list[str]) -> None:
    assert fed(*chunks) == lines


PIECES = st.sampled_from(
    [
        b"a",
        b"bc",
        b"\n",
        b"\r",
        b"\r\n",
        b"\x1b[31m",
        b"\x1b[0m",
        b"\x1b[0;1m",
        "€".encode(),
        b"\t",
        b"\x1b]0;t\x07",
    ]
)


@given(st.lists(PIECES, max_size=40), st.lists(st.integers(0, 120), max_size=6))
def test_lines_are_the_same_wherever_the_bytes_were_cut(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    cut = fed(*(data[a:b] for a, b in itertools.pairwise(places)))
    assert [looks(line) for line in cut] == [looks(line) for line in fed(data)]


def looks(line: str) -> list[tuple[str, str]]:
    """(colour in force, character) for each character of a line."""
    found, colour = [], ""
    for part in re.split("(\x1b\\[[0-9;:]*m)", line):
        colour = colour_after(part, colour)
        if not part.startswith("\x1b"):
            found += [(colour, character) for character in part]
    return found


@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.sampled_from([b"x" * 3000, b"y\n" * 900])),
        max_size=60,
    )
)
def test_lines_are_counted_also_where_they_are_skipped(chunks: list[tuple[str, bytes]]) -> None:
    pane = Pane()
    ends = {"stdout": b"", "stderr": b""}
    for stream, data in chunks:
        pane.feed(stream, data)
        ends[stream] += data
    pane.take()
    true = sum(len(data.splitlines()) for data in ends.values())
    # A line whose every byte was skipped and that has no end yet is not known of.
    assert true - 2 <= pane.count <= true


def test_streams_are_told_apart_and_keep_their_own_line_and_colour() -> None:
    pane = Pane()
    for stream, data in [("stdout", b"\x1b[31mhalf "), ("stderr", b"whole\n"), ("stdout", b"line\nnext")]:
        pane.feed(stream, data)
    assert pane.take() == [
        [0, "stdout", "\x1b[31mhalf line", 0],
        [1, "stderr", "whole", 0],
        [2, "stdout", "\x1b[31mnext", 0],
    ]


def test_take_gives_only_what_changed() -> None:
    pane = Pane()
    pane.feed("stdout", b"one\ntw")
    assert [row[0] for row in pane.take()] == [0, 1]
    assert pane.take() == []
    pane.feed("stdout", b"o")
    assert pane.take() == [[1, "stdout", "two", 0]]


def test_a_flood_of_lines_is_skipped_and_counted() -> None:
    pane = Pane()
    for start in range(0, 1_000_000, 1000):
        pane.feed("stdout", b"".join(b"%d\n" % number for number in range(start, start + 1000)))
    rows = pane.take()
    assert rows[-1] == [999_999, "stdout", "999999", 0]
    assert pane.count == 1_000_000
    assert all(number == int(text) for number, _, text, _ in rows[1:])


def test_one_endless_line_keeps_its_start_and_counts_the_rest() -> None:
    pane = Pane()
    for _ in range(50):
        pane.feed("stdout", b"x" * 1_000_000)
    [[number, _, text, hidden]] = pane.take()
    assert (number, set(text)) == (0, {"x"})
    assert len(text) <= WIDTH
    assert hidden > BACKLOG - 2 * WIDTH
    pane.feed("stdout", b"y" * 1_000_000 + b"\nend\n")
    assert [row[2] for row in pane.take()][-1] == "end"
    assert pane.count == 2


def test_output_that_is_no_text_is_told_by_its_size() -> None:
    pane = Pane()
    pane.feed("stderr", b"writing\n")
    for _ in range(3):
        pane.feed("stdout", b"\x89PNG\r\n\x1a\n\0\1\2" * 10_000)
    assert shown(pane) == ["writing", "322 KiB of binary output"]
    pane.feed("stderr", b"done\n")
    assert shown(pane) == ["writing", "322 KiB of binary output", "done"]


def test_progress_at_any_rate_stays_one_line() -> None:
    pane = Pane()
    for number in range(100_000):
        pane.feed("stderr", b"frame=%d\r" % number)
    assert [row[:3] for row in pane.take()] == [[0, "stderr", "frame=99999"]]


def test_a_line_of_colours_alone_cannot_grow() -> None:
    pane = Pane()
    for _ in range(200):
        pane.feed("stdout", b"\x1b[38;5;200m\x1b[1m" * 100 + b"x\n")
        pane.take()
    assert all(len(text) <= WIDTH for text in shown(pane))
    assert len(shown(pane)[-1]) <= WIDTH


def test_a_cut_line_never_ends_in_half_a_sequence() -> None:
    pane = Pane()
    pane.feed("stdout", b"x" * (WIDTH - 3) + b"\x1b[38;5;200mlater")
    [[_, _, text, hidden]] = pane.take()
    assert "\x1b" not in text
    assert hidden > 0


def test_ring_is_bounded() -> None:
    pane = Pane()
    for number in range(3 * LINES):
        pane.feed("stdout", b"%d\n" % number)
        pane.take()
    assert len(shown(pane)) == LINES


@given(st.lists(st.binary(max_size=30_000), max_size=8), st.sampled_from(["stdout", "stderr"]))
def test_messages_are_bounded_for_any_bytes(chunks: list[bytes], stream: str) -> None:
    state = PanelState("demo", "demo:1")
    for chunk in chunks:
        state.apply(Output(stream, chunk), 0.0)  # type: ignore[arg-type]
    assert size(state.delta(0.1)) < MESSAGE + 4000
    assert size(state.snapshot(0.1)) < 2 * MESSAGE


def test_worst_bytes_stay_within_the_budget() -> None:
    state = PanelState("demo", "demo:1")
    for _ in range(10):
        state.apply(Output("stdout", b'"\\\x1b[1m\t' * 4000 + b"\n"), 0.0)
    assert size(state.delta(0.1)) < MESSAGE + 4000


def size(message: dict[str, Any]) -> int:
    return len(json.dumps(message, ensure_ascii=False).encode())


def usage(elapsed: float, **figures: Any) -> Usage:
    given = {"cpu_percent": 150.04, "memory": 100, "memory_peak": 120, **figures}
    return Usage(elapsed, cpu_seconds=elapsed, cpus=2, memory_limit=1000, **given)


def test_phases_and_elapsed() -> None:
    state = PanelState("demo", "demo:1")
    assert state.head(5.0)["phase"] == "starting"
    assert state.head(5.0)["elapsed"] == 0
    state.apply(Pulling("demo:1", 10, 100, (1, 4), "Downloading"), 10.0)
    head = state.head(12.0)
    assert (head["phase"], head["elapsed"]) == ("pulling", 2.0)
    assert head["pull"] == {
        "image": "demo:1",
        "current": 10,
        "total": 100,
        "layers": [1, 4],
        "status": "Downloading",
    }
    state.apply(Started("c", "n", "i", None, 0.0), 20.0)
    head = state.head(23.5)
    assert (head["phase"], head["elapsed"], head["pull"]) == ("running", 3.5, None)


def test_usage_is_sent_once_and_peaks_never_fall() -> None:
    state = PanelState("demo", "demo:1")
    state.delta(0)
    state.apply(usage(1, memory=900, memory_peak=900), 1)
    state.apply(usage(2, memory=100, memory_peak=100), 2)
    message = state.delta(2)
    assert (message["usage"]["memory"], message["usage"]["peak"], message["usage"]["cpu"]) == (
        100,
        900,
        150.0,
    )
    assert message["points"] == [[1, 150.0, 900.0], [2, 150.0, 100.0]]
    assert state.delta(3) == {}


def test_chart_is_thinned_and_keeps_its_ends() -> None:
    state = PanelState("demo", "demo:1")
    for second in range(10 * POINTS):
        state.apply(usage(float(second)), second)
    points = state.snapshot(0)["points"]
    assert len(points) <= POINTS
    assert points[-1][0] == 10 * POINTS - 1
    assert points[0][0] == 0
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(points)]
    assert max(gaps) < 3 * 20


def test_notes_are_shown_without_control_characters() -> None:
    state = PanelState("demo", "demo:1")
    state.apply(Note("cpus \x1b[31mlowered\u202e"), 0)
    assert state.head(0)["notes"] == ["cpus \\x1b[31mlowered\\u202e"]


def test_a_snapshot_alone_tells_all() -> None:
    state = PanelState("demo", "demo:1", "demo -i x", background=True)
    state.apply(Started("c", "n", "i", None, 0.0), 0.0)
    state.apply(Output("stdout", b"hello\n"), 0.0)
    state.apply(usage(1), 1.0)
    state.delta(1.0)
    snapshot = state.snapshot(2.0)
    assert snapshot["lines"] == [[0, "stdout", "hello", 0]]
    assert snapshot["head"]["background"] is True
    assert snapshot["usage"]["pids"] == 0
    assert state.delta(2.0) == {}
