"""A run that plants what this machine would run by itself says so in its result."""

from __future__ import annotations

from pathlib import Path

from policy_helpers import make_host, make_spec

from skill_magic.events import Finished
from skill_magic.result import Recorder


def test_the_result_tells_what_was_planted(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    recorder = Recorder(make_spec(host), host)
    (host.directory / ".vscode").mkdir()
    (host.directory / "out.txt").touch()
    recorder.event(Finished("finished", 0, 0.1, 0.0))
    notes = [note for note in recorder.result().notes if "by itself" in note]
    assert len(notes) == 1
    assert str(host.directory / ".vscode") in notes[0]
