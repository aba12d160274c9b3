"""Which run a word means, and the output of runs that are over."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from skill_magic import finished
from skill_magic.engine import Container
from skill_magic.engine.naming import pick
from skill_magic.errors import EngineError
from skill_magic.output import OutputLog, saved

ONE = Container(
    id="1" * 64,
    name="skill-jq-0000aaaa",
    skill="jq",
    image="i",
    state="running",
    status="Up",
    created=0.0,
    directory="/d",
    user="1000",
    alive=True,
    ours=False,
    keep=False,
    remove=True,
)
TWO = dataclasses.replace(ONE, id="2" * 64, name="skill-jq-0000bbbb", state="exited", keep=True)
SOX = dataclasses.replace(ONE, id="3" * 64, name="skill-sox-12345678", skill="sox")


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("skill-jq-0000aaaa", ONE),
        ("skill-jq-0000b", TWO),
        ("222", TWO),
        ("3" * 64, SOX),
        ("sox", SOX),
        ("skill-s", SOX),
    ],
)
def test_a_run_is_named_by_its_name_its_id_or_its_skill(word: str, found: Container) -> None:
    assert pick(word, [ONE, TWO, SOX]) is found
    assert pick(word, [ONE, TWO, SOX, *(dataclasses.replace(each) for each in (ONE, TWO, SOX))]) is found


def test_a_name_that_fits_several_lists_them() -> None:
    with pytest.raises(EngineError) as caught:
        pick("jq", [ONE, TWO, SOX])
    assert caught.value.lines() == [
        "EngineError: 'jq' fits 2 runs:",
        "  skill-jq-0000aaaa  111111111111  running",
        "  skill-jq-0000bbbb  222222222222  exited",
        "hint: give the name or the id of one, or its beginning",
    ]
    assert pick("jq", [ONE, TWO, SOX], prefer=lambda each: each.running) is ONE
    assert pick("jq", [ONE, TWO, SOX], prefer=lambda each: each.keep) is TWO
    many = [dataclasses.replace(ONE, id=str(at) * 20, name=f"skill-jq-{at}") for at in range(10, 40)]
    with pytest.raises(EngineError) as caught:
        pick("jq", many, prefer=lambda each: each.keep)
    assert len(caught.value.lines()) == 1 + 10 + 1 + 1
    assert "  and 20 more" in caught.value.lines()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nothing", "there is no run 'nothing'"),
        ("", "there is no run ''"),
        ("sxo", "there is no run 'sxo'"),
        ("soxx", "there is no run 'soxx'; did you mean sox?"),
        ("skill-jq-0000aaab", "there is no run 'skill-jq-0000aaab'; did you mean skill-jq-0000aaaa?"),
    ],
)
def test_a_name_that_fits_none_names_what_is_near(word: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        pick(word, [ONE, TWO, SOX])
    assert (caught.value.message, caught.value.hint) == (message, "`skill ps` lists those that there are")


@pytest.fixture(autouse=True)
def none_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished, "_runs", [])


def over(number: int, stdout: bytes) -> None:
    run: Any = SimpleNamespace(name=f"skill-jq-{number}", id=f"{number:064}")
    result: Any = SimpleNamespace(skill="jq", state="finished", output=saved(stdout, b"e\n"))
    finished.remember(run, result)


def test_the_newest_runs_are_remembered_and_no_more_than_a_bound_of_their_output() -> None:
    for number in range(50):
        over(number, b"x")
    assert [one.name for one in finished.runs()] == [f"skill-jq-{number}" for number in range(49, 29, -1)]
    for number in range(50, 90):
        over(number, b"x" * (1 << 20))
    assert len(finished.runs()) < 17
    assert sum(one.size for one in finished.runs()) <= finished.MOST_BYTES
    over(90, b"x" * (20 << 20))  # the newest stays, whatever it holds: its result holds the same
    assert [one.name for one in finished.runs()] == ["skill-jq-90"]


def test_what_a_run_wrote_comes_in_its_order_and_much_of_it_by_its_ends(tmp_path: Any) -> None:
    log = OutputLog(None)
    for stream, data in (("stdout", b"1\n"), ("stderr", b"2\n"), ("stdout", b"3\n")):
        log.write(stream, data)  # type: ignore[arg-type]
    one = finished.Finished("skill-jq-1", None, "jq", "finished", log.close())
    assert list(finished.chunks(one)) == [("stdout", b"1\n"), ("stderr", b"2\n"), ("stdout", b"3\n")]
    log = OutputLog(tmp_path / "runs")
    log.write("stdout", b"".join(b"line %d\n" % at for at in range(300_000)))
    output = log.close()
    found = list(finished.chunks(finished.Finished("skill-jq-1", None, "jq", "failed", output)))
    assert sum(len(data) for _, data in found) < 100_000
    assert found[0][1].startswith(b"line 0\n")
    assert found[-1][1].endswith(b"line 299999\n")
    (mark,) = [data.decode() for stream, data in found if stream == "stderr"]
    assert mark.endswith(f"lines left out here, all of it is in {output.stdout.path}]\n")
