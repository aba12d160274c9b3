"""Keeping output: every byte, little memory, logs that do not pile up."""

from __future__ import annotations

import fcntl
import os
import pickle
import random
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skill_magic import logs, output
from skill_magic.errors import SkillError
from skill_magic.output import (
    HEAD_LIMIT,
    MEMORY_LIMIT,
    TAIL_LIMIT,
    OutputLog,
    Piece,
    Shown,
    StreamName,
    saved,
)


def text_of(pieces: tuple[Piece, ...]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def test_a_little_output_stays_in_memory(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "runs")
    log.write("stdout", b"a\xff")
    log.write("stderr", b"b")
    log.write("stdout", b"c")
    kept = log.close()
    assert (kept.stdout.read(), kept.stderr.read()) == (b"a\xffc", b"b")
    assert kept.head == (Piece("stdout", b"a\xff"), Piece("stderr", b"b"), Piece("stdout", b"c"))
    assert kept.logs == {}
    assert not (tmp_path / "runs").exists()


def test_much_output_goes_to_a_private_file(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "runs")
    written = bytearray()
    for number in range(60_000):
        line = b"line %d of a tool that writes a lot\n" % number
        log.write("stdout", line)
        written += line
    log.write("stderr", b"small")
    kept = log.close()
    assert kept.stdout.read() == bytes(written)
    assert kept.stdout.size == len(written) > MEMORY_LIMIT
    assert kept.stdout.lost == 0
    assert kept.stdout.data == b""
    [(name, path)] = kept.logs.items()
    assert name == "stdout"
    assert path.read_bytes() == bytes(written)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert kept.stderr.read() == b"small"
    again = pickle.loads(pickle.dumps(kept))
    assert again == kept
    assert again.stdout.read() == bytes(written)


def test_the_start_and_the_end_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "runs")
    whole = b"".join(b"line %d\n" % number for number in range(200_000))
    for at in range(0, len(whole), 10_007):
        log.write("stdout", whole[at : at + 10_007])
    kept = log.close()
    head, tail = text_of(kept.head), text_of(kept.tail)
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert head.endswith(b"\n")
    assert len(head) <= HEAD_LIMIT + 10_000
    assert len(tail) <= TAIL_LIMIT
    omitted = whole[len(head) : len(whole) - len(tail)]
    assert (kept.omitted_lines, kept.omitted_bytes) == (omitted.count(b"\n"), len(omitted))


def test_one_endless_line(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "runs")
    for _ in range(50):
        log.write("stdout", b"x" * 1_000_000)
    kept = log.close()
    assert kept.stdout.size == 50_000_000
    assert kept.stdout.path is not None
    assert kept.stdout.path.stat().st_size == 50_000_000
    assert len(text_of(kept.head)) + len(text_of(kept.tail)) + kept.omitted_bytes == 50_000_000


def test_progress_is_no_reason_to_leave_anything_out() -> None:
    shown = Shown()
    shown.write("stderr", b"header\n")
    for number in range(100_000):
        shown.write("stderr", b"frame %6d\r" % number)
    shown.write("stderr", b"frame 100000\ndone\n")
    head, tail, lines, size = shown.take()
    assert (tail, lines, size) == ((), 0, 0)
    assert text_of(head).startswith(b"header\n")
    assert text_of(head).endswith(b"frame  99999\rframe 100000\ndone\n")


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.integers(0, 400)), max_size=60),
    st.integers(),
)
def test_shown_never_loses_count(parts: list[tuple[StreamName, int]], seed: int) -> None:
    source = random.Random(seed)
    shown = Shown(200, 100)
    whole = bytearray()
    for stream, size in parts:
        data = bytes(source.choices(b"abc\n", weights=[5, 5, 5, 1], k=size))
        shown.write(stream, data)
        whole += data
    head, tail, lines, size = shown.take()
    first, last = text_of(head), text_of(tail)
    assert bytes(whole).startswith(first)
    assert bytes(whole).endswith(last)
    assert len(first) + len(last) + size == len(whole)
    assert whole[len(first) : len(whole) - len(last)].count(b"\n") == lines


