"""The parts of the engine's room that need no engine: framing, progress, the queue, how an end is read."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from pace import pace

from skill_magic.engine import cgroup
from skill_magic.engine.channel import LIMIT, Channel
from skill_magic.engine.ending import ended_state, exit_code_of, finished, seconds
from skill_magic.engine.failures import unknown_user
from skill_magic.engine.gpu import Gpu, parse
from skill_magic.engine.images import _fits, facts_of
from skill_magic.engine.passwd import with_line
from skill_magic.engine.progress import Progress
from skill_magic.engine.pull import image_error
from skill_magic.engine.stream import Demultiplexer, pieces
from skill_magic.errors import EngineError, ImageError
from skill_magic.events import Note, Output
from skill_magic.spec import Gpus, RunSpec


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_frames_are_undone_wherever_they_are_cut() -> None:
    wire = frame(1, b"hello ") + frame(2, b"oops") + frame(1, b"") + frame(1, b"world\n")
    for first in range(len(wire) + 1):
        for second in range(first, len(wire) + 1, 3):
            split = Demultiplexer()
            outputs = [
                *split.feed(wire[:first]),
                *split.feed(wire[first:second]),
                *split.feed(memoryview(wire)[second:]),
            ]
            for name, text in (("stdout", b"hello world\n"), ("stderr", b"oops")):
                assert b"".join(one.data for one in outputs if one.stream == name) == text
            order = [one.stream for one in outputs]
            assert order.index("stderr") > 0
            assert order[-1] == "stdout"


def test_neighbours_of_one_stream_are_one_output() -> None:
    wire = b"".join(frame(1, b"%d\n" % number) for number in range(1000))
    (output,) = Demultiplexer().feed(wire)
    assert output.data.count(b"\n") == 1000


def test_stdin_comes_in_pieces() -> None:
    class Slow:
        def __init__(self) -> None:
            self.left = [b"typed ", b"later", b""]

        def read1(self, size: int) -> bytes:
            return self.left.pop(0)

        def read(self, size: int) -> bytes:
            raise AssertionError("waits for all of it")

    assert list(pieces(Slow())) == [b"typed ", b"later"]  # type: ignore[arg-type]
    assert b"".join(pieces(b"all")) == b"all"


class TestChannel:
    def test_order_then_end(self) -> None:
        channel = Channel()
        channel.put(Output("stdout", b"a"))
        channel.put(Note("n"))
        channel.close()
        assert channel.get(1) == Output("stdout", b"a")
        assert not channel.done
        assert channel.get(1) == Note("n")
        assert channel.done
        assert channel.get(1) is None

    def test_an_error_comes_after_what_was_put_before(self) -> None:
        channel = Channel()
        channel.put(Note("n"))
        channel.close(EngineError("gone"))
        channel.close(ValueError("too late"))
        channel.put(Note("too late"))
        assert channel.get(1) == Note("n")
        for _ in range(2):
            with pytest.raises(EngineError, match="gone"):
                channel.get(1)

    def test_waiting_output_of_one_stream_is_joined(self) -> None:
        channel = Channel()
        for letter in b"abc":
            channel.put(Output("stdout", bytes([letter])))
        channel.put(Output("stderr", b"x"))
        channel.put(Output("stdout", b"d"))
        assert [channel.get(1) for _ in range(3)] == [
            Output("stdout", b"abc"),
            Output("stderr", b"x"),
            Output("stdout", b"d"),
        ]

    def test_a_flood_waits_for_its_reader(self) -> None:
        channel = Channel()
        chunk = Output("stdout", b"x" * (1 << 18))
        total = 4 * LIMIT // len(chunk.data)

        def flood() -> None:
            for _ in range(total):
                channel.put(chunk)
            channel.close()

        threading.Thread(target=flood, daemon=True).start()
        time.sleep(0.3)
        assert channel._waiting <= LIMIT + len(chunk.data)
        received = 0
        while (event := channel.get(5)) is not None:
            assert isinstance(event, Output)
            received += len(event.data)
        assert received == total * len(chunk.data)
        assert channel.dropped() is None

    def test_when_it_is_stopped_nobody_has_to_read(self) -> None:
        channel = Channel()
        channel.hurry()
        begun = time.monotonic()
        for _ in range(10 * LIMIT // (1 << 18)):
            channel.put(Output("stdout", b"x" * (1 << 18)))
        assert time.monotonic() - begun < 2 * pace()
        note = channel.dropped()
        assert note is not None
        assert "dropped" in note.text

    def test_abandoned(self) -> None:
        channel = Channel()
        channel.abandon()
        for _ in range(10 * LIMIT // (1 << 18)):
            channel.put(Output("stdout", b"x" * (1 << 18)))
        assert channel._waiting == 0


def test_progress_adds_up_and_never_goes_back() -> None:
    progress = Progress("tool:1")
    assert progress.event().total is None

    def layer(name: str, status: str, current: int | None = None, total: int | None = None) -> None:
        detail = {} if current is None else {"current": current, "total": total}
        assert progress.update({"id": name, "status": status, "progressDetail": detail})

    progress.update({"status": "Pulling from tool", "id": "1"})
    layer("a", "Pulling fs layer")
    layer("b", "Pulling fs layer")
    layer("c", "Already exists")
    layer("a", "Downloading", 10, 100)
    assert progress.event().total is None, "the size of b is not known yet"
    layer("b", "Downloading", 50, 50)
    event = progress.event()
    assert (event.current, event.total, event.layers) == (60, 150, (1, 3))
    layer("a", "Downloading", 5, 100)
    assert progress.event().current == 60, "a retry"
    layer("a", "Download complete")
    layer("a", "Extracting", 3, 100)
    layer("a", "Pull complete")
    layer("b", "Pull complete")
    event = progress.event()
    assert (event.current, event.total, event.layers) == (150, 150, (3, 3))
    assert not progress.update({"aux": {"ID": "sha256:…"}})


@pytest.mark.parametrize(
    ("code", "memory", "stopped", "state"),
    [
        (0, False, None, "finished"),
        (0, True, None, "finished"),
        (1, False, None, "failed"),
        (137, True, None, "out-of-memory"),
        (1, True, None, "out-of-memory"),
        (137, False, None, "killed"),
        (143, False, None, "killed"),
        (139, False, None, "failed"),
        (137, False, "stopped", "stopped"),
        (0, False, "timeout", "timeout"),
    ],
)
def test_why_it_ended(code: int, memory: bool, stopped: str | None, state: str) -> None:
    assert ended_state(code, memory, stopped) == state  # type: ignore[arg-type]


def test_duration_is_by_the_engines_clock() -> None:
    end = finished(
        {
            "ExitCode": 0,
            "StartedAt": "2024-01-31T10:00:00.123456789Z",
            "FinishedAt": "2024-01-31T10:00:02.623456789Z",
        },
        None,
    )
    assert end.duration == pytest.approx(2.5)
    assert end.started == pytest.approx(1706695200.123456)
    assert seconds("0001-01-01T00:00:00Z") == 0
    assert seconds("2024-01-31T10:00:00Z") == 1706695200
    assert seconds("2024-01-31T12:00:00.5+02:00") == 1706695200.5
    assert seconds("nonsense") == seconds(None) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ('runc create failed: exec: "foo": executable file not found in $PATH: unknown', 127),
        ('runc create failed: exec: "/foo": stat /foo: no such file or directory: unknown', 127),
        ('runc create failed: exec: "/etc/hostname": permission denied: unknown', 126),
        ('runc create failed: exec: "/etc": is a directory: unknown', 126),
        ("exec /tool: exec format error", 126),
        ("driver failed programming external connectivity", None),
        ("error mounting /x to rootfs: no such file or directory", None),
    ],
)
def test_programs_that_cannot_be_executed(words: str, code: int | None) -> None:
    assert exit_code_of(words) == code


def test_platforms() -> None:
    arm = {"Os": "linux", "Architecture": "arm64", "Variant": "v8"}
    assert _fits(arm, "linux/arm64")
    assert _fits(arm, "linux/arm64/v8")
    assert _fits(arm, "aarch64")
    assert _fits({"Os": "linux", "Architecture": "arm64"}, "linux/arm64/v8")
    assert not _fits(arm, "linux/amd64")
    assert not _fits(arm, "windows/arm64")
    assert not _fits({"Os": "linux", "Architecture": "arm", "Variant": "v6"}, "linux/arm/v7")


def test_the_digest_of_the_name_that_was_asked_for() -> None:
    found = {"Id": "sha256:1", "RepoDigests": ["mirror:5000/library/python@sha256:a", "python@sha256:b"]}
    assert facts_of(found, "python:3.12-slim").digest == "sha256:b"
    assert facts_of(found, "docker.io/library/python").digest == "sha256:b"
    assert facts_of(found, "mirror:5000/library/python:3").digest == "sha256:a"
    assert facts_of({"Id": "sha256:1", "RepoDigests": None}, "mine").digest is None


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("toomanyrequests: You have reached your pull rate limit.", "rate-limit"),
        ("write /var/lib/docker/tmp/x: no space left on device", "no-space"),
        ("manifest for python:9 not found: manifest unknown: manifest unknown", "unknown"),
        ("no matching manifest for linux/s390x in the manifest list entries", "platform"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", "denied"),
        ("Head https://ghcr.io/v2/x/manifests/1: unauthorized", "denied"),
        (
            "Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io: no such host",
            "unreachable",
        ),
        ("Get https://x/v2/: net/http: TLS handshake timeout", "unreachable"),
        ("http: server gave HTTP response to HTTPS client", "unreachable"),
        ("something else altogether", "failed"),
    ],
)
def test_why_a_pull_failed(words: str, problem: str) -> None:
    error = image_error("python:9", None, EngineError(words))
    assert isinstance(error, ImageError)
    assert error.problem == problem
    assert "python:9" in error.message
    assert error.hint


def test_a_line_of_passwd() -> None:
    text = "root:x:0:0:root:/root:/bin/bash\njo:x:500:500::/:/bin/sh"
    assert with_line(text, 500, 500, "me", "/tmp") is None
    assert with_line(text, 1000, 100, "me", "/tmp") == f"{text}\nme:x:1000:100:me:/tmp:/bin/sh\n"
    added = with_line(text, 1000, 100, "jo", "/tmp")
    assert added is not None
    assert added.endswith("\nskill:x:1000:100:skill:/tmp:/bin/sh\n"), "a name that is taken"
    odd = with_line("", 1000, 100, "a:b\nroot", "/tmp:x\ny")
    assert odd == "skill:x:1000:100:skill:/:/bin/sh\n"


def test_lines_of_nvidia_smi() -> None:
    assert parse("0, 37, 1024\n") == (0, 37.0, 1 << 30)
    assert parse("1, [N/A], 5\n") is None
    assert parse("") is None


SMI = """#!/bin/sh
echo "$$ $*" >"{record}"
while :; do
  printf '0, 40, 1000\\n1, 60, 2000\\n2, [N/A], 9\\n'
  sleep 0.05
