"""Every key of `[skills.X.docker]` has its effect on the real container: what the engine says, what the tool
sees."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import skill_magic
from skill_magic.background import Handle

pytestmark = pytest.mark.engine

PYTHON = "python:3.12-slim"
WAIT = "print('ready', flush=True); import time; time.sleep(60)"


def inspect(container: str) -> dict[str, Any]:
    """The container as the engine's own client sees it."""
    found = subprocess.run(["docker", "inspect", container], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(found.stdout)[0]
    return result


@contextlib.contextmanager
def running(*args: str, **options: Any) -> Iterator[dict[str, Any]]:
    """Inspect skill ``x`` while it runs."""
    handle = skill_magic.start("x", args or ["-c", WAIT], **options)
    try:
        yield inspect(started(handle))
    finally:
        handle.stop()
        handle.stop()
        with contextlib.suppress(skill_magic.RunError):
            handle.wait(20)


def started(handle: Handle) -> str:
    until = time.monotonic() + 30
    while handle.id is None:
        if handle.done:
            handle.wait()
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.02)
    return handle.id


Write = Callable[..., Path]


@pytest.fixture
def manifest(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Write:
    """Writes skill ``x`` into a project's skills.toml; a python image with python3 unless told otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("grants")))

    def write(text: str = "", *, image: str = PYTHON, entrypoint: str | None = "python3") -> Path:
        lines = ["[skills.x.docker]", f'image = "{image}"']
        if entrypoint is not None:
            lines.append(f'entrypoint = "{entrypoint}"')
        path = tmp_path / "skills.toml"
        path.write_text("\n".join([*lines, text, ""]), encoding="utf-8")
        tomllib.loads(path.read_text(encoding="utf-8"))
        return path

    return write


def python(code: str, *, stdin: str | None = None) -> str:
    return skill_magic.run("x", ["-c", code], stdin=stdin).stdout


def trust() -> None:
    """A person allows what skill ``x`` asks for."""
    subprocess.run(
        [sys.executable, "-m", "skill_magic", "trust", "x", "--yes"],
        check=True,
        capture_output=True,
        timeout=60,
    )


def refused(code: str) -> None:
    with pytest.raises(skill_magic.PolicyError) as caught:
        python("print('must not run')")
    assert code in {each.code for each in caught.value.violations}


def test_image(manifest: Write) -> None:
    manifest(image="redis:7-alpine", entrypoint="redis-cli")
    assert "redis-cli" in skill_magic.run("x", ["--version"]).stdout
    manifest(image=PYTHON)
    with running() as found:
        assert found["Image"] == inspect(PYTHON)["Id"]


def test_entrypoint(manifest: Write) -> None:
    manifest(entrypoint="/bin/echo")
    assert skill_magic.run("x", ["-n", "a b", "c"]).stdout == "a b c"
    manifest()
    with running() as found:
        assert found["Config"]["Entrypoint"] == ["python3"]


def test_without_entrypoint_the_images_own_is_used(manifest: Write) -> None:
    manifest(image="node:20-alpine", entrypoint=None)
    assert skill_magic.run("x", ["-e", "console.log(6 * 7)"]).stdout == "42\n"


def test_command_is_the_default_for_a_call_without_arguments(manifest: Write) -> None:
    manifest("""command = ["-c", "print('from the manifest')"]""")
    assert skill_magic.run("x").stdout == "from the manifest\n"
    assert skill_magic.run("x", ["-c", "print('from the call')"]).stdout == "from the call\n"


def test_volumes(manifest: Write, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("A")
    (tmp_path / "out").mkdir()
    manifest("""volumes = ["./data:/data:ro", "${PWD}/out:/out"]""")
    assert python("print(open('/data/a.txt').read()); open('/out/b.txt', 'w').write('B')") == "A\n"
    assert (tmp_path / "out" / "b.txt").read_text() == "B"
    with pytest.raises(skill_magic.SkillFailed, match="Read-only file system"):
        python("open('/data/b.txt', 'w')")
    with running() as found:
        mounts = {each["Destination"]: each for each in found["Mounts"]}
    assert mounts["/data"]["Source"] == str(tmp_path / "data")
    assert not mounts["/data"]["RW"]
    assert mounts["/out"]["RW"]


def test_working_dir(manifest: Write) -> None:
    manifest('working_dir = "/usr/share"')
    assert python("import os; print(os.getcwd())") == "/usr/share\n"
    with running() as found:
        assert found["Config"]["WorkingDir"] == "/usr/share"


def test_without_working_dir_it_is_the_notebooks_directory(manifest: Write, tmp_path: Path) -> None:
    manifest()
    (tmp_path / "here.txt").touch()
    assert python("import os; print(os.getcwd(), os.path.exists('here.txt'))") == "/workdir True\n"


def test_environment(manifest: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_MEASUREMENT", "grün")
    monkeypatch.delenv("NOT_SET", raising=False)
    values = ["A=1", "B=${LC_MEASUREMENT}", "C=${NOT_SET:-fall back}", "D=$$HOME", "E=a=b"]
    manifest(f"environment = {json.dumps(values, ensure_ascii=False)}")
    seen = python("import os; print([os.environ[name] for name in 'ABCDE'])")
    assert seen == "['1', 'grün', 'fall back', '$HOME', 'a=b']\n"
    with running() as found:
        assert {"A=1", "B=grün", "E=a=b"} <= set(found["Config"]["Env"])


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC/Q==\n-----END PRIVATE KEY-----\n"
SEEN = "import os, sys; sys.stdout.buffer.write(os.environb[b'A'])"


@pytest.mark.parametrize(
    "value",
    [PEM, PEM.replace("\n", "\r\n"), '{"a":\n\t[1]}', "\n\n", "1\nB=2", "grün\u2028"],
)
def test_a_value_over_several_lines_arrives_byte_for_byte(
    manifest: Write, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("LC_MEASUREMENT", value)  # a variable that needs no grant
    literal = json.dumps(f"A={value}")
    for text in (
        'environment = ["A=${LC_MEASUREMENT}"]',
        f"environment = [{literal}]",
        'extra_args = ["-e", "A=${LC_MEASUREMENT}"]',
    ):
        manifest(text)
        assert skill_magic.run("x", ["-c", SEEN]).stdout_bytes == value.encode()


def test_a_key_over_several_lines_is_nowhere_shown(
    manifest: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TLS_KEY", PEM)
    manifest('environment = ["TLS_KEY=${TLS_KEY}", "NOTE=a\\nb"]')
    with pytest.raises(skill_magic.PolicyError) as refused:
        skill_magic.run("x", ["-c", "0"])
    assert "MIIE" not in str(refused.value)
    shell = [sys.executable, "-m", "skill_magic"]
    common: dict[str, Any] = {
        "cwd": tmp_path,
        "capture_output": True,
        "text": True,
        "stdin": subprocess.DEVNULL,
    }
    granted = subprocess.run([*shell, "trust", "x", "--yes"], **common)
    assert granted.returncode == 0, granted.stderr
    assert "MIIE" not in granted.stdout + granted.stderr
    explained = subprocess.run([*shell, "explain", "x"], **common)
    assert "--env 'TLS_KEY=***' --env $'NOTE=a\\nb'" in explained.stdout
    assert sum("docker run" in line for line in explained.stdout.splitlines()) == 1
    result = skill_magic.run(
        "x", ["-c", "import os, sys; sys.exit(len(os.environ['TLS_KEY']) % 200)"], check=False
    )
    assert result.exit_code == len(PEM) % 200
    for shown in (
        result._repr_mimebundle_()["text/html"],
        str(result.error()),
        result.command_line,
        repr(result),
    ):
        assert "MIIE" not in shown


def test_memory(manifest: Write) -> None:
    manifest('memory = "64m"')
    with running() as found:
        assert found["HostConfig"]["Memory"] == 64 << 20
        assert found["HostConfig"]["MemorySwap"] == 64 << 20
    with pytest.raises(skill_magic.SkillKilled, match=r"out of memory at 64 MiB.*skills\.toml:4") as caught:
        python("x = bytearray(200 << 20)")
    assert caught.value.result.state == "out-of-memory"
    assert caught.value.result.exit_code == 137


def test_memory_of_the_call_wins(manifest: Write) -> None:
    manifest('memory = "64m"')
    with running(memory="96m") as found:
        assert found["HostConfig"]["Memory"] == 96 << 20


@pytest.mark.parametrize(("written", "cpus"), [('"0.5"', 0.5), ("1", 1.0), ("0.25", 0.25)])
def test_cpus(manifest: Write, written: str, cpus: float) -> None:
    manifest(f"cpus = {written}")
    with running() as found:
        assert found["HostConfig"]["NanoCpus"] == cpus * 1e9


def test_cpus_hold_the_tool_back(manifest: Write) -> None:
    manifest('cpus = "0.25"')
    burn = """
import time
start, cpu = time.perf_counter(), time.process_time()
while time.process_time() - cpu < 0.5: pass
print(time.perf_counter() - start)
"""
    assert float(python(burn)) > 1.2


def test_more_cpus_than_there_are_is_lowered_with_a_note(manifest: Write) -> None:
    manifest('cpus = "4000"')
    result = skill_magic.run("x", ["-c", "print(1)"])
    assert result.stdout == "1\n"
    assert any("cpus" in note and "4000" in note for note in result.notes)


INTERFACES = "import socket; print(sorted(name for _, name in socket.if_nameindex()))"


def test_network(manifest: Write) -> None:
    manifest()
    assert python(INTERFACES) == "['lo']\n"
    manifest('network = "bridge"')
    refused("network-bridge")
    trust()
    assert "eth0" in python(INTERFACES)
    with running() as found:
        assert found["HostConfig"]["NetworkMode"] == "bridge"
    manifest('network = "host"')
    refused("network-namespace")


def test_rm(manifest: Write) -> None:
    manifest()
    handle = skill_magic.start("x", ["-c", "print('gone')"])
    assert handle.wait(30).stdout == "gone\n"
    assert handle.id is not None
    gone = subprocess.run(["docker", "inspect", handle.id], capture_output=True)
    assert gone.returncode != 0
    manifest("rm = false")
    handle = skill_magic.start("x", ["-c", "open('/tmp/left', 'w').write('here')"])
    handle.wait(30)
    assert handle.id is not None
    try:
        assert inspect(handle.id)["State"]["Status"] == "exited"
        copied = subprocess.run(
            ["docker", "cp", f"{handle.id}:/tmp/left", "-"], capture_output=True, check=True
        )
        assert b"here" in copied.stdout
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", handle.id], capture_output=True, check=True)


IDENTITY = "import os; print(os.getuid(), os.getgid())"


def test_user(manifest: Write) -> None:
    manifest()
    assert python(IDENTITY) == f"{os.getuid()} {os.getgid()}\n"
    manifest('user = "1234:2345"')
    trust()
    assert python(IDENTITY) == "1234 2345\n"
    with running() as found:
        assert found["Config"]["User"] == "1234:2345"
    manifest('user = "nobody"')
    trust()
    assert python(IDENTITY).split()[0] == "65534"


def test_user_image_keeps_the_images_own(manifest: Write) -> None:
    manifest('user = "image"')
    trust()
    with running() as found:
        assert found["Config"]["User"] == ""


def test_gpus(manifest: Write) -> None:
    manifest('gpus = "all"')
    info = subprocess.run(
        ["docker", "info", "-f", "{{json .Runtimes}}"], capture_output=True, text=True, check=True
    )
    if "nvidia" in info.stdout:
        with running() as found:
            assert found["HostConfig"]["DeviceRequests"][0]["Count"] == -1
    else:
        with pytest.raises(skill_magic.GpuUnavailable, match="NVIDIA"):
            python("print('must not run')")


def test_read_only(manifest: Write) -> None:
    attempt = """
import os
for path in ("/opt/x", "/tmp/x", "/workdir/x"):
    try:
        open(path, "w").close()
        print(path, "written")
    except OSError as error:
        print(path, error.strerror)
"""
    manifest("read_only = true")
    assert python(attempt).splitlines() == [
        "/opt/x Read-only file system",
        "/tmp/x written",
        "/workdir/x written",
    ]
    with running() as found:
        assert found["HostConfig"]["ReadonlyRootfs"] is True
    manifest()
    with running() as found:
        assert found["HostConfig"]["ReadonlyRootfs"] is False


def test_platform(manifest: Write) -> None:
    machine = subprocess.run(
        ["docker", "version", "-f", "{{.Server.Os}}/{{.Server.Arch}}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    manifest(f'platform = "{machine}"')
    assert python("print(1)") == "1\n"
    manifest('platform = "linux/s390x"')
    with pytest.raises(skill_magic.ImageError) as caught:
        python("print('must not run')")
    assert caught.value.problem in ("platform", "unknown", "unreachable")


def test_extra_args(manifest: Write) -> None:
    words = [
        "--shm-size",
        "32m",
        "--ulimit=nofile=512:1024",
        "-e",
        "MORE=yes",
        "--hostname",
        "box",
        "--tmpfs",
        "/scratch",
    ]
    manifest(f"extra_args = {json.dumps(words)}")
    code = """
import os, resource, socket
print(os.environ["MORE"], socket.gethostname(), os.path.ismount("/scratch"))
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    assert python(code) == "yes box True\n(512, 1024)\n"
    with running() as found:
        assert found["HostConfig"]["ShmSize"] == 32 << 20
        assert found["HostConfig"]["Ulimits"] is not None
    manifest('extra_args = ["--privileged"]')
    refused("privileged")


def test_the_hardened_defaults(manifest: Write) -> None:
    """What no manifest has to write."""
    manifest()
    with running() as found:
        settings = found["HostConfig"]
    assert settings["CapDrop"] == ["ALL"]
    assert not settings["CapAdd"]
    assert not settings["Privileged"]
    assert settings["NetworkMode"] == "none"
    assert 0 < settings["PidsLimit"] <= 4096
    assert settings["Memory"] == settings["MemorySwap"] > 0
    assert settings["Init"] is True
    assert settings["LogConfig"]["Type"] == "none"
    assert any(each.startswith("no-new-privileges") for each in settings["SecurityOpt"])
    assert {each["Name"]: each["Hard"] for each in settings["Ulimits"]}["core"] == 0
    status = python(
        "print([line for line in open('/proc/self/status') if line.startswith(('CapEff', 'NoNewPrivs'))])"
    )
    assert "CapEff:\\t0000000000000000" in status
    assert "NoNewPrivs:\\t1" in status


def test_home_is_writable_and_the_user_has_a_name(manifest: Write) -> None:
    manifest('user = "4321:4321"')
    trust()
    code = "import getpass, pathlib; (pathlib.Path.home() / 'x').touch(); print(bool(getpass.getuser()))"
    assert python(code) == "True\n"


def test_cell(manifest: Write) -> None:
    """``[skills.X.notebook] cell`` decides what a cell's body is."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "skill_magic")
    code = "import sys; print(sys.argv[1:], repr(sys.stdin.read()))"
    manifest()
    shell.user_ns["code"] = code
    result = shell.run_cell_magic("skill", "x -- -c {code} left", "a 'b c' # d\n")
    assert result.stdout == """['left'] "a 'b c' # d\\n"\n"""
    manifest('\n[skills.x.notebook]\ncell = "args"')
    result = shell.run_cell_magic("skill", "x -- -c {code} left", "a 'b c' # d\n  --e\n")
    assert result.stdout == "['left', 'a', 'b c', '--e'] ''\n"
