"""What travels between processes and threads arrives whole: errors, results, decisions."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from policy_helpers import make_host, make_skill

from skill_magic import errors
from skill_magic.command.parse import Request
from skill_magic.errors import SkillError, SkillFailed
from skill_magic.findings import Violation
from skill_magic.output import saved
from skill_magic.policy.decide import evaluate
from skill_magic.result import RunResult

RESULT = RunResult(
    "x", ("-a",), "image", "failed", 3, 1.5, 10.0, saved(b"out", b"err"), lines={"memory": "skills.toml:3"}
)
VIOLATION = Violation("code", "field", "value", "A reason.", "A fix.")
CLASSES = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, SkillError) and kind.__module__ == errors.__name__
]
WAYS: list[Callable[[Any], Any]] = [
    *(lambda value, number=number: pickle.loads(pickle.dumps(value, number)) for number in range(6)),
    copy.copy,
    copy.deepcopy,
]


def made(kind: type[SkillError]) -> SkillError:
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
    assert {"SkillError", "PolicyError", "ImageError", "SkillInterrupted"} <= {
        kind.__name__ for kind in CLASSES
    }
    assert len(CLASSES) > 12


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


def test_a_pool_of_processes_survives_an_error() -> None:
    with ProcessPoolExecutor(1) as pool:
        for code in (3, 4):
            with pytest.raises(SkillFailed) as caught:
                pool.submit(fail, code).result()
            assert caught.value.result.exit_code == code
