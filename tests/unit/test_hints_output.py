"""Hints from what a failed tool said: each only where its signs are there."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hints_world import said
from plan_world import make_host

from skill_magic.events import Finished, State
from skill_magic.output import saved
from skill_magic.spec import EnvVar, Limits, RunSpec, Wish
from skill_magic.views import hints_output

RECORDED = Path(__file__).parents[1] / "recorded" / "failures"
ALIAS = Wish("add-host", "host.docker.internal:host-gateway", "extra_args[0]")
INSIDE = "localhost is the container itself: this machine is host.docker.internal"
LISTEN = "host.docker.internal was reached and nothing listens there"


# --- The network

PSQL = 'psql: error: connection to server at "{}" ({}), port 5432 failed: Connection refused\n\tIs the server running?'
NODE = "TypeError: fetch failed\n  [cause]: Error: connect ECONNREFUSED {}\n      at x"
PYTHON = (
    'Traceback (most recent call last):\n  File "<stdin>", line 1\n'
    "urllib.error.URLError: <urlopen error [Errno 111] Connection refused>"
)
NO_IPV6 = PYTHON.replace("111] Connection refused", "99] Cannot assign requested address")


@pytest.mark.parametrize(
    ("stderr", "args", "stdin"),
    [
        (PSQL.format("localhost", "127.0.0.1"), (), None),
        (PSQL.format("localhost", "::1"), (), None),
        ("Could not connect to Redis at 127.0.0.1:6379: Connection refused", ("PING",), None),
        (NODE.format("127.0.0.1:8000"), (), None),
        (NODE.format("::1:8000"), (), None),
        ("curl: (7) Failed to connect to localhost port 8000 after 0 ms: Couldn't connect to server", (), None),
        (PYTHON, ("-c", "urlopen('http://localhost:8000/x')"), None),
        (NO_IPV6, ("-c", "urlopen('http://localhost:8000/x')"), None),
        (PYTHON, (), b"urlopen('http://127.0.0.1:8000')"),
        (PYTHON.replace("<stdin>\", line 1", "a.py\", line 1\n    urlopen('http://localhost')"), ("a.py",), None),
        ("dial tcp 127.0.0.1:80: connect: connection refused", (), None),
        ("ERROR 2003 (HY000): Can't connect to MySQL server on '127.0.0.1:3306' (111)", (), None),
    ],
)  # fmt: skip
def test_localhost_is_the_container(
    tmp_path: Path, stderr: str, args: tuple[str, ...], stdin: object
) -> None:
    assert said(tmp_path, stderr, *args, stdin=stdin, wishes=(ALIAS,)) == [INSIDE]


@pytest.mark.parametrize(
    ("stderr", "args", "stdin"),
    [
        (PSQL.format("db.example.com", "10.0.0.5"), (), None),
        (PSQL.format("db", "172.18.0.5"), ("-c", "select 'localhost'"), None),
        (NODE.format("10.0.0.5:8000"), ("localhost",), None),
        (PYTHON, (), None),
        (PYTHON, ("-c", "urlopen('http://example.com')"), b"print('local host')"),
        ("ValueError: localhost is not allowed", ("localhost",), None),
        ("listening on 127.0.0.1:8000\nKeyError: 'x'", (), None),
        ('psql: error: connection to server at "127.0.0.1" failed: FATAL:  database "x" does not exist', (), None),
        ("Could not connect to Redis at cache.example.com:6379: Connection refused", (), None),
        ("Could not connect to Redis at localhost.example.com:6379: Connection refused", (), None),
        ("connection to std::1 refused", (), None),
        ("error: permission denied for localhost", (), None),
        ("", ("localhost",), None),
    ],
)  # fmt: skip
def test_another_refusal_is_not_about_localhost(
    tmp_path: Path, stderr: str, args: tuple[str, ...], stdin: object
) -> None:
    assert said(tmp_path, stderr, *args, stdin=stdin, wishes=(ALIAS,)) == []


def test_a_variable_that_names_localhost_is_named(tmp_path: Path) -> None:
    environment = (EnvVar("PGHOST", "localhost", ("PGHOST",)),)
    refused = PSQL.format("localhost", "127.0.0.1")
    assert said(tmp_path, refused, environment=environment, wishes=(ALIAS,)) == [
        "localhost (PGHOST) is the container itself: write PGHOST=host.docker.internal for this machine"
    ]
    secret = (EnvVar("DB_PASSWORD", "localhost"),)
    assert said(tmp_path, refused, environment=secret, wishes=(ALIAS,)) == [INSIDE]


def test_input_from_a_pipe_may_speak_of_localhost(tmp_path: Path) -> None:
    with Path(os.devnull).open("rb") as pipe:
        (hint,) = said(tmp_path, PYTHON, stdin=pipe, wishes=(ALIAS,))
    assert hint.startswith("if it was localhost: that is the container itself, ")


@pytest.mark.parametrize(
    ("origin", "end"),
    [
        ("bundled", "in a skill of your own"),
        ("user", "in [skills.tool.docker]"),
        ("project", "in [skills.tool.docker] and allow it: skill trust tool"),
    ],
)
def test_a_skill_without_the_name_is_told_how_to_get_it(tmp_path: Path, origin: str, end: str) -> None:
    (hint,) = said(tmp_path, PSQL.format("localhost", "127.0.0.1"), origin=origin)
    option = 'extra_args = ["--add-host=host.docker.internal:host-gateway"]'
    assert hint == f"{INSIDE} once you write {option} {end}"


@pytest.mark.parametrize(
    "stderr",
    [
        'psql: error: connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: No such file or directory',
        "ERROR 2002 (HY000): Can't connect to local MySQL server through socket '/run/mysqld/mysqld.sock' (2)",
    ],
)
def test_no_server_was_named(tmp_path: Path, stderr: str) -> None:
    (hint,) = said(tmp_path, stderr, wishes=(ALIAS,))
    assert (
        hint
        == "no server was named, and there is none in the container: this machine is host.docker.internal"
    )


@pytest.mark.parametrize(
    ("stderr", "args"),
    [
        (PSQL.format("host.docker.internal", "172.17.0.1"), ("-h", "host.docker.internal")),
        (NODE.format("172.17.0.1:8000"), ("-e", "fetch('http://host.docker.internal:8000')")),
        ("Could not connect to Redis at host.docker.internal:6379: Connection refused", ()),
    ],
)
def test_a_server_that_listens_on_127_0_0_1_alone(tmp_path: Path, stderr: str, args: tuple[str, ...]) -> None:
    (hint,) = said(tmp_path, stderr, *args, wishes=(ALIAS,))
    assert hint.startswith(LISTEN)


def test_the_name_where_a_skill_does_not_have_it(tmp_path: Path) -> None:
    unknown = 'psql: error: could not translate host name "host.docker.internal" to address: Name or service not known'
    (hint,) = said(tmp_path, unknown)
    assert hint.startswith("host.docker.internal is no name in this container: write extra_args = ")
    assert said(tmp_path, unknown.replace("host.docker.internal", "db")) == []


UNRESOLVED = [
    "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>",
    "Error: getaddrinfo EAI_AGAIN example.com",
    "curl: (6) Could not resolve host: example.com",
    "wget: bad address 'example.com'",
    "Could not connect to Redis at x.example.com:6379: Name or service not known",
    'psql: error: could not translate host name "db" to address: Name does not resolve',
    "[tcp @ 0x55cd187b9240] Failed to resolve hostname example.com: Temporary failure in name resolution",
    "fatal: unable to access 'https://x.invalid/': Could not resolve host: x.invalid",
    "OSError: [Errno 101] Network is unreachable",
    "dial tcp: lookup example.com: no such host",
    "java.net.UnknownHostException: example.com",
    "magick: no decode delegate for this image format `HTTP' @ error/constitute.c/ReadImage/752.",
]


@pytest.mark.parametrize("stderr", UNRESOLVED)
def test_no_network_in_this_skill(tmp_path: Path, stderr: str) -> None:
    wanted = 'tool has no network: write network = "bridge" in [skills.tool.docker]'
    assert said(tmp_path, stderr, network="none") == [wanted]
    assert said(tmp_path, stderr) == []  # it has one
    assert said(tmp_path, stderr, network="none", state="timeout", code=124) == [wanted]


@pytest.mark.parametrize(
    "stderr",
    [
        "Error: Failed to resolve entry for package x",
        "Failed to resolve import './a' from b.js",
        "KeyError: 'network'",
        "ENOENT: no such file or directory, open 'hosts'",
        "error: host not set",
        "ValueError: unknown hostile word",
        "undefined reference to `resolve_host'",
        "magick: no decode delegate for this image format `MP4' @ error/constitute.c/ReadImage/752.",
        "OSError: [Errno 14] Bad address",
        "could not resolve dependency tree",
        "names that cannot be resolved: x",
        "Connection refused",
    ],
)
def test_what_fails_without_a_network_for_another_reason(tmp_path: Path, stderr: str) -> None:
    assert said(tmp_path, stderr, network="none") == []


@pytest.mark.parametrize(
    ("skill", "image", "entrypoint", "variant"),
    [
        ("python-runner", "python:3.12-slim", "python3", "python-runner-net"),
        ("node-runner", "node:20-alpine", "node", "node-runner-net"),
    ],
)
def test_the_bundled_skill_with_a_network_is_named(
    tmp_path: Path, skill: str, image: str, entrypoint: str, variant: str
) -> None:
    spec = RunSpec(skill, image, entrypoint=entrypoint, origin="bundled", directory=tmp_path)
    end, host = Finished("failed", 1, 1.0, 0.0), make_host(tmp_path)
    output = saved(b"", UNRESOLVED[0].encode())
    assert hints_output.of(spec, end, output, host, ()) == (f"{skill} has no network; {variant} has one",)
    output = saved(b"", NODE.format("127.0.0.1:1").encode())
    assert hints_output.of(spec, end, output, host, ()) == (
        (
            f"localhost is the container itself, and {skill} has no network; "
            f"{variant} reaches this machine as host.docker.internal"
        ),
    )


def test_a_bundled_skill_that_has_no_such_variant(tmp_path: Path) -> None:
    assert said(tmp_path, UNRESOLVED[0], network="none", origin="bundled") == [
        'tool has no network: fetch the file first, or write network = "bridge" in a skill of your own'
    ]


# --- Modules


@pytest.mark.parametrize(
    ("stderr", "what"),
    [
        ("ModuleNotFoundError: No module named 'pandas'", "module pandas"),
        ("ModuleNotFoundError: No module named 'sklearn.svm'", "module sklearn"),
        ("E   ModuleNotFoundError: No module named 'numpyy'", "module numpyy"),
        ("/usr/local/bin/python3: No module named pytest", "module pytest"),
        ("Error: Cannot find module 'lodash/fp'\nRequire stack:", "module lodash"),
        (
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find package '@a/b' imported from /workdir/x.mjs",
            "module @a/b",
        ),
        ("Error in library(ggplot2) : there is no package called ‘ggplot2’", "R package ggplot2"),
        ("ImportError: libGL.so.1: cannot open shared object file: No such file", "library libGL.so.1"),
        ("x: error while loading shared libraries: libz.so.9: cannot open", "library libz.so.9"),
    ],
)
def test_a_module_that_the_image_lacks(tmp_path: Path, stderr: str, what: str) -> None:
    assert said(tmp_path, stderr) == [
        f"debian:12 has no {what}: name an image that has it, as `image` of tool"
    ]


@pytest.mark.parametrize(
    "stderr",
    [
        "ModuleNotFoundError: No module named 'json.x'; 'json' is not a package",
        "/usr/bin/python3: No module named a.__main__; 'a' is a package and cannot be directly executed",
        "ModuleNotFoundError: No module named 'helper'",
        "ModuleNotFoundError: No module named 'tools.text'",
        "Error: Cannot find module '/workdir/nothere.js'",
        "Error: Cannot find module './helper'",
        "Error: Cannot find module 'node:nosuch'",
        "ImportError: cannot import name 'x' from 'y' (/usr/lib/y.py)",
        "print('No module named pandas') failed",
        "ValueError: no module named here",
    ],
)
def test_what_is_no_module_of_an_image(tmp_path: Path, stderr: str) -> None:
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "tools").mkdir()
    assert said(tmp_path, stderr) == []


def test_a_bundled_skill_says_how_to_install(tmp_path: Path) -> None:
    (hint,) = said(tmp_path, "ModuleNotFoundError: No module named 'cv2'", origin="bundled")
    assert "skill run python-runner-net -- -m pip install --target lib opencv-python-headless, and " in hint
    for name in ("_tkinter", "pip"):  # no package has the one, and pip cannot install itself
        (hint,) = said(tmp_path, f"ModuleNotFoundError: No module named '{name}'", origin="bundled")
        assert "install" not in hint
    (hint,) = said(tmp_path, "Error: Cannot find module 'lodash'", origin="bundled")
    assert hint.endswith("; or install it beside the notebook: skill run npm-runner -- install lodash")
    (tmp_path / "node_modules").mkdir()
    (hint,) = said(tmp_path, "Error: Cannot find module 'lodash'", origin="bundled")
    assert hint.endswith("which tools may only read: npm install lodash")


# --- Shared memory


@pytest.mark.parametrize(
    ("stderr", "args", "code"),
    [
        ("", (), 135),
        ("OSError: [Errno 28] No space left on device: '/dev/shm/x'", (), 1),
        ("OSError: [Errno 28] No space left on device", ("-c", "open('/dev/shm/x', 'w')"), 1),
        ('could not resize shared memory segment "/PostgreSQL.1" to 8 bytes: No space left on device', (), 1),
        (("DataLoader worker is killed by signal: Bus error. It is possible that its workers are "
         "out of shared memory."), (), 1),
    ],
)  # fmt: skip
def test_shared_memory_is_small(tmp_path: Path, stderr: str, args: tuple[str, ...], code: int) -> None:
    wanted = (
        'shared memory (/dev/shm) may be too small: it is 64 MiB; write extra_args = ["--shm-size=256m"] in '
    )
    assert said(tmp_path, stderr, *args, code=code, origin="project") == [f"{wanted}[skills.tool.docker]"]
    small = said(tmp_path, stderr, *args, code=code, limits=Limits(memory=64 << 20))
    assert small == [
        "shared memory (/dev/shm) may be too small: it is 64 MiB; more of it takes more `memory`"
    ]


@pytest.mark.parametrize(
    ("stderr", "args", "code"),
    [
        ("OSError: [Errno 28] No space left on device: '/workdir/x'", (), 1),
        ("using shared memory\nValueError: x", (), 1),
        ("KeyError: '/dev/shm'", ("/dev/shm/x",), 1),
        ("Segmentation fault", (), 139),
        ("no space left in the queue of shm messages is fine", (), 0),
    ],
)
def test_what_is_not_about_shared_memory(
    tmp_path: Path, stderr: str, args: tuple[str, ...], code: int
) -> None:
    assert said(tmp_path, stderr, *args, code=code, state="failed" if code else "finished") == []


# --- All of them


@pytest.mark.parametrize("state", ["finished", "stopped", "out-of-memory", "killed", "lost"])
def test_only_of_a_failure(tmp_path: Path, state: State) -> None:
    assert said(tmp_path, UNRESOLVED[0], network="none", state=state) == []


LOOPBACKS = {"curl-refused", "node-refused", "pip-no-network", "psql-no-server", "redis-no-server"}
UNKNOWN = {
    "curl-no-host",
    "git-clone",
    "psql-no-host",
    "python-network",
    "redis-no-host",
    "ssh-no-host",
    "wget-no-host",
}
LACKING = {
    "node-no-module",
    "perl-no-module",
    "pytest-import",
    "python-no-module",
    "r-no-package",
    "ruby-gem",
}


@pytest.mark.parametrize(
    ("network", "wanted"),
    [("bridge", LOOPBACKS | LACKING | {"psql-no-socket"}), ("none", LOOPBACKS | LACKING | UNKNOWN)],
)
def test_of_recorded_failures_only_these_get_a_hint(tmp_path: Path, network: str, wanted: set[str]) -> None:
    """More than 200 real failures: of each not named here every hint would be a false alarm."""
    recorded = tomllib.loads((RECORDED / "failures.toml").read_text("utf-8"))
    assert len(recorded) > 200
    found = set()
    for name, entry in recorded.items():
        out, err = (RECORDED / f"{name}.out.txt", RECORDED / f"{name}.txt")
        stdout, stderr = (path.read_text("utf-8") if path.exists() else "" for path in (out, err))
        args = entry["command"].split()[1:]
        if said(tmp_path, stderr, *args, stdout=stdout, code=entry["exit_code"], network=network):
            found.add(name)
    assert found == wanted


@pytest.mark.parametrize(
    "stderr", [b"\xff\xfe\x00" * 50_000, b"a" * 300_000, b"localhost:" * 40_000, b"./a: " * 50_000]
)
def test_hostile_output_costs_little(tmp_path: Path, stderr: bytes) -> None:
    import time

    began = time.process_time()
    said(tmp_path, stderr, code=127)
    assert time.process_time() - began < 1