def test_little_memory_for_much_output(tmp_path: Path) -> None:
    def resident() -> int:
        return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[0]) * 1024

    log = OutputLog(tmp_path / "runs")
    chunk = b"a line of a flood that does not end\n" * 1820
    log.write("stdout", chunk)
    before = resident()
    for _ in range(3200):  # 200 MB
        log.write("stdout", bytes(bytearray(chunk)))
    grown = resident() - before
    kept = log.close()
    assert kept.stdout.size > 200_000_000
    assert kept.stdout.path is not None
    kept.stdout.path.unlink()
    assert grown < 20_000_000


def test_a_directory_that_cannot_be_made_keeps_what_memory_holds(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the directory should be")
    log = OutputLog(tmp_path / "runs")
    log.write("stdout", b"a" * (MEMORY_LIMIT + 1))
    log.write("stdout", b"b" * 1000)
    kept = log.close()
    assert kept.stdout.read() == b"a" * (MEMORY_LIMIT + 1)
    assert kept.stdout.lost == 1000
    assert "not all of stdout could be kept" in log.notes[0]


def test_a_full_disk_is_said_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "FREE_FLOOR", 1 << 60)
    log = OutputLog(tmp_path / "runs")
    for _ in range(3):
        log.write("stderr", b"a" * MEMORY_LIMIT)
    kept = log.close()
    assert len(kept.stderr.read()) == 2 * MEMORY_LIMIT  # as much as memory held when it turned out
    assert kept.stderr.lost == MEMORY_LIMIT
    assert len(log.notes) == 1
    assert "free" in log.notes[0]


def test_a_log_that_is_gone_is_an_error_with_a_reason(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "runs")
    log.write("stdout", b"a" * (MEMORY_LIMIT + 1))
    kept = log.close()
    next(iter(kept.logs.values())).unlink()
    with pytest.raises(SkillError, match="cannot be read") as caught:
        kept.stdout.read()
    assert "kept for" in caught.value.hint


def test_output_at_hand() -> None:
    kept = saved(b"out", b"err")
    assert (kept.stdout.read(), kept.stderr.read()) == (b"out", b"err")
    assert [piece.stream for piece in kept.head] == ["stdout", "stderr"]


def a_run(runs: Path, name: str, *, age: float = 0.0, size: int = 1) -> Path:
    directory = runs / name
    directory.mkdir(parents=True)
    with (directory / "stdout.log").open("wb") as file:
        file.truncate(size)
    os.utime(directory / "stdout.log", (1e9 - age, 1e9 - age))
    return directory


def test_old_logs_are_removed(tmp_path: Path) -> None:
    old = a_run(tmp_path, "old", age=8 * 86_400)
    new = a_run(tmp_path, "new", age=6 * 86_400)
    assert logs.prune(tmp_path, now=1e9) == [old]
    assert not old.exists()
    assert new.exists()


def test_many_logs_are_removed_oldest_first(tmp_path: Path) -> None:
    runs = [a_run(tmp_path, str(number), age=number) for number in range(logs.KEEP_RUNS + 5)]
    logs.prune(tmp_path, now=1e9)
    assert [run.exists() for run in runs] == [True] * (logs.KEEP_RUNS - 1) + [False] * 6


