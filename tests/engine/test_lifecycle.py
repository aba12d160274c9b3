"""One container's life on the real engine: what goes in, what comes out, how it ends, and that nothing is
left."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from skill_magic.engine import Engine, Run, containers
from skill_magic.errors import EngineError
from skill_magic.events import Finished, Output, Started
from skill_magic.host import Host
from skill_magic.spec import Limits

from .probes import left_volumes, volumes

pytestmark = pytest.mark.engine

MIB = 1 << 20


def names(engine: Engine) -> set[str]:
    return {one.name for one in containers(engine) if one.ours}


def test_events_come_in_order_and_the_container_is_gone(go: Callable[..., Any], engine: Engine) -> None:
    outcome = go("sh", "-c", "echo out; echo err >&2")
    kinds = [type(event) for event in outcome.events]
    assert kinds[0] is Started
    assert kinds[-1] is Finished
    assert set(kinds[1:-1]) == {Output}
    assert outcome.stdout == b"out\n"
    assert outcome.stderr == b"err\n"
    assert outcome.finished.state == "finished"
    assert outcome.finished.exit_code == 0
    assert 0 <= outcome.finished.duration < 10
    assert abs(outcome.finished.started - time.time()) < 60
    assert names(engine) == set()


def test_exit_code_of_the_tool(go: Callable[..., Any]) -> None:
    outcome = go("sh", "-c", "exit 3")
    assert (outcome.finished.state, outcome.finished.exit_code) == ("failed", 3)


def test_arguments_arrive_byte_for_byte(go: Callable[..., Any]) -> None:
    arguments = ["a b", 'quo"te', "new\nline", "ünï 漢字", "-leading", "", "$HOME", "x" * 100_000]
    script = "import sys; sys.stdout.buffer.write(b'\\0'.join(a.encode() for a in sys.argv[1:]))"
    outcome = go("python3", "-c", script, *arguments)
    assert outcome.stdout.decode().split("\0") == arguments


def test_bytes_that_are_not_utf8_arrive_as_they_are(go: Callable[..., Any]) -> None:
    outcome = go("python3", "-c", "import sys; sys.stdout.buffer.write(bytes(range(256)))")
    assert outcome.stdout == bytes(range(256))


def test_stdin_bytes_then_end(go: Callable[..., Any]) -> None:
    assert go("cat", stdin=b"hello\nworld").stdout == b"hello\nworld"
    assert go("wc", "-c", stdin=b"").stdout.split() == [b"0"]


def test_no_stdin_is_an_empty_one(go: Callable[..., Any]) -> None:
    assert go("wc", "-c", timeout=10.0).stdout.split() == [b"0"]


def test_hundred_megabytes_in_and_out(go: Callable[..., Any]) -> None:
    block = os.urandom(MIB)
    outcome = go("cat", stdin=io.BytesIO(block * 100), timeout=120.0)
    assert outcome.finished.state == "finished"
    received = outcome.stdout
    assert len(received) == 100 * MIB
    assert all(received[at : at + MIB] == block for at in range(0, len(received), MIB))


def test_a_tool_that_does_not_read_its_stdin(go: Callable[..., Any]) -> None:
    outcome = go("echo", "done", stdin=b"x" * (50 * MIB))
    assert outcome.stdout == b"done\n"
    assert outcome.finished.state == "finished"


class Broken(io.BytesIO):
    """A source that gives a line and then fails."""

    calls = 0

    def read1(self, size: int | None = -1, /) -> bytes:
        self.calls += 1
        if self.calls == 1:
            return b"first\n"
        raise OSError("the disk is gone")


@pytest.mark.parametrize(
    "words",
    [("cat",), ("sh", "-c", "trap 'exit 0' INT TERM; cat; echo whole"), ("sleep", "60")],
    ids=["reads", "ends well on a signal", "does not read"],
)
def test_half_an_input_is_never_a_success(go: Callable[..., Any], words: tuple[str, ...]) -> None:
    outcome = go(*words, stdin=Broken(), timeout=20.0)
    assert outcome.finished.state == "failed"
    assert outcome.finished.error == "the input broke off: the disk is gone"
    assert b"whole" not in outcome.stdout  # it never saw an end of its input


def test_a_source_that_breaks_off_after_the_end_does_no_harm(go: Callable[..., Any]) -> None:
    class Late(Broken):
        def read1(self, size: int | None = -1, /) -> bytes:
            if self.calls:
                time.sleep(3)
            return super().read1(size)

    assert go("head", "-n", "1", stdin=Late(), timeout=20.0).finished.state == "finished"


def test_a_tool_that_closes_its_streams_and_goes_on(go: Callable[..., Any]) -> None:
    outcome = go("sh", "-c", "echo out; exec >&- 2>&-; sleep 1; exit 5")
    assert outcome.stdout == b"out\n"
    assert outcome.finished.exit_code == 5
    assert outcome.finished.duration > 0.9


def test_two_runs_at_once_do_not_mix(engine: Engine, host: Host, make_spec: Callable[..., Any]) -> None:
    results: dict[str, bytes] = {}

    def run(letter: str) -> None:
        script = f"for i in range(20000): print('{letter}' * 40)"
        events = Run(engine, make_spec("python3", "-c", script), host)
        results[letter] = b"".join(event.data for event in events if isinstance(event, Output))

    threads = [threading.Thread(target=run, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {letter: (letter.encode() * 40 + b"\n") * 20000 for letter in "ab"}


def test_out_of_memory_is_said(go: Callable[..., Any]) -> None:
    limits = Limits(memory=64 * MIB, memory_swap=64 * MIB)
    outcome = go("python3", "-c", "x = b'1' * (1 << 30)", limits=limits)
    assert (outcome.finished.state, outcome.finished.exit_code) == ("out-of-memory", 137)


@pytest.mark.parametrize(
    ("words", "code"), [(["no-such-program"], 127), (["/etc/hostname"], 126), (["/etc"], 126)], ids=str
)
@pytest.mark.parametrize("init", [True, False], ids=["init", "no init"])
def test_what_cannot_be_executed(
    go: Callable[..., Any], engine: Engine, words: list[str], code: int, init: bool
) -> None:
    outcome = go(*words, init=init)
    assert outcome.finished.exit_code == code
    assert outcome.finished.state == "failed"
    assert words[0] in outcome.finished.error + outcome.stderr.decode()
    assert names(engine) == set()


def test_killed_by_somebody_else(
    engine: Engine, host: Host, make_spec: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    run = Run(engine, make_spec("sleep", "60"), host)
    while not isinstance(run.next(), Started):
        pass
    engine.api.kill(run.id or "")
    (end,) = list(run)
    assert isinstance(end, Finished)
    assert (end.state, end.exit_code) == ("killed", 137)
    assert names(engine) == set()


def test_timeout_counts_from_the_start(go: Callable[..., Any]) -> None:
    outcome = go("sleep", "60", timeout=1.0)
    assert outcome.finished.state == "timeout"
    assert 0.9 < outcome.finished.duration < 3


def test_kept_where_rm_is_false(go: Callable[..., Any], engine: Engine) -> None:
    from skill_magic import engine as room

    outcome = go("echo", "hi", remove=False)
    (started,) = outcome.of(Started)
    (kept,) = [one for one in containers(engine) if one.name == started.name]
    assert kept.state == "exited"
    assert kept.skill == "test"
    room.remove(engine, kept.name)
    assert started.name not in {one.name for one in containers(engine)}


def test_a_refused_create_is_the_engines_own_words(go: Callable[..., Any], engine: Engine) -> None:
    with pytest.raises(EngineError, match="Minimum memory limit"):
        go("true", limits=Limits(memory=1 * MIB))
    assert names(engine) == set()


def test_anonymous_volumes_go_with_the_container(go: Callable[..., Any], engine: Engine) -> None:
    from skill_magic.spec import Mount

    before = volumes()
    outcome = go("sh", "-c", "echo x > /data/f; ls /data", mounts=(Mount("volume", "/data"),))
    assert outcome.stdout == b"f\n"
    assert left_volumes(before) == set()
