"""Events → RunResult, its words and the error it stands for."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from skill_magic.errors import SkillFailed, SkillKilled, SkillStopped, SkillTimeout
from skill_magic.events import Event, Finished, Note, Output, Pulling, Started, State, Usage
from skill_magic.host import Host
from skill_magic.output import saved
from skill_magic.result import SAMPLES, Recorder, RunResult
from skill_magic.spec import EnvVar, Limits, Mount, RunSpec
from skill_magic.views import words

MIB = 1024 * 1024


@pytest.fixture
def host(tmp_path: Path) -> Host:
    project = tmp_path / "project"
    project.mkdir()
    facts: dict[str, Any] = {
        "uid": 1000,
        "gid": 1000,
        "user": "u",
        "cpus": 2,
        "memory": 1 << 33,
        "engine": None,
        "config_dir": tmp_path,
        "data_dir": tmp_path,
        "cache_dir": tmp_path / "cache",
    }
    return Host(directory=project, home=tmp_path, environment={}, **facts)


def a_spec(host: Host, **changes: Any) -> RunSpec:
    facts: dict[str, Any] = {
        "skill": "tool",
        "image": "debian:12",
        "args": ("-x", "a b"),
        "directory": host.directory,
        "mounts": (Mount("bind", "/workdir", str(host.directory), ours=True),),
        "file": host.directory / "skills.toml",
        "lines": {"memory": 12},
    }
    return RunSpec(**(facts | changes))


def usage(elapsed: float, **changes: Any) -> Usage:
    facts: dict[str, Any] = {
        "cpu_seconds": elapsed * 1.5,
        "cpu_percent": 150.0,
        "cpus": 2.0,
        "memory": 100 * MIB,
        "memory_peak": 120 * MIB,
        "memory_limit": 512 * MIB,
    }
    return Usage(elapsed, **(facts | changes))


STARTED = Started("c0ffee", "skill-tool-1", "sha256:11", "debian@sha256:22", 1_700_000_000.0)


def recorded(host: Host, *events: Event, **changes: Any) -> RunResult:
    recorder = Recorder(a_spec(host, **changes), host)
    for event in events:
        recorder.event(event)
    return recorder.result()


def ended(host: Host, state: State = "finished", code: int | None = 0, **changes: Any) -> RunResult:
    spec = {name: changes.pop(name) for name in list(changes) if name in RunSpec.__dataclass_fields__}
    usages = changes.pop("usages", ())
    output = changes.pop("output", ())
    return recorded(host, STARTED, *usages, *output, Finished(state, code, 3.2, 0.0, **changes), **spec)


def test_a_whole_run(host: Host) -> None:
    recorder = Recorder(a_spec(host, notes=("first",)), host)
    events: list[Event] = [
        Pulling("debian:12", 1, 2, (0, 1)),
        STARTED,
        Output("stdout", b"caf\xc3"),
        usage(1.0, memory_peak=300 * MIB),
        Output("stderr", b"warn\n"),
        Output("stdout", b"\xa9\xff\n"),
        Note("second"),
        Note("second"),
        usage(2.0, network_in=5, network_out=6, block_in=7, block_out=8),
    ]
    (host.directory / "before").write_text("x")
    for event in events:
        recorder.event(event)
    (host.directory / "out.txt").write_text("result")
    recorder.event(Finished("finished", 0, 2.5, 1_700_000_001.0))
    result = recorder.result()
    assert recorder.result() is result
    assert result.ok
    assert (result.exit_code, result.duration, result.started) == (0, 2.5, 1_700_000_001.0)
    assert (result.stdout, result.stderr) == ("caf\u00e9\ufffd\n", "warn\n")
    assert result.stdout_bytes == b"caf\xc3\xa9\xff\n"
    assert (result.image, result.digest, result.image_id) == ("debian:12", "debian@sha256:22", "sha256:11")
    assert (result.cpu_seconds, result.peak_memory, result.memory_limit) == (3.0, 300 * MIB, 512 * MIB)
    assert (result.network_in, result.network_out, result.block_in, result.block_out) == (5, 6, 7, 8)
    assert result.notes == ("first", "second")
    assert [(f.path, f.kind, f.size) for f in result.files][-1] == ("out.txt", "created", 6)
    assert result.log is None
    assert result.error() is None
    assert "debian:12 -x 'a b'" in result.command_line


def test_a_run_too_short_to_sample_has_no_figures_of_its_usage(host: Host) -> None:
    result = recorded(host, STARTED, Finished("finished", 0, 0.2, 0.0))
    assert (result.cpu_seconds, result.peak_memory, result.network_in, result.block_out) == (None,) * 4
    assert words.figures(result) == [("run time", "0.20 s")]


def test_without_an_end_the_engine_was_lost(host: Host) -> None:
    result = recorded(host, STARTED, Output("stdout", b"x"))
    assert (result.state, result.exit_code, result.ok) == ("lost", None, False)
    assert isinstance(result.error(), SkillKilled)


def test_samples_are_bounded_and_span_the_run(host: Host) -> None:
    count = 10_000
    result = ended(host, usages=[usage(at / 10) for at in range(count)])
    assert len(result.samples) <= SAMPLES
    assert len(result.samples) > SAMPLES / 3
    assert result.samples[0].elapsed == 0
    assert result.samples[-1].elapsed == (count - 1) / 10
    steps = {
        round(b.elapsed - a.elapsed, 3)
        for a, b in zip(result.samples[:-2], result.samples[1:-1], strict=True)
    }
    assert len(steps) == 1


def test_long_output_is_read_from_its_log(host: Host) -> None:
    line = b"a line that is long enough to matter\n"
    result = recorded(host, STARTED, *[Output("stderr", line * 1000)] * 60, Finished("finished", 0, 1.0, 0.0))
    assert result.log is not None
    assert result.log.is_relative_to(host.cache_dir / "runs")
    assert result.stderr_bytes == line * 60_000
    assert pickle.loads(pickle.dumps(result)).stderr_bytes == line * 60_000


STATES: list[tuple[State, int | None, dict[str, Any], str, type[Exception]]] = [
    ("failed", 1, {}, "tool failed: exit code 1", SkillFailed),
    ("stopped", 130, {}, "tool stopped by you", SkillStopped),
    ("timeout", 137, {"timeout": 60.0}, "tool timed out after 60 s", SkillTimeout),
    ("timeout", 137, {"timeout": 0.5}, "tool timed out after 0.5 s", SkillTimeout),
    (
        "out-of-memory",
        137,
        {"limits": Limits(memory=512 * MIB, memory_field="memory")},
        "tool killed: out of memory at 512 MiB, raise `memory` in skills.toml:12",
        SkillKilled,
    ),
    (
        "out-of-memory",
        137,
        {"limits": Limits(memory=512 * MIB, memory_field="extra_args[1]"), "lines": {"extra_args": 7}},
        "tool killed: out of memory at 512 MiB, raise `extra_args[1]` in skills.toml:7",
        SkillKilled,
    ),
    (
        "out-of-memory",
        137,
        {"limits": Limits(memory=512 * MIB, memory_field="--memory")},
        "tool killed: out of memory at 512 MiB, raise --memory",
        SkillKilled,
    ),
    (
        "out-of-memory",
        137,
        {"limits": Limits(memory=512 * MIB, memory_field="memory"), "origin": "bundled"},
        "tool killed: out of memory at 512 MiB, give it more with --memory",
        SkillKilled,
    ),
    ("killed", 137, {}, "tool killed: exit code 137", SkillKilled),
    ("lost", None, {}, "tool lost: the engine stopped answering", SkillKilled),
]


@pytest.mark.parametrize(("state", "code", "changes", "message", "kind"), STATES)
def test_each_end_has_its_words_and_its_error(
    host: Host, state: State, code: int | None, changes: dict[str, Any], message: str, kind: type[Exception]
) -> None:
    result = ended(host, state, code, **changes)
    error = result.error()
    assert type(error) is kind
    assert error.result is result
    assert error.message == message
    assert len(error.lines()) <= 3
    assert not result.ok


@pytest.mark.parametrize("state", ["finished", "failed", "stopped", "timeout"])
def test_an_interrupt_ends_loops_around_it(host: Host, state: State) -> None:
    result = ended(host, state, 0)
    error = words.interrupt(result)
    assert isinstance(error, KeyboardInterrupt)
    assert not isinstance(error, Exception)
    assert error.result is result
    assert error.message.startswith(f"tool {words.state(result)}")
    assert ("and then you interrupted it" in error.message) == (state != "stopped")


def test_the_error_ends_with_what_the_tool_said_last(host: Host) -> None:
    said = [
        Output("stderr", b"warming up\n\x1b[31mError: no such file\x1b[0m\n\n"),
        Output("stdout", b"later\n"),
    ]
    error = ended(host, "failed", 2, output=said).error()
    assert error is not None
    assert error.lines() == ["SkillFailed: tool failed: exit code 2", "Error: no such file"]


def test_long_last_words_are_cut(host: Host) -> None:
    error = ended(host, "failed", 2, output=[Output("stdout", b"x" * 5000)]).error()
    assert error is not None
    assert len(error.lines()[1]) == 300


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (126, "cannot be executed"),
        (127, "not found"),
        (137, "SIGKILL"),
        (139, "SIGSEGV"),
    ],
)
def test_exit_codes_are_explained(host: Host, code: int, said: str) -> None:
    error = ended(host, "failed", code).error()
    assert error is not None
    assert said in error.hint


@pytest.mark.parametrize(("code", "said"), [(137, "SIGKILL"), (143, "SIGTERM")])
def test_who_killed_a_tool_is_not_guessed(host: Host, code: int, said: str) -> None:
    error = ended(host, "killed", code).error()
    assert error is not None
    assert (
        error.hint == f"ended by {said}, from itself or from outside; not for lack of memory, and not by us"
    )


def test_hints_stand_in_the_error_in_one_line(host: Host) -> None:
    error = ended(host, "failed", 127, args=(">", str(host.directory / "x"))).error()
    assert error is not None
    assert error.hint == (
        f"exit code 127: {words._EXIT_CODES[127]}; "
        "there is no shell: > went to the tool as an argument; "
        "stdout='x' writes a file; "
        f"the tool sees {host.directory} as /workdir: write /workdir/x"
    )
    assert len(error.lines()) == 2


def test_the_engines_own_words(host: Host) -> None:
    error = ended(host, "failed", 127, error='exec: "nope": executable file not found in $PATH\nmore').error()
    assert error is not None
    assert error.hint == 'exec: "nope": executable file not found in $PATH'


def test_the_manifest_is_named_shortly(host: Host) -> None:
    limits = Limits(memory=MIB, memory_field="memory")
    for file, place in (
        (host.home / ".config" / "skills.toml", "~/.config/skills.toml:12"),
        (Path("/opt/skills.toml"), "/opt/skills.toml:12"),
    ):
        assert ended(host, "out-of-memory", 137, limits=limits, file=file).lines == {"memory": place}


def test_no_secret_in_any_form(host: Host) -> None:
    secret = EnvVar("API_TOKEN", "s3cr3t-value", names=("API_TOKEN",))
    result = ended(host, environment=(secret,), args=("--token=s3cr3t-value", "http://u:s3cr3t@host/"))
    forms = [repr(result), result.command_line, json.dumps(result.as_dict()), str(result._repr_mimebundle_())]
    assert not any("s3cr3t" in form for form in forms)
    bare = RunResult("t", ("http://u:s3cr3t@host/",), "i", "finished", 0, 1.0, 0.0)
    assert "s3cr3t" not in str(bare._repr_mimebundle_())


def test_a_gpu_has_a_figure(host: Host) -> None:
    result = ended(host, usages=[usage(1.0, gpu_percent=40.0, gpu_memory=MIB), usage(2.0, gpu_percent=20.0)])
    assert ("GPU", "up to 40 %, 1 MiB") in words.figures(result)


def test_the_repr_is_one_line(host: Host) -> None:
    result = ended(host, usages=[usage(1.0)], skill="to\nol\x1b[31m")
    assert re.fullmatch(r"<RunResult to\\nol\\x1b\[31m finished, 3\.2 s, peak memory 120 MiB>", repr(result))


def test_the_mime_bundle_can_be_asked_for_in_parts(host: Host) -> None:
    result = ended(host)
    mime = "application/vnd.skill-magic.run+json"
    assert set(result._repr_mimebundle_()) == {"text/plain", "text/html", mime}
    assert set(result._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(result._repr_mimebundle_(exclude={"text/html"})) == {"text/plain", mime}


def test_the_json_form(host: Host) -> None:
    data = json.loads(json.dumps(ended(host, usages=[usage(2.0)]).as_dict()))
    assert data["version"] == 1
    assert (data["skill"], data["args"], data["state"], data["exit_code"]) == (
        "tool",
        ["-x", "a b"],
        "finished",
        0,
    )
    assert (data["peak_memory"], data["cpu_seconds"], data["digest"]) == (120 * MIB, 3.0, "debian@sha256:22")
    assert ended(host, args=("x" * 100_000,)).as_dict()["args"] is None


def test_output_at_hand_makes_a_result() -> None:
    result = RunResult("t", (), "i", "finished", 0, 1.0, 0.0, output=saved(b"a", b"b"))
    assert (result.stdout, result.stderr) == ("a", "b")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1023 * 1024, "1023 KiB"),
        (MIB, "1 MiB"),
        (512 * MIB, "512 MiB"),
        (18_253_611_008, "17 GiB"),
        (1 << 40, "1 TiB"),
        (1023.99 * MIB, "1 GiB"),
    ],
)
def test_sizes(count: float, said: str) -> None:
    assert words.size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 ms"),
        (0.0404, "40 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.10 s"),
        (0.214, "0.21 s"),
        (0.999, "1.0 s"),
        (3.24, "3.2 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (125.0, "2 min 5 s"),
        (3600.0, "1 h 0 min"),
        (3725.0, "1 h 2 min"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_counts() -> None:
    assert [words.count(n, "line") for n in (0, 1, 2, 55_000)] == [
        "0 lines",
        "1 line",
        "2 lines",
        "55 000 lines",
    ]
