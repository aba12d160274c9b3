"""Hints on the real engine, with the real tools: what is said of what people meet in containers, and that the way out
which is named leads there."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import skill_magic
from skill_magic import road
from skill_magic.command.parse import Options, Request
from skill_magic.engine import Engine
from skill_magic.host import Host
from skill_magic.result import RunResult
from skill_magic.views import words
from skill_magic.views.base import QuietView

pytestmark = pytest.mark.engine

ARM64 = 183
"""``e_machine`` of elf(5)."""


def ran(host: Host, skill: str, *args: str, stdin: bytes | None = None) -> RunResult:
    return road.execute(Request(skill, args, stdin=stdin, options=Options(no_raise=True)), host, QuietView())


def hint(host: Host, skill: str, *args: str, stdin: bytes | None = None) -> str:
    result = ran(host, skill, *args, stdin=stdin)
    assert not result.ok, result.stdout
    return words.hint(result)


@pytest.fixture
def skills(host: Host) -> Callable[..., Host]:
    """``skills(x='image = "…"')``: the person's own skills, so that no grant is needed."""

    def write(**texts: str) -> Host:
        host.config_dir.mkdir(mode=0o700, parents=True)
        text = "".join(f"[skills.{name}.docker]\n{keys}\n" for name, keys in texts.items())
        (host.config_dir / "skills.toml").write_text(text)
        return host

    return write


def entrypoint(program: str, image: str = "python:3.12-slim") -> str:
    return f'image = "{image}"\nentrypoint = "{program}"'


# --- This machine, from a container


class Pong(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"PONG from this machine")

    def log_message(self, *args: object) -> None:
        pass


def gateway(engine: Engine) -> str:
    """This machine's address on the bridge of the engine's containers."""
    found: str = engine.api.inspect_network("bridge")["IPAM"]["Config"][0]["Gateway"]
    return found


@pytest.fixture
def server(engine: Engine) -> Iterator[int]:
    """The port of a real server on this machine, on the bridge's address."""
    serving = http.server.ThreadingHTTPServer((gateway(engine), 0), Pong)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield serving.server_port
    serving.shutdown()
    serving.server_close()