def test_large_logs_are_removed(tmp_path: Path) -> None:
    runs = [a_run(tmp_path, str(number), age=number, size=logs.KEEP_BYTES // 2 - 1) for number in range(3)]
    logs.prune(tmp_path, now=1e9)
    assert [run.exists() for run in runs] == [True, True, False]


def test_a_log_being_written_stays(tmp_path: Path) -> None:
    run = a_run(tmp_path, "busy", age=30 * 86_400)
    with (run / "stdout.log").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert logs.prune(tmp_path, now=1e9) == []
    assert logs.prune(tmp_path, now=1e9) == [run]


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> int:
    """Logs of 4 MiB together, in windows of 256 KiB."""
    for module in (logs, output):
        monkeypatch.setattr(module, "WINDOW", 1 << 18)
        monkeypatch.setattr(module, "KEEP_BYTES", 4 << 20)
    return 4 << 20


def on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*/*.log"))


def test_one_run_cannot_fill_the_disk(tmp_path: Path, small_bounds: int) -> None:
    log = OutputLog(tmp_path)
    for _ in range(100):
        log.write("stdout", b"a" * (1 << 16))
        assert on_disk(tmp_path) <= small_bounds
    for _ in range(100):
        log.write("stderr", b"b" * (1 << 16))
        assert on_disk(tmp_path) <= small_bounds
    kept = log.close()
    assert small_bounds // 2 < kept.stdout.size - kept.stdout.lost <= small_bounds
    assert kept.stdout.read() == b"a" * (kept.stdout.size - kept.stdout.lost)
    assert kept.tail[-1].data.endswith(b"b" * 1000)  # the end is shown all the same
    assert [note.partition(":")[0] for note in log.notes] == [
        "not all of stdout could be kept",
        "not all of stderr could be kept",
    ]


def test_older_logs_make_room_while_a_run_writes(tmp_path: Path, small_bounds: int) -> None:
    old = [a_run(tmp_path, name, age=age, size=1 << 20) for name, age in (("oldest", 20), ("older", 10))]
    log = OutputLog(tmp_path)
    for _ in range(52):  # 3.25 MiB
        log.write("stdout", b"a" * (1 << 16))
        assert on_disk(tmp_path) <= small_bounds
    assert [run.exists() for run in old] == [False, False]
    assert log.close().stdout.lost == 0
    assert log.notes == []


def test_many_runs_at_once_have_one_bound(tmp_path: Path, small_bounds: int) -> None:
    writing = [OutputLog(tmp_path) for _ in range(5)]
    for _ in range(64):
        for log in writing:
            log.write("stdout", b"a" * (1 << 16))
            assert on_disk(tmp_path) <= small_bounds
    results = [log.close() for log in writing]
    assert sum(kept.stdout.size - kept.stdout.lost for kept in results if kept.logs) <= small_bounds
    assert all(log.notes for log in writing)


def test_clean_removes_the_logs_of_all_ended_runs(tmp_path: Path) -> None:
    assert logs.clean(tmp_path / "runs") == 0
    ended = [a_run(tmp_path / "runs", str(number), age=number, size=1000) for number in range(3)]
    busy = a_run(tmp_path / "runs", "busy", age=0)
    (tmp_path / "runs" / "other").mkdir()
    with (busy / "stdout.log").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert logs.clean(tmp_path / "runs") == 3000
    assert [run.exists() for run in (*ended, busy, tmp_path / "runs" / "other")] == [False] * 3 + [True] * 2


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    elsewhere = a_run(tmp_path / "elsewhere", "x", age=30 * 86_400)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(elsewhere)
    (tmp_path / "runs" / "other").mkdir()
    (tmp_path / "runs" / "file").write_text("x")
    assert logs.prune(tmp_path / "runs", now=1e9) == []
    assert elsewhere.exists()


def test_a_log_has_its_name_once_it_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever prunes between the two finds nothing to take for a log that has ended."""
    seen: list[list[str]] = []
    lock = fcntl.flock

    def watched(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        seen.append([path.name for path in tmp_path.glob("*/*.log")])
        assert logs.prune(tmp_path, now=1e12) == []
        lock(descriptor, operation)

    log = OutputLog(tmp_path)
    log.write("stdout", b"a" * MEMORY_LIMIT)
    monkeypatch.setattr(fcntl, "flock", watched)
    log.write("stdout", b"b")
    assert seen == [[]]
    assert logs.prune(tmp_path, now=1e12) == []
    assert log.close().stdout.read() == b"a" * MEMORY_LIMIT + b"b"


def test_the_log_of_a_run_under_way_is_locked(tmp_path: Path) -> None:
    log = OutputLog(tmp_path)
    log.write("stdout", b"a" * (MEMORY_LIMIT + 1))
    assert logs.prune(tmp_path, now=1e12) == []
    log.close()
    assert len(logs.prune(tmp_path, now=1e12)) == 1
