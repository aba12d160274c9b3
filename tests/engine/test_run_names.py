"""Runs on the real engine, named by their skill; and the output of runs that are over."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import skill_magic
from skill_magic import cli

from .kernels import Kernel, ours

pytestmark = pytest.mark.engine

WAITS = ["-c", "import time; print('begun', flush=True); time.sleep(60)"]


@pytest.fixture
def skill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A skill of a name that nobody else's runs on this engine have."""
    name = f"named-{uuid.uuid4().hex[:8]}"
    (tmp_path / "skills.toml").write_text(
        f'[skills.{name}.docker]\nimage = "python:3.12-slim"\nentrypoint = "python3"\n'
    )
    monkeypatch.chdir(tmp_path)
    yield name
    for left in ours(tmp_path):
        cli.main(["stop", left])
    until = time.monotonic() + 30
    while (names := ours(tmp_path)) and time.monotonic() < until:
        cli.main(["clean", *names])
        time.sleep(0.1)
    assert ours(tmp_path) == []


def begun(handle: skill_magic.Handle) -> skill_magic.Handle:
    until = time.monotonic() + 30
    while "begun" not in handle.logs() and time.monotonic() < until:
        time.sleep(0.05)
    assert "begun" in handle.logs()
    return handle


def test_stop_logs_and_attach_take_the_name_of_a_skill_where_it_fits_one_run(
    skill: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = begun(skill_magic.start(skill, WAITS, keep=True))
    assert cli.main(["logs", skill]) == 0
    assert capsys.readouterr().out == "begun\n"
    assert begun(skill_magic.attach(skill)).name == one.name
    two = begun(skill_magic.start(skill, WAITS, keep=True))
    capsys.readouterr()
    for verb in ("stop", "logs"):
        assert cli.main([verb, skill]) == 125
        said = capsys.readouterr().err.splitlines()
        assert (said[0], len(said)) == (f"EngineError: '{skill}' fits 2 runs:", 4)
        assert {line.split()[0] for line in said[1:-1]} == {one.name, two.name}
        assert said[-1] == "hint: give the name or the id of one, or its beginning"
    with pytest.raises(skill_magic.EngineError, match=f"^'{skill}' fits 2 runs:"):
        skill_magic.attach(skill)
    assert cli.main(["stop", one.name]) == 0
    until = time.monotonic() + 30
    while not one.done and time.monotonic() < until:
        time.sleep(0.05)
    assert cli.main(["stop", skill]) == 0  # of two that were kept only one runs
    assert f"stopped {two.name}" in capsys.readouterr().out
    assert cli.main(["stop", f"{skill}x"]) == 125
    assert f"; did you mean {skill}?" in capsys.readouterr().err


@pytest.fixture
def kernel(skill: str, tmp_path: Path) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.close()


def test_a_kernel_remembers_what_its_last_runs_wrote(skill: str, kernel: Kernel) -> None:
    kernel.run(f'%skill {skill} -c "print(1)"')
    cell = kernel.run(f"%skill logs {skill}")
    assert cell.text() == "1\n"
    kernel.run(f'h = %skill --bg {skill} -c "import sys; print(2); print(3, file=sys.stderr)"')
    kernel.run("h.wait()")
    kernel.run("name = h.name; del h")
    cell = kernel.run("%skill logs {name}")
    assert (cell.text(), cell.text("stderr")) == ("2\n", "3\n")
    cell = kernel.run(f"%skill logs {skill}")
    assert not cell.ok
    assert f"'{skill}' fits 2 runs:" in cell.error
    cell = kernel.run("%skill stop {name}")
    assert "has ended already" in cell.error
