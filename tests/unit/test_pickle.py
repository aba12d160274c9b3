"""What travels between processes and threads arrives whole: errors, results, decisions."""

from __future__ import annotations

import asyncio
import copy
import inspect
import multiprocessing
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from policy_helpers import make_host, make_skill

import skill_magic
from skill_magic.command.parse import Request
from skill_magic.errors import SkillError, SkillFailed, SkillInterrupted, SkillStopped
from skill_magic.findings import Violation
from skill_magic.magics import _with_traceback
from skill_magic.output import saved
from skill_magic.policy.decide import evaluate
from skill_magic.result import FileChange, RunResult

RESULT = RunResult(
    "x",
    ("-a",),
    "image",
    "failed",
    3,
    1.5,
    10.0,
    saved(b"out", b"err"),
    lines={"memory": "skills.toml:3"},
    files=(FileChange("a.png", "created", 3),),
)
VIOLATION = Violation("code", "field", "value", "A reason.", "A fix.")
CARRIED: list[Callable[[Any], Any]] = [
    *(lambda value, number=number: pickle.loads(pickle.dumps(value, number)) for number in range(6)),
    lambda value: pickle.loads(cloudpickle.dumps(value)),
]
"""Ways to another process."""
WAYS = [*CARRIED, copy.copy, copy.deepcopy]


def exceptions() -> Iterator[type[BaseException]]:
    """Every class of the package that can be raised."""
    for module in pkgutil.walk_packages(skill_magic.__path__, "skill_magic."):
        if not module.name.endswith("__main__"):
            for kind in vars(import_module(module.name)).values():
                if (
                    inspect.isclass(kind)
                    and issubclass(kind, BaseException)
                    and kind.__module__ == module.name
                ):
                    yield kind


ALL = list(exceptions())
CLASSES = [kind for kind in ALL if issubclass(kind, SkillError)]


def made(kind: type[Any]) -> Any:
    """An error of a class, with what each of its parameters is for."""
    parameters = inspect.signature(kind).parameters
    known: dict[str, Any] = {
        "message": "what is wrong",
        "hint": "the way out",
        "more": ["a line more"],
        "violations": [VIOLATION],
        "result": RESULT,
        "problem": "denied",
        "details": "each with its reason",
        "code": "result-file-link",
        "source": "/home/me/project",
        "fix": "Mount it read-only.",
    }
    return kind(**{name: known[name] for name in parameters})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_arrives_whole(kind: type[SkillError], way: Callable[[Any], Any]) -> None:
    error = made(kind)
    other = way(error)
    assert type(other) is kind
    assert (str(other), other.args, other.lines()) == (str(error), error.args, error.lines())
    assert vars(other) == vars(error)


def test_all_classes_are_tried() -> None:
    assert {"SkillError", "PolicyError", "ImageError", "SkillStopped", "FileRefusedError"} <= {
        kind.__name__ for kind in CLASSES
    }
    assert len(CLASSES) > 14


def test_nothing_but_the_interrupt_is_one() -> None:
    """An executor takes whatever is no ``Exception`` for its own end."""
    beyond = {kind for kind in ALL if not issubclass(kind, Exception)}
    assert beyond - {SkillInterrupted} == {
        SkillError.__mro__[1]
    }  # the base that both have in common, never raised
    assert issubclass(SkillInterrupted, KeyboardInterrupt)
    assert not issubclass(SkillInterrupted, Exception)


@pytest.mark.parametrize("way", CARRIED)
def test_the_interrupt_arrives_as_an_ordinary_error(way: Callable[[Any], Any]) -> None:
    error = made(SkillInterrupted)
    other = way(error)
    assert type(other) is SkillStopped
    assert (str(other), other.hint, other.result) == (str(error), error.hint, RESULT)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy])
def test_a_copy_of_the_interrupt_is_one(way: Callable[[Any], Any]) -> None:
    error = made(SkillInterrupted)
    other = way(error)
    assert type(other) is SkillInterrupted
    assert (str(other), other.lines(), vars(other)) == (str(error), error.lines(), vars(error))


@pytest.mark.parametrize("kind", [SkillFailed, SkillInterrupted])
def test_an_error_that_is_shown_with_its_traceback_travels_too(kind: type[Any]) -> None:
    """``%config SkillMagics.short_errors = False`` puts a function of the shell into the error."""
    error = made(kind)
    _with_traceback(error, shell=object())
    other = pickle.loads(pickle.dumps(error))
    assert other._render_traceback_() == other.lines()


@pytest.mark.parametrize("way", WAYS)
def test_a_result_arrives_whole(way: Callable[[Any], Any]) -> None:
    other = way(RESULT)
    assert other == RESULT
    assert (other.stdout, other.stderr, other.error().message) == ("out", "err", RESULT.error().message)  # type: ignore[union-attr]


@pytest.mark.parametrize("way", WAYS)
def test_a_decision_arrives_whole(tmp_path: Path, way: Callable[[Any], Any]) -> None:
    host = make_host(tmp_path)
    for skill in (make_skill(host), make_skill(host, network="bridge", volumes=("./x:/y",))):
        decision = evaluate(skill, Request("t"), host)
        other = way(decision)
        assert other == decision
        assert other.as_dict() == decision.as_dict()


def fail(code: int) -> None:
    """Work for another process."""
    result = replace(RESULT, exit_code=code)
    raise SkillFailed("it failed", result=result)


def be_stopped(code: int) -> None:
    """Work that is stopped: what the result of a stopped run raises."""
    error = replace(RESULT, exit_code=code, state="stopped").error()
    assert error is not None
    raise error


def test_a_pool_of_processes_survives_an_error() -> None:
    with ProcessPoolExecutor(1) as pool:
        for code in (3, 4):
            with pytest.raises(SkillFailed) as caught:
                pool.submit(fail, code).result()
            assert caught.value.result.exit_code == code


def test_a_pool_of_processes_survives_a_stop() -> None:
    with ProcessPoolExecutor(1) as pool:
        for code in (3, 4):
            error = pool.submit(be_stopped, code).exception(60)
            assert isinstance(error, SkillStopped)
            assert error.result.exit_code == code


def test_another_kind_of_pool_survives_a_stop() -> None:
    """Its workers end at what is no ``Exception``, and its parent then waits for ever."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for code in (3, 4):
            with pytest.raises(SkillStopped) as caught:
                pool.apply_async(be_stopped, (code,)).get(60)
            assert caught.value.result.exit_code == code


def test_threads_and_an_event_loop_survive_a_stop() -> None:
    async def both() -> list[BaseException | None]:
        work = [asyncio.to_thread(be_stopped, code) for code in (3, 4)]
        return list(await asyncio.gather(*work, return_exceptions=True))

    with ThreadPoolExecutor(1) as pool:  # where a browser is driven this thread has a loop already
        ended = pool.submit(lambda: asyncio.run(both())).result(60)
    assert [type(each) for each in ended] == [SkillStopped, SkillStopped]
    with ThreadPoolExecutor(1) as pool:
        for code in (3, 4):
            assert type(pool.submit(be_stopped, code).exception(60)) is SkillStopped
