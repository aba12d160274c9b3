"""Runs beside one another never claim each other's files."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_card import a_result, check, png
from test_files import a_host, a_spec

from skill_magic import overlap, run_table
from skill_magic.events import Beside, Finished, Started
from skill_magic.files import FileChange, Watch
from skill_magic.overlap import Clock, Other, Reach
from skill_magic.result import Recorder
from skill_magic.run_table import Entry
from skill_magic.spec import Mount
from skill_magic.views import card, words


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture(params=[True, False], ids=["known times", "unknown times"])
def known(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(Clock, "sound", lambda self: request.param)
    return bool(request.param)


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clock, "sound", lambda self: True)


def begun(project: Path, name: str, *mounts: Mount) -> Watch:
    """A run that has just been started."""
    watch = Watch(a_spec(project, *mounts), a_host(project))
    watch.started(name, time.time())
    return watch


def pause() -> None:
    """Longer than the times of files are coarse."""
    time.sleep(3 * overlap.SLACK)


def paths(changes: tuple[FileChange, ...]) -> list[str]:
    return [change.path for change in changes]


class TestAttribution:
    def test_both_at_once_cannot_be_told_apart(self, project: Path, known: bool) -> None:
        one, two = begun(project, "one"), begun(project, "two")
        (project / "a").write_text("x")
        for watch in (one, two):
            files, notes = watch.changes()
            assert files == ()
            assert watch.unattributed == (FileChange("a", "created", 1, project),)
            assert notes == (
                "another run could write here at the same time, so whose these files are cannot be told: a",
            )

    def test_what_was_written_while_one_ran_alone_is_its(self, project: Path, sound: None) -> None:
        one = begun(project, "one")
        (project / "before").write_text("x")
        pause()
        two = begun(project, "two")
        pause()
        (project / "both").write_text("x")
        assert (paths(two.changes()[0]), paths(two.unattributed)) == ([], ["both"])
        pause()
        (project / "after").write_text("x")
        assert paths(one.changes()[0]) == ["after", "before"]
        assert paths(one.unattributed) == ["both"]

    def test_where_times_cannot_be_compared_nothing_is_claimed(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Clock, "sound", lambda self: False)
        one = begun(project, "one")
        (project / "before").write_text("x")
        pause()
        begun(project, "two").changes()
        assert (paths(one.changes()[0]), paths(one.unattributed)) == ([], ["before"])

    def test_one_after_the_other_is_no_overlap(self, project: Path, known: bool) -> None:
        for name in ("one", "two", "three"):
            watch = begun(project, name)
            (project / name).write_text("x")
            assert paths(watch.changes()[0]) == [name]
            assert watch.unattributed == ()
            pause()

    def test_a_file_of_another_that_ended_in_between(self, project: Path, sound: None) -> None:
        """It is over when the first run ends; that it was there is known still."""
        one = begun(project, "one")
        two = begun(project, "two")
        (project / "a").write_text("x")
        two.changes()
        pause()
        three = begun(project, "three")  # what it needs must not make the others forgotten
        three.changes()
        assert paths(one.changes()[0]) == []
        assert paths(one.unattributed) == ["a"]

    def test_what_came_before_the_tool_was_started_is_somebody_elses(
        self, project: Path, sound: None
    ) -> None:
        """While its image was pulled, say."""
        watch = Watch(a_spec(project), a_host(project))
        (project / "by a person").write_text("x")
        pause()
        watch.started("one", time.time())
        (project / "by the tool").write_text("x")
        assert paths(watch.changes()[0]) == ["by the tool"]
        assert watch.unattributed == ()

    def test_a_changed_file_as_one_that_was_made(self, project: Path, known: bool) -> None:
        (project / "a").write_text("x")
        one, two = begun(project, "one"), begun(project, "two")
        (project / "a").write_text("yy")
        assert one.changes()[0] == two.changes()[0] == ()
        assert one.unattributed == (FileChange("a", "changed", 2, project),)

    def test_disjoint_folders_are_told_apart(self, project: Path, known: bool) -> None:
        for name in ("a", "b"):
            (project / name).mkdir()
        one = begun(project, "one", Mount("bind", "/out", str(project / "a")))
        two = begun(project, "two", Mount("bind", "/out", str(project / "b")))
        for name in ("a", "b"):
            (project / name / "file").write_text("x")
        assert (paths(one.changes()[0]), one.unattributed) == (["a/file"], ())
        assert (paths(two.changes()[0]), two.unattributed) == (["b/file"], ())

    def test_a_part_that_both_can_write_to(self, project: Path, known: bool) -> None:
        (project / "shared").mkdir()
        one = begun(project, "one")
        two = begun(project, "two", Mount("bind", "/out", str(project / "shared")))
        (project / "mine").write_text("x")
        (project / "shared" / "file").write_text("x")
        assert (paths(one.changes()[0]), paths(one.unattributed)) == (["mine"], ["shared/file"])
        assert (paths(two.changes()[0]), paths(two.unattributed)) == ([], ["shared/file"])

    def test_a_run_that_may_only_read_is_no_neighbour(self, project: Path, known: bool) -> None:
        one = begun(project, "one")
        two = begun(project, "two", Mount("bind", "/workdir", str(project), read_only=True, ours=True))
        (project / "a").write_text("x")
        assert (paths(one.changes()[0]), one.unattributed) == (["a"], ())
        assert (two.changes(), two.unattributed) == (((), ()), ())

    def test_a_notebook_in_a_folder_of_the_other(self, project: Path, known: bool) -> None:
        inner = project / "inner"
        inner.mkdir()
        one = begun(project, "one")
        two = Watch(a_spec(inner), dataclasses.replace(a_host(inner), cache_dir=a_host(project).cache_dir))
        two.started("two", time.time())
        (inner / "a").write_text("x")
        (project / "b").write_text("x")
        assert (paths(one.changes()[0]), paths(one.unattributed)) == (["b"], ["inner/a"])
        assert (paths(two.changes()[0]), paths(two.unattributed)) == ([], ["a"])

    def test_a_folder_whose_name_begins_alike_is_another(self, tmp_path: Path, known: bool) -> None:
        (tmp_path / "p").mkdir()
        (tmp_path / "p2").mkdir()
        one, two = begun(tmp_path / "p", "one"), begun(tmp_path / "p2", "two")
        (tmp_path / "p2" / "a").write_text("x")
        assert (one.changes()[0], paths(two.changes()[0]), two.unattributed) == ((), ["a"], ())

    def test_what_is_mounted_read_only_over_itself_is_nobodys(self, project: Path) -> None:
        (project / "data").mkdir()
        workdir = Mount("bind", "/workdir", str(project), ours=True)
        data = str(project / "data")
        closed = begun(project, "one", workdir, Mount("bind", "/workdir/data", data, read_only=True))
        elsewhere = begun(project, "two", workdir, Mount("bind", "/data", data, read_only=True))
        (project / "data" / "a").write_text("by a person")
        assert closed.changes()[0] == closed.unattributed == ()
        elsewhere.changes()
        assert paths(elsewhere.unattributed) == ["data/a"]  # it can write there by way of /workdir

    def test_warnings_do_not_say_that_it_was_this_run(self, project: Path) -> None:
        one, two = begun(project, "one"), begun(project, "two")
        (project / ".envrc").write_text("x")
        for watch in (one, two):
            assert any(
                note.startswith("this run or another beside it created .envrc") for note in watch.changes()[1]
            )

    def test_a_run_that_was_never_started_is_no_neighbour_for_long(self, project: Path, known: bool) -> None:
        one = Watch(a_spec(project), a_host(project))
        one.close()
        two = begun(project, "two")
        (project / "a").write_text("x")
        assert (paths(two.changes()[0]), two.unattributed) == (["a"], ())

    def test_one_that_nobody_asks_any_more_neither(self, project: Path, known: bool) -> None:
        one = begun(project, "one")
        del one
        two = Watch(a_spec(project), a_host(project))
        pause()
        two.started("two", time.time())
        (project / "a").write_text("x")
        assert (paths(two.changes()[0]), two.unattributed) == (["a"], ())

    def test_many_files_and_many_runs_cost_little(self, project: Path, known: bool) -> None:
        watch = begun(project, "one")
        for number in range(2000):
            (project / f"{number}").touch()
        for number in range(400):
            watch.beside(Other(f"o{number}", (str(project / f"{number}x"), str(project / f"{number}")), 0.0))
        start = time.perf_counter()
        watch.changes()
        assert time.perf_counter() - start < 5
        assert len(watch.unattributed) == 400


class TestEngine:
    """Runs that are in no table: of another person, or of a process that is gone."""

    def test_one_that_the_engine_has_seen(self, project: Path, known: bool) -> None:
        watch = begun(project, "one")
        watch.beside(Other("kept", (str(project),), time.time() - 100))
        watch.beside(Other("elsewhere", (str(project.parent / "x"),), 0.0))
        (project / "a").write_text("x")
        assert (paths(watch.changes()[0]), paths(watch.unattributed)) == ([], ["a"])
        assert watch.overlapped

    def test_of_one_that_is_in_the_table_the_table_knows_more(self, project: Path, sound: None) -> None:
        one, two = begun(project, "one"), begun(project, "two")
        two.changes()
        one.beside(Other("two", (str(project),), time.time()))
        pause()
        (project / "a").write_text("x")
        assert (paths(one.changes()[0]), one.unattributed) == (["a"], ())

    def test_a_recorder_is_told_by_events(self, project: Path) -> None:
        host = a_host(project)
        recorder = Recorder(a_spec(project), host)
        recorder.event(Started("c", "one", "i", None, time.time(), time.time()))
        recorder.event(Beside("one", (str(project),), 0.0))  # itself
        recorder.event(Beside("kept", (str(project),), 0.0))
        (project / "a").write_text("x")
        recorder.event(Finished("finished", 0, 1.0, 0.0))
        result = recorder.result()
        assert (paths(result.files), paths(result.unattributed_files)) == ([], ["a"])


class TestTable:
    def test_it_is_empty_when_nothing_runs(self, tmp_path: Path) -> None:
        for _ in range(3):
            one, two = Entry(tmp_path / "t", ["/a"]), Entry(tmp_path / "t", ["/a"])
            one.close()
            two.close()
        assert json.loads((tmp_path / "t" / "table.json").read_text()) == []
        assert sorted(os.listdir(tmp_path / "t")) == ["lock", "table.json"]

    def test_a_run_that_can_write_nowhere_leaves_no_trace(self, tmp_path: Path) -> None:
        Entry(tmp_path / "t", []).close()
        assert not (tmp_path / "t").exists()

    def test_other_processes_are_seen_and_their_death_too(self, tmp_path: Path) -> None:
        script = (
            "import sys; from pathlib import Path; from skill_magic.run_table import Entry\n"
            "entry = Entry(Path(sys.argv[1]), ['/a']); entry.started('other', 0.0)\n"
            "print('on', flush=True); sys.stdin.read()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "t")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"on\n"
        mine = Entry(tmp_path / "t", ["/a"])
        [other] = mine.others()
        assert (other.name, other.roots, other.ended) == ("other", ("/a",), math.inf)
        process.kill()
        process.communicate()
        [other] = mine.others()
        assert other.ended < math.inf
        mine.close()

    def test_what_overlapped_is_kept_as_long_as_one_may_ask(self, tmp_path: Path) -> None:
        long = Entry(tmp_path / "t", ["/a"])
        for _ in range(3):
            Entry(tmp_path / "t", ["/b"]).close()
        assert [(other.roots, other.ended < math.inf) for other in long.others()] == [(("/b",), True)] * 3

    def test_it_stays_small_and_forgets_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_table, "ROWS", 8)
        long = Entry(tmp_path / "t", ["/a"])
        began = time.time()
        for number in range(40):
            Entry(tmp_path / "t", [f"/{number}"]).close()
        others = long.others()
        assert len(others) <= 8
        assert {root for other in others for root in other.roots} == {f"/{number}" for number in range(40)}
        assert min(other.began for other in others) >= began
        long.close()
        assert json.loads((tmp_path / "t" / "table.json").read_text()) == []

    def test_a_run_with_very_many_folders_could_write_anywhere(self, tmp_path: Path) -> None:
        Entry(tmp_path / "t", [f"/{number}" for number in range(1000)])
        wide = Entry(tmp_path / "t", [f"/{number}" for number in range(1000)])
        mine = Entry(tmp_path / "t", ["/a"])
        assert ("/",) in [other.roots for other in mine.others()]
        wide.close()

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[1]", "null", '[{"id": 1}]', '[{"id": "../x", "roots": [], "began": 0}]', "[" * 100_000],
    )
    def test_a_broken_table_is_begun_anew(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "t").mkdir()
        (tmp_path / "t" / "table.json").write_text(text)
        one, two = Entry(tmp_path / "t", ["/a"]), Entry(tmp_path / "t", ["/a"])
        assert len(one.others()) == len(two.others()) == 1

    def test_where_no_table_can_be_had_runs_go_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "t").write_text("a file")
        entry = Entry(tmp_path / "t", ["/a"])
        entry.started("x", 1.0)
        assert entry.others() == []
        entry.close()

    def test_one_that_is_held_up_does_not_hold_up_the_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_table, "PATIENCE", 0.1)
        Entry(tmp_path / "t", ["/a"]).close()
        held = run_table._locked(tmp_path / "t" / "lock")
        start = time.monotonic()
        entry = Entry(tmp_path / "t", ["/a"])
        entry.close()
        assert time.monotonic() - start < 5
        os.close(held)

    def test_names_that_are_no_text_come_back(self, tmp_path: Path) -> None:
        name = os.fsdecode(b"/\xff\xe2\x98\x83")
        Entry(tmp_path / "t", ["/x"])
        one = Entry(tmp_path / "t", [name])
        assert name in [root for other in Entry(tmp_path / "t", ["/a"]).others() for root in other.roots]
        one.close()


class TestReach:
    def test_places_and_times(self) -> None:
        reach = Reach(
            [Other("a", ("/p",), 10, 20), Other("b", ("/p", "/q/r"), 15, 30), Other("c", ("/p",), 40)]
        )
        inside = [(path, at) for path in ("/p", "/p/x/y") for at in (10, 19, 25, 30, 40, 1e9)]
        outside = [("/p/x", at) for at in (0, 9.9, 31, 39.9)] + [("/pp", 15.0), ("/q", 15.0), ("/q/r/s", 31)]
        assert all(reach.includes(path, at) for path, at in inside)
        assert not any(reach.includes(path, at) for path, at in outside)
        assert reach.includes("/q/r/s", None)
        assert not reach.includes("/q/x", None)

    def test_the_root_of_all(self) -> None:
        assert Reach([Other("a", ("/",), 0)]).includes("/any/thing", 5)
        assert not Reach([]).includes("/any/thing", None)


class TestClock:
    def test_a_clock_that_was_set_is_no_measure(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(overlap, "_file_system", lambda directory: "ext4")
        clock = Clock(tmp_path)
        assert clock.sound()
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() - 5)
        assert not clock.sound()

    @pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "virtiofs", ""])
    def test_a_file_system_with_a_clock_of_its_own_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        mounted = (("/", "ext4"), ("/t", "ext4"), (str(tmp_path), kind))
        monkeypatch.setattr("skill_magic.policy.paths.mounted_file_systems", lambda: mounted)
        assert not Clock(tmp_path / "below").sound()

    def test_the_innermost_and_last_one_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        mounted = (("/", "nfs"), ("/a", "nfs"), ("/a", "ext4"), ("/ab", "xfs"))
        monkeypatch.setattr("skill_magic.policy.paths.mounted_file_systems", lambda: mounted)
        assert [overlap._file_system(path) for path in ("/a/x", "/abc", "/ab/c")] == ["ext4", "nfs", "xfs"]


class TestSaid:
    @pytest.fixture
    def result(self, project: Path) -> None:
        for number in (1, 2):
            (project / f"s_{number}.png").write_bytes(png())
        self.found = a_result(
            args=("in.png", "s_2.png"),
            directory=project,
            unattributed_files=tuple(FileChange(f"s_{n}.png", "created", 9, project) for n in (1, 2)),
            notes=("2 other runs could write here …",),
        )

    def test_in_the_card(self, result: None) -> None:
        html = card.html(self.found)
        reader = check(html)
        assert "files of this run or of another beside it" in reader.text
        assert "s_1.png" in reader.text
        assert (
            len([source for source in reader.sources() if source.startswith("data:image/png")]) == 1
        )  # its own word
        assert "2 other runs could write here" in reader.text

    def test_in_text_and_in_a_line(self, result: None) -> None:
        assert "note: 2 other runs could write here" in card.text(self.found)
        assert "2 unattributed files" in repr(self.found)

    def test_as_data(self, result: None) -> None:
        data = words.as_dict(self.found)
        assert (data["files"], data["files_total"]) == ([], 0)
        assert [each["path"] for each in data["unattributed_files"]] == ["s_1.png", "s_2.png"]
        assert data["unattributed_files_total"] == 2
        assert json.loads(json.dumps(data)) == data

    def test_it_travels(self, result: None) -> None:
        assert pickle.loads(pickle.dumps(self.found)) == self.found