done
"""


def test_gpus_are_read_from_a_program_that_repeats_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that says what nvidia-smi says: no GPU is on the machines that test this."""
    program, record = tmp_path / "nvidia-smi", tmp_path / "record"
    program.write_text(SMI.format(record=record))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for gpus, wanted in (
        (Gpus(-1), (50.0, 3000 << 20)),
        (Gpus(1), (40.0, 1000 << 20)),
        (Gpus(device_ids=("0", "1")), (50.0, 3000 << 20)),
    ):
        meter = Gpu(gpus)
        until = time.monotonic() + 10
        while meter.latest() != wanted:
            assert time.monotonic() < until, meter.latest()
            time.sleep(0.01)
        meter.close()
        pid, _, options = record.read_text().partition(" ")
        assert "--query-gpu=index,utilization.gpu,memory.used --format=csv,noheader,nounits" in options
        assert ("--id=0,1" in options) is bool(gpus.device_ids)
        assert not Path(f"/proc/{pid}").exists(), "it ends with the run"


def test_without_nvidia_smi_nothing_is_said_of_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    meter = Gpu(Gpus(-1))
    assert meter.latest() is None
    meter.close()


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_a_control_group(tmp_path: Path, version: int) -> None:
    name = "a" * 64
    files = {
        1: {
            f"cpuacct/docker/{name}/cpuacct.usage": "2500000000\n",
            f"memory/docker/{name}/memory.usage_in_bytes": "1000\n",
            f"memory/docker/{name}/memory.max_usage_in_bytes": "2000\n",
            f"memory/docker/{name}/memory.stat": "cache 5\ninactive_file 1\ntotal_inactive_file 400\n",
            f"memory/docker/{name}/cgroup.procs": "",
            f"pids/docker/{name}/pids.current": "3\n",
            f"blkio/docker/{name}/blkio.throttle.io_service_bytes_recursive": (
                "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n"
            ),
        },
        2: {
            f"system.slice/docker-{name}.scope/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
            f"system.slice/docker-{name}.scope/memory.current": "1000\n",
            f"system.slice/docker-{name}.scope/memory.peak": "2000\n",
            f"system.slice/docker-{name}.scope/memory.stat": "anon 5\ninactive_file 400\n",
            f"system.slice/docker-{name}.scope/cgroup.procs": "",
            f"system.slice/docker-{name}.scope/pids.current": "3\n",
            f"system.slice/docker-{name}.scope/io.stat": (
                "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=0\n"
            ),
        },
    }[version]
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    group = cgroup.find(name, root=tmp_path)
    assert group is not None
    reading = group.read()
    group.close()
    assert reading.cpu_seconds == 2.5
    assert (reading.memory, reading.cache, reading.kernel_peak, reading.pids) == (600, 400, 2000, 3)
    assert (reading.block_in, reading.block_out) == (11, 20)
    assert cgroup.find("b" * 64, root=tmp_path) is None


@pytest.mark.parametrize(
    "what", ["user nosuch: no matching entries in passwd file", "group nosuch: no match"]
)
def test_a_user_that_the_image_does_not_know_is_told_with_its_place(what: str) -> None:
    user = "nosuch" if what.startswith("user") else "nobody:nosuch"
    spec = RunSpec("tool", "i", user=user, user_field="user", file=Path("skills.toml"), lines={"user": 3})
    error = unknown_user(f"unable to find {what}", spec)
    assert error is not None
    (fault,) = error.violations
    assert (fault.code, fault.place, fault.field, fault.value) == (
        "user-unknown",
        "skills.toml:3",
        "user",
        user,
    )
    assert "uid:gid" in fault.fix
    assert unknown_user(f"unable to find {what}", RunSpec("tool", "i", user="1000:1000")) is None
    assert unknown_user("no space left on device", spec) is None
