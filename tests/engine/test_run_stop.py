"""Stopping a run: by a person, at any moment, with a tool that obeys and one that does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pace import pace

from skill_magic.engine import Engine, Run, containers
from skill_magic.events import Event, Finished, Note, Output, Started
from skill_magic.host import Host

pytestmark = pytest.mark.engine

IGNORES = "trap '' INT TERM; while :; do sleep 0.05; done"


def start(engine: Engine, host: Host, spec: Any) -> Run:
    run = Run(engine, spec, host)
    while not isinstance(run.next(10), Started):
        pass
    return run


def end_of(run: Run) -> Finished:
    return the_end(list(run))


def the_end(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def stopped(engine: Engine, host: Host, spec: Any) -> list[Event]:
    """What comes after a tool that had a moment to begin is stopped once."""
    run = start(engine, host, spec)
    time.sleep(0.3)
    run.stop()
    return list(run)


def test_a_tool_that_obeys_ends_at_once(engine: Engine, host: Host, make_spec: Callable[..., Any]) -> None:
    run = start(engine, host, make_spec("sleep", "60"))
    asked = time.monotonic()
    run.stop()
    end = end_of(run)
    assert time.monotonic() - asked < 1.0 * pace()
    assert (end.state, end.exit_code) == ("stopped", 130)


def test_a_tool_may_clean_up_after_the_interrupt(
    engine: Engine, host: Host, make_spec: Callable[..., Any]
) -> None:
    script = "trap 'echo bye; exit 0' INT; while :; do sleep 0.05; done"
    events = stopped(engine, host, make_spec("sh", "-c", script))
    assert Output("stdout", b"bye\n") in events
    assert (the_end(events).state, the_end(events).exit_code) == ("stopped", 0)


SLOW = "trap 'sleep 1.7; echo saved; exit 0' INT; trap 'exit 9' TERM; while :; do sleep 0.05; done"


def test_a_tool_has_the_time_that_its_skill_gives_it(
    engine: Engine, host: Host, make_spec: Callable[..., Any]
) -> None:
    events = stopped(engine, host, make_spec("sh", "-c", SLOW, stop_timeout=10))
    assert Output("stdout", b"saved\n") in events
    assert (the_end(events).state, the_end(events).exit_code) == ("stopped", 0)
    assert [event for event in events if isinstance(event, Note)] == []


def test_a_tool_that_had_too_little_time_is_told(
    engine: Engine, host: Host, make_spec: Callable[..., Any]
) -> None:
    events = stopped(engine, host, make_spec("sh", "-c", SLOW))
    (note,) = [event for event in events if isinstance(event, Note)]
    assert note.text.startswith("it had not ended 1.3 s after SIGINT and was sent SIGKILL")
    assert "--stop-timeout" in note.text


def test_the_signal_that_its_skill_names(engine: Engine, host: Host, make_spec: Callable[..., Any]) -> None:
    script = "trap 'echo usr; exit 0' USR1; trap '' INT TERM; while :; do sleep 0.05; done"
    events = stopped(engine, host, make_spec("sh", "-c", script, stop_signal="SIGUSR1"))
    assert Output("stdout", b"usr\n") in events


def test_the_second_stop_does_not_wait_for_the_time_that_the_skill_gives(
    engine: Engine, host: Host, make_spec: Callable[..., Any]
) -> None:
    run = start(engine, host, make_spec("sh", "-c", IGNORES, stop_timeout=60))
    time.sleep(0.3)
    asked = time.monotonic()
    run.stop()
    run.stop()
    assert end_of(run).exit_code == 137
    assert time.monotonic() - asked < 1.0 * pace()


@pytest.mark.parametrize("init", [True, False], ids=["init", "no init"])
def test_a_tool_that_ignores_signals_is_gone_within_two_seconds(
    engine: Engine, host: Host, make_spec: Callable[..., Any], init: bool
) -> None:
    run = start(engine, host, make_spec("sh", "-c", IGNORES, init=init))
    time.sleep(0.3)
    asked = time.monotonic()
    run.stop()
    end = end_of(run)
    assert time.monotonic() - asked < 2.0 * pace()
    assert (end.state, end.exit_code) == ("stopped", 137)
    assert not [one for one in containers(engine) if one.name == run.name]


def test_the_second_stop_kills_at_once(engine: Engine, host: Host, make_spec: Callable[..., Any]) -> None:
    run = start(engine, host, make_spec("sh", "-c", IGNORES))
    time.sleep(0.3)
    asked = time.monotonic()
    run.stop()
    run.stop()
    assert end_of(run).exit_code == 137
    assert time.monotonic() - asked < 1.0 * pace()


def test_a_tool_that_somebody_paused(engine: Engine, host: Host, make_spec: Callable[..., Any]) -> None:
    run = start(engine, host, make_spec("sleep", "60"))
    engine.api.pause(run.id)
    asked = time.monotonic()
    run.stop()
    assert end_of(run).state == "stopped"
    assert time.monotonic() - asked < 2.5 * pace()


def test_in_the_middle_of_a_flood_that_nobody_reads(
    engine: Engine, host: Host, make_spec: Callable[..., Any]
) -> None:
    run = start(engine, host, make_spec("sh", "-c", "trap '' INT TERM; while :; do yes; done"))
    time.sleep(1.0)  # the queue is full, the tool blocked
    asked = time.monotonic()
    run.stop()
    run._thread.join(5)
    assert time.monotonic() - asked < 2.5 * pace()
    assert not [one for one in containers(engine) if one.name == run.name]
    assert end_of(run).state == "stopped"


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.05, 0.1, 0.15, 0.25])
def test_at_any_moment_of_the_beginning(
    engine: Engine, host: Host, make_spec: Callable[..., Any], delay: float
) -> None:
    run = Run(engine, make_spec("sleep", "60"), host)
    time.sleep(delay)
    asked = time.monotonic()
    run.stop()
    end = end_of(run)
    assert time.monotonic() - asked < 2.5 * pace()
    assert end.state == "stopped"
    assert not [one for one in containers(engine) if one.name == run.name]


def test_close_without_reading(engine: Engine, host: Host, make_spec: Callable[..., Any]) -> None:
    with Run(engine, make_spec("sh", "-c", "yes"), host) as run:
        time.sleep(0.5)
    assert not [one for one in containers(engine) if one.name == run.name]


def test_a_stop_after_the_end_changes_nothing(
    engine: Engine, host: Host, make_spec: Callable[..., Any]
) -> None:
    run = Run(engine, make_spec("true"), host)
    end = end_of(run)
    run.stop()
    run.close()
    assert end.state == "finished"
    assert run.done
    assert run.next(0.1) is None


def test_an_interrupt_in_the_reader_does_not_break_the_run(
    engine: Engine, host: Host, make_spec: Callable[..., Any]
) -> None:
    import _thread

    run = start(engine, host, make_spec("sleep", "60"))
    threading.Timer(0.3, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        list(run)
    run.stop()
    assert end_of(run).state == "stopped"