@pytest.fixture
def redis_server(engine: Engine) -> Iterator[int]:
    """The port of something on this machine that says PONG in the words of Redis, whatever it is asked."""
    listening = socket.create_server((gateway(engine), 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                with client:
                    while client.recv(1 << 12):
                        client.sendall(b"+PONG\r\n")

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


@pytest.fixture(scope="module")
def forwarded() -> Iterator[int]:
    """The port of PostgreSQL on this machine's bridge address: the server is in a container and published there."""
    words = [
        "docker",
        "run",
        "-d",
        "--rm",
        "-e",
        "POSTGRES_HOST_AUTH_METHOD=trust",
        "-P",
        "postgres:16-alpine",
    ]
    container = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    try:
        found = subprocess.run(
            ["docker", "port", container, "5432/tcp"], check=True, capture_output=True, text=True
        )
        yield int(found.stdout.splitlines()[0].rpartition(":")[2])
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", container], check=True, capture_output=True)


URL = "http://host.docker.internal:{}"
PYTHON = "import urllib.request as u; print(u.urlopen('{}').read().decode())"
NODE = "fetch('{}').then(r => r.text()).then(console.log)"


def test_python_and_node_reach_this_machine(host: Host, server: int) -> None:
    assert (
        ran(host, "python-runner-net", "-c", PYTHON.format(URL.format(server))).stdout
        == "PONG from this machine\n"
    )
    assert (
        ran(host, "node-runner-net", "-e", NODE.format(URL.format(server))).stdout
        == "PONG from this machine\n"
    )


def test_redis_cli_reaches_this_machine(host: Host, redis_server: int) -> None:
    assert (
        ran(host, "redis", "-h", "host.docker.internal", "-p", str(redis_server), "PING").stdout == "PONG\n"
    )


def test_psql_reaches_this_machine(host: Host, forwarded: int, wait_until: Callable[..., object]) -> None:
    call = ("-h", "host.docker.internal", "-p", str(forwarded), "-U", "postgres", "-qAtc", "select 6 * 7")
    wait_until(lambda: ran(host, "postgres", *call).stdout == "42\n", 60)
    dump = ran(host, "pg-dump", *call[:6], "postgres")
    assert "PostgreSQL database dump complete" in dump.stdout


def test_localhost_leads_to_the_name_that_works(host: Host, server: int) -> None:
    said = "localhost is the container itself: this machine is host.docker.internal"
    url = f"http://localhost:{server}"
    assert hint(host, "python-runner-net", "-c", PYTHON.format(url)) == said
    assert hint(host, "python-runner-net", stdin=PYTHON.format(url).encode()) == said
    assert hint(host, "node-runner-net", "-e", NODE.format(url)) == said
    assert hint(host, "redis", "PING") == said
    assert hint(host, "postgres", "-h", "localhost", "-c", "x") == said
    variable = dataclasses.replace(host, environment={**host.environment, "PGHOST": "127.0.0.1"})
    assert hint(variable, "postgres", "-c", "x") == (
        "localhost (PGHOST) is the container itself: write PGHOST=host.docker.internal for this machine"
    )
    bare = dataclasses.replace(host, environment={**host.environment, "PGHOST": ""})
    assert hint(bare, "postgres", "-c", "x").startswith(
        "no server was named, and there is none in the container: "
    )


def test_a_server_that_only_this_machine_reaches(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for skill, call in (
            ("postgres", ("-h", "host.docker.internal", "-p", str(port), "-c", "x")),
            ("redis", ("-h", "host.docker.internal", "-p", str(port), "PING")),
            ("node-runner-net", ("-e", NODE.format(URL.format(port)))),
        ):
            assert hint(host, skill, *call).startswith(
                "host.docker.internal was reached and nothing listens there"
            )


def test_a_refusal_elsewhere_has_no_hint(host: Host, engine: Engine) -> None:
    assert hint(host, "redis", "-h", gateway(engine), "-p", "9", "PING") == ""


def test_the_name_is_a_grant_for_a_project(host: Host) -> None:
    option = 'extra_args = ["--add-host=host.docker.internal:host-gateway"]'
    (host.directory / "skills.toml").write_text(f"[skills.x.docker]\nimage = 'python:3.12-slim'\n{option}\n")
    with pytest.raises(skill_magic.PolicyError, match="host-alias"):
        ran(host, "x", "-c", "1")


# --- No network


def test_no_network_names_the_skill_that_has_one(host: Host) -> None:
    call = PYTHON.format("http://example.com")
    assert (
        hint(host, "python-runner", "-c", call) == "python-runner has no network; python-runner-net has one"
    )
    assert hint(host, "node-runner", "-e", NODE.format("http://example.com")) == (
        "node-runner has no network; node-runner-net has one"
    )
    assert hint(host, "ffmpeg", "-i", "http://example.com/a.mp4", "out.webm").startswith(
        "ffmpeg has no network: fetch the file first, or "
    )
    assert hint(host, "imagemagick", "http://example.com/a.png", "out.png").startswith(
        "imagemagick has no network: "
    )


# --- Modules


def test_modules(host: Host) -> None:
    assert "python:3.12-slim has no module pandas: " in hint(host, "python-runner", "-c", "import pandas")
    assert "python:3.12-slim has no module pytest: " in hint(host, "python-runner", "-m", "pytest")
    assert "node:20-alpine has no module lodash: " in hint(host, "node-runner", "-e", "require('lodash')")
    esm = ("--input-type=module", "-e", "import 'lodash'")
    assert "node:20-alpine has no module lodash: " in hint(host, "node-runner", *esm)
    assert hint(host, "node-runner", "nothere.js") == ""


def test_modules_beside_the_notebook_are_found(host: Host) -> None:
    """Where the hints say that pip and npm put them."""
    (host.directory / "lib").mkdir()
    (host.directory / "lib/tiny_thing.py").write_text("answer = 42")
    script = b'import sys; sys.path.insert(0, "lib"); import tiny_thing; print(tiny_thing.answer)'
    assert ran(host, "python-runner", stdin=script).stdout == "42\n"
    (host.directory / "node_modules/tiny").mkdir(parents=True)
    (host.directory / "node_modules/tiny/index.js").write_text("module.exports = 43")
    assert ran(host, "node-runner", stdin=b"console.log(require('tiny'))").stdout == "43\n"
    assert "which tools may only read: npm install lodash" in hint(
        host, "node-runner", "-e", "require('lodash')"
    )


# --- Files


def test_links_that_lead_out(host: Host) -> None:
    outside = host.directory.parent / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("x")
    (host.directory / "inside.txt").write_text("x")
    for name, to in (("relative.txt", "../outside/a.txt"), ("folder", str(outside))):
        (host.directory / name).symlink_to(to)
    (host.directory / "absolute.txt").symlink_to(host.directory / "inside.txt")
    (host.directory / "fine.txt").symlink_to("inside.txt")
    out = ", which the tool does not see: put the file itself there, or mount its folder (`volumes`)"
    assert (
        hint(host, "ffmpeg", "-i", "relative.txt", "o.webm")
        == f"relative.txt is a link to ../outside/a.txt{out}"
    )
    picture = ("-size", "9x9", "xc:red", "folder/new.png")
    assert hint(host, "imagemagick", *picture) == f"folder is a link to {outside}{out}"
    read = "open('{}')"
    assert (
        hint(host, "python-runner", "-c", read.format("folder/a.txt"))
        == f"folder is a link to {outside}{out}"
    )
    assert hint(host, "python-runner", stdin=read.format("relative.txt").encode()).startswith(
        "relative.txt is a link"
    )
    assert hint(host, "python-runner", "absolute.txt").endswith("write inside.txt, or make the link relative")
    assert ran(host, "python-runner", "-c", read.format("fine.txt")).ok
    assert hint(host, "python-runner", "-c", read.format("nothing.txt")) == ""


def test_a_path_of_the_host_in_a_script(host: Host) -> None:
    script = f"open('{host.directory}/data/a.csv')"
    wanted = f"the tool sees {host.directory} as /workdir: write data/a.csv"
    assert hint(host, "python-runner", "-c", script) == wanted
    assert hint(host, "python-runner", stdin=script.encode()) == wanted


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else(host: Host) -> None:
    (host.directory / "theirs").mkdir(mode=0o755)
    os.chown(host.directory / "theirs", 12345, 54321)
    said = hint(host, "python-runner", "-c", "open('theirs/x', 'w')")
    assert said.startswith("theirs belongs to the user 12345, and the tool runs as root without root's right")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_a_supplementary_group(host: Host) -> None:
    """Of a person who is in it; the groups of the notebook's directory itself are another matter."""
    host.directory.chmod(0o755)
    (host.directory / "team").mkdir()
    os.chown(host.directory / "team", 0, 54321)
    (host.directory / "team").chmod(0o2770)
    member = dataclasses.replace(host, uid=12345, gid=12345, user="member", groups=(12345, 54321))
    said = hint(member, "python-runner", "-c", "open('team/x', 'w')")
    assert said == "team is yours through the group 54321, which the tool is not in"
    stranger = dataclasses.replace(member, groups=(12345,))
    assert hint(stranger, "python-runner", "-c", "open('team/x', 'w')") == ""


# --- A program that is not executed


def foreign_program(path: Path, machine: int = ARM64) -> None:
    """A program for another processor: this one's `true` with one number changed."""
    data = bytearray(Path("/bin/true").read_bytes())
    struct.pack_into("<H", data, 18, machine)
    path.write_bytes(data)
    path.chmod(0o755)


def scripts_in(folder: Path) -> None:
    for name, text in {
        "crlf.sh": "#!/bin/sh\r\necho hi\r\n",
        "env.sh": "#!/usr/bin/env python3\r\nprint(1)\r\n",
        "lines.sh": "echo hi\r\nnosuch\r\n",
        "fish.sh": "#!/usr/bin/fish\necho hi\n",
        "closed.sh": "#!/bin/sh\n",
        "good.sh": "#!/bin/sh\nnosuch\n",
    }.items():
        (folder / name).write_bytes(text.encode())
        (folder / name).chmod(0o644 if name == "closed.sh" else 0o755)
    program = bytearray(Path("/bin/true").read_bytes())
    at = program.find(b"/lib64/ld-linux-x86-64.so.2")
    assert at > 0
    program[at : at + 7] = b"/nolib/"
    (folder / "musl").write_bytes(program)
    (folder / "musl").chmod(0o755)
    foreign_program(folder / "arm")


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("nosuch", 127, "the command nosuch is not in the image"),
        ("/usr/bin/nosuch", 127, "the program /usr/bin/nosuch does not exist in the container"),
        ("/workdir/fish.sh", 127, "/workdir/fish.sh is there, but its interpreter /usr/bin/fish is not in the image"),
        ("./fish.sh", 127, "/workdir/fish.sh is there, but its interpreter /usr/bin/fish is not in the image"),
        ("/workdir/crlf.sh", 127, "the first line of /workdir/crlf.sh ends in CRLF, as Windows has it: save"),
        ("/workdir/musl", 127, "/workdir/musl is there, but its loader /nolib/ld-linux-x86-64.so.2 is not"),
        ("/workdir/closed.sh", 126, "/workdir/closed.sh is not executable: chmod +x"),
        ("/workdir", 126, "/workdir is a directory and no program"),
        ("/workdir/arm", 2, "/workdir/arm is a program for linux/arm64, the engine's machine is linux/amd64"),
        ("/workdir/good.sh", 127, "/workdir/good.sh was started; 127 mostly means that a command which it called"),
    ],
)  # fmt: skip
def test_why_a_program_was_not_executed(
    skills: Callable[..., Host], program: str, code: int, said: str
) -> None:
    host = skills(x=entrypoint(program), node=entrypoint(program, "node:20-alpine"))
    scripts_in(host.directory)
    for skill in ("x", "node"):
        result = ran(host, skill, "a")
        assert (result.exit_code, words.hint(result)[: len(said)]) == (code, said)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("-c", "./crlf.sh"), "the first line of crlf.sh ends in CRLF"),
        (("-c", "./env.sh"), "env.sh has line ends of Windows (CRLF): save it with LF"),
        (("lines.sh",), "lines.sh has line ends of Windows (CRLF): save it with LF"),
        (("-c", "./fish.sh"), "fish.sh is there: what is missing is its interpreter /usr/bin/fish"),
        (("-c", "./arm"), "arm is a program for linux/arm64, this machine is linux/amd64"),
        (("-c", "nosuch"), "sh was started; 127 mostly means that a command which it called was not found"),
    ],
)
def test_a_script_that_a_shell_of_the_image_could_not_run(
    skills: Callable[..., Host], call: tuple[str, ...], said: str
) -> None:
    host = skills(x=entrypoint("sh"), node=entrypoint("sh", "node:20-alpine"))
    scripts_in(host.directory)
    for skill in ("x", "node"):
        assert said in hint(host, skill, *call)


