"""What `ps` says of a container, and which ones `clean` takes."""

from __future__ import annotations

import dataclasses

import pytest

from skill_magic.engine import Container
from skill_magic.verbs.containers import _over, _state

ONE = Container(
    id="1" * 64,
    name="skill-x-1",
    skill="x",
    image="i",
    state="exited",
    status="Exited (0) 3 seconds ago",
    created=0.0,
    directory="/d",
    user="1000",
    alive=True,
    ours=False,
    keep=False,
    remove=True,
)


@pytest.mark.parametrize(
    ("facts", "over"),
    [
        ({"keep": True, "ours": True}, True),
        ({"keep": True}, True),
        ({"remove": False}, True),
        ({"alive": False}, True),
        ({"alive": None}, True),
        ({}, False),  # its process is about to remove it
        ({"state": "created"}, False),
        ({"state": "created", "keep": True}, False),
        ({"state": "created", "keep": True, "alive": False}, True),
        ({"state": "running", "keep": True, "alive": False}, False),
    ],
)
def test_clean_takes_what_no_process_sees_to(facts: dict[str, object], over: bool) -> None:
    assert _over(dataclasses.replace(ONE, **facts)) is over  # type: ignore[arg-type]


def test_what_was_just_made_is_starting() -> None:
    made = dataclasses.replace(ONE, state="created", status="Created")
    assert _state(made) == "starting"
    assert _state(dataclasses.replace(made, alive=False)) == "created, its process is gone"