@pytest.fixture
def foreign_image(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """An image for arm64 that has a program and nothing else."""
    name = f"skill-magic-test-foreign:{os.getpid()}"
    foreign_program(tmp_path / "prog")
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY prog /prog\nCOPY prog /bin/sh\nCMD ["/prog"]\n')
    command = ["docker", "build", "-q", "--platform", "linux/arm64", "-t", name, str(tmp_path)]
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    yield name
    removed = subprocess.run(["docker", "rmi", "-f", name], capture_output=True, text=True, check=False)
    assert removed.returncode == 0, removed.stderr


def test_an_image_for_another_processor(skills: Callable[..., Host], foreign_image: str) -> None:
    keys = f'image = "{foreign_image}"'
    host = skills(x=keys, asked=f'{keys}\nplatform = "linux/arm64"')
    both = "the image is for linux/arm64, the engine's machine is linux/amd64: "
    for skill, notes in (("x", 1), ("asked", 0)):
        result = ran(host, skill)
        assert words.hint(result).startswith(f"{both}name an image for it, or set up emulation")
        assert [note.startswith(both) for note in result.notes if "arm64" in note] == [True] * notes


def test_an_image_for_this_processor_has_no_note(host: Host) -> None:
    assert not [note for note in ran(host, "python-runner", "-c", "1").notes if "linux/" in note]


# --- Shared memory


def test_shared_memory(skills: Callable[..., Host]) -> None:
    host = skills(x=f'{entrypoint("python3")}\nmemory = "512m"\nextra_args = ["--shm-size=256m"]')
    write = "open('/dev/shm/x', 'wb').write(b'x' * (100 << 20))"
    mapped = (
        "import mmap, os; f = os.open('/dev/shm/x', os.O_RDWR | os.O_CREAT); os.ftruncate(f, 100 << 20); "
        "mmap.mmap(f, 0).write(b'x' * (100 << 20))"
    )
    said = (
        'shared memory (/dev/shm) may be too small: it is 64 MiB; write extra_args = ["--shm-size=256m"] in '
    )
    for script in (write, mapped):
        assert f"{said}a skill of your own" in hint(host, "python-runner", "-c", script)
        assert ran(host, "x", "-c", script).ok  # with what the hint says
