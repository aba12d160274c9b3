"""Live probes: bombs, the network, and what a tool may do inside its container."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

import skill_magic

from .probes import PYTHON, Project, commit, docker, drop, inspect

pytestmark = pytest.mark.engine


# --- bombs ----------------------------------------------------------------------------------------

FORK_BOMB = """
import os, time
made = 0
while True:
    try:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        made += 1
    except BlockingIOError:
        break
print(made, flush=True)
time.sleep(1)
"""


def test_a_fork_bomb_is_contained_and_reported(project: Project) -> None:
    project.write('extra_args = ["--pids-limit", "60"]')
    result = project.run(FORK_BOMB)
    assert 40 < int(result.stdout) < 60
    assert any("60 processes" in note and "--pids-limit" in note for note in result.notes), result.notes


def test_without_a_word_in_the_manifest_there_is_a_limit_too(project: Project) -> None:
    project.write()
    result = project.run("print(open('/sys/fs/cgroup/pids/pids.max').read())\n" if cgroup1() else UNIFIED)
    assert 0 < int(result.stdout) <= 4096
    for value in ("0", "-1", "100000"):
        project.write(f'extra_args = ["--pids-limit={value}"]')
        with pytest.raises(skill_magic.SkillError):
            project.run("print('must not run')")


UNIFIED = "print(open('/sys/fs/cgroup/pids.max').read())"


def cgroup1() -> bool:
    return docker("info", "-f", "{{.CgroupVersion}}") == "1"


@pytest.mark.parametrize("line", ["", "read_only = true", 'extra_args = ["--tmpfs", "/t"]'])
def test_a_memory_bomb_is_reported_with_its_limit(project: Project, line: str) -> None:
    project.write('memory = "64m"', line)
    folder = "/t" if "/t" in line else "/dev/shm"
    code = f"x = []\nwhile True: x.append(bytearray(1 << 20)); open('{folder}/x', 'ab').write(bytes(4096))"
    assert_killed(project.run(code))


def assert_killed(result: skill_magic.RunResult) -> None:
    assert (result.state, result.exit_code) == ("out-of-memory", 137), result.stderr
    error = result.error()
    assert error is not None
    text = "\n".join(error.lines())
    assert "out of memory at 64 MiB" in text
    assert "skills.toml:4" in text


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("", "/dev/shm"),
        ('extra_args = ["--shm-size", "32m"]', "/dev/shm"),
        ('extra_args = ["--tmpfs", "/t:size=32m"]', "/t"),
        ('extra_args = ["--mount", "type=tmpfs,dst=/t,tmpfs-size=32m"]', "/t"),
        ("read_only = true", "/tmp"),
    ],
)
def test_files_in_memory_are_charged_to_the_tool(project: Project, line: str, folder: str) -> None:
    """What fits without them does not with them, and none of them holds more than its size."""
    project.write('memory = "64m"', line)
    fill = f"""
try:
    with open({folder + "/x"!r}, "wb", buffering=0) as file:
        for _ in range(28 if FILL else 0): file.write(bytes(1 << 20))
except OSError as error:
    print(error.strerror, flush=True)
x = bytearray(38 << 20)
print("done")
"""
    assert project.run(f"FILL = False{fill}").stdout == "done\n"
    result = project.run(f"FILL = True{fill}")
    assert_killed(result)


@pytest.mark.parametrize(
    "size", ["--shm-size=1g", "--tmpfs=/t:size=1g", "--mount=type=tmpfs,dst=/t,tmpfs-size=1g"]
)
def test_files_in_memory_beyond_the_limit_are_refused(project: Project, size: str) -> None:
    project.write('memory = "64m"', f'extra_args = ["{size}"]')
    with pytest.raises(skill_magic.SkillError, match="x: "):
        project.run("print('must not run')")


def test_no_swap_and_no_memory_beyond_the_limit_unasked(project: Project) -> None:
    project.write('memory = "64m"', 'extra_args = ["--memory-swap=-1"]')
    with pytest.raises(skill_magic.SkillError):
        project.run("print('must not run')")


# --- the network ----------------------------------------------------------------------------------

REACH = """
import socket, sys
def connect(address, family=socket.AF_INET):
    with socket.socket(family) as probe:
        probe.settimeout(2)
        probe.connect(address)
def datagram(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.sendto(b"x", address)
for host in sys.argv[1:]:
    attempt(host, lambda: connect((host, 8080)))
attempt("metadata", lambda: connect(("169.254.169.254", 80)))
attempt("udp", lambda: datagram(("8.8.8.8", 53)))
attempt("ipv6", lambda: connect(("2001:4860:4860::8888", 53), socket.AF_INET6))
attempt("name", lambda: socket.getaddrinfo("example.org", 80))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close())
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
attempt("interfaces", lambda: ",".join(name for _, name in socket.if_nameindex()))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """(address of a web server on the bridge, the bridge's gateway)."""
    words = ["-u", "-m", "http.server", "8080", "--directory", "/usr/share"]
    container = docker("run", "-d", "--rm", "--network", "bridge", "--init", PYTHON, "python3", *words)
    try:
        network = inspect(container)["NetworkSettings"]["Networks"]["bridge"]
        yield network["IPAddress"], network["Gateway"]
    finally:
        docker("rm", "-f", "-v", container)


def test_network_none_reaches_nothing(project: Project, server: tuple[str, str]) -> None:
    project.write()
    address, gateway = server
    found = project.attempts(REACH.replace("sys.argv[1:]", repr([address, gateway])))
    assert found.pop("interfaces") == "DONE lo"
    assert found.pop("raw") == "EPERM"
    assert found.pop("packet") == "EPERM"
    assert found.pop("name") in {"EAI_AGAIN", "-3", "ETIME", "gaierror"}, found
    assert set(found.values()) <= {"ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"}, found
    assert {address, gateway, "metadata", "udp", "ipv6"} == set(found)


def test_bridge_gets_out(project: Project, server: tuple[str, str]) -> None:
    """The control: the same probe connects where the manifest says bridge."""
    project.write('network = "bridge"')
    project.trust("network:bridge")
    address, _ = server
    wait = f"""
import time
until = time.monotonic() + 10
while time.monotonic() < until:
    try:
        socket.create_connection(({address!r}, 8080), 1).close()
        break
    except OSError:
        time.sleep(0.1)
"""
    code = REACH.replace("def connect", wait + "\ndef connect", 1).replace("sys.argv[1:]", repr([address]))
    found = project.attempts(
        code.split('attempt("metadata"')[0] + 'attempt("raw", lambda: '
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())"
    )
    assert found == {address: "DONE ", "raw": "EPERM"}


@pytest.mark.parametrize(
    "line",
    ['network = "host"', 'network = "container:x"', 'extra_args = ["--net=host"]',
     'extra_args = ["--network", "name=host"]', 'extra_args = ["--pid=host"]', 'extra_args = ["--uts=host"]',
     'extra_args = ["--ipc=host"]', 'extra_args = ["--userns=host"]', 'extra_args = ["--cgroupns=host"]'],
)  # fmt: skip
def test_the_namespaces_of_the_host_are_out_of_reach(project: Project, line: str) -> None:
    project.write(line)
    assert not project.refusal().liftable


# --- capabilities and system calls ----------------------------------------------------------------

SYSCALLS = """
import ctypes, json, os, resource, signal, stat
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    def work():
        if getattr(libc, name)(*args) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    attempt(name, work)
def system(name, number, *args):
    def work():
        if libc.syscall(number, *args) < 0:
            raise OSError(ctypes.get_errno(), "")
    attempt(name, work)
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"):
    print(key, status[key].strip())
open("mine", "w").close()
call("mount", b"none", b"/mnt", b"tmpfs", 0, None)
call("umount", b"/etc/hosts")
call("unshare", 0x10000000)
call("chroot", b"/workdir")
call("sethostname", b"evil", 4)
call("setuid", 12345)
call("setgroups", 1, (ctypes.c_int * 1)(0))
libc.ptrace.argtypes = [ctypes.c_long] * 4
call("reboot", 0)
call("swapon", b"/workdir/mine", 0)
if os.uname().machine == "x86_64":
    calls = {"bpf": 321, "keyctl": 250, "kexec_load": 246, "init_module": 175, "iopl": 172, "add_key": 248,
             "open_by_handle_at": 304, "perf_event_open": 298}
    for name, number in calls.items():
        system(name, number, 0, 0, 0, 0, 0)
attempt("chown", lambda: os.chown("mine", 12345, 12345))
nodes = {"disk": (stat.S_IFBLK, (8, 0)), "vda": (stat.S_IFBLK, (254, 0)), "mem": (stat.S_IFCHR, (1, 1))}
for name, (kind, device) in nodes.items():
    attempt("mknod:" + name, lambda: os.mknod("/tmp/" + name, 0o666 | kind, os.makedev(*device)))
def write(path, text):
    with open(path, "w") as file:
        file.write(text)
attempt("core_pattern", lambda: write("/proc/sys/kernel/core_pattern", "|/workdir/evil"))
attempt("sysctl", lambda: write("/proc/sys/net/ipv4/ip_forward", "1"))
attempt("sysrq", lambda: write("/proc/sysrq-trigger", "h"))
attempt("uevent", lambda: write("/sys/kernel/uevent_helper", "/workdir/evil"))
attempt("cgroup", lambda: os.mkdir("/sys/fs/cgroup/evil"))
attempt("release", lambda: write("/sys/fs/cgroup/memory/release_agent", "/workdir/evil"))
attempt("kcore", lambda: open("/proc/kcore", "rb").read(1) and None)
call("prlimit", 0, resource.RLIMIT_CORE, (ctypes.c_long * 2)(1 << 20, 1 << 20), None)
attempt("init", lambda: os.listdir("/proc/1/root/workdir") != os.listdir("/workdir") and "other root" or None)
print("devices", json.dumps(sorted(os.listdir("/dev"))))
print("processes", len([pid for pid in os.listdir("/proc") if pid.isdigit()]))
"""


@pytest.mark.parametrize("line", ["", 'user = "1234:1234"'], ids=["caller", "somebody"])
def test_nothing_is_left_of_root(project: Project, line: str) -> None:
    project.path.chmod(0o777)
    project.write(line)
    if line:
        project.trust("uid:1234", "gid:1234")
    found = project.attempts(SYSCALLS)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert found.pop(name) == "0000000000000000"
    assert found.pop("NoNewPrivs") == "1"
    assert found.pop("Seccomp") == "2"
    devices = set(json.loads(found.pop("devices")))
    assert devices <= {
        "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
        "tty", "urandom", "zero", "console",
    }  # fmt: skip
    assert int(found.pop("processes")) <= 3
    assert found.pop("init") in {"DONE ", "EACCES"}
    assert found.pop("kcore") in {"DONE ", "EACCES", "EPERM", "ENOENT"}
    allowed = {"EPERM", "EACCES", "EROFS", "ENOSYS", "ENOENT", "EINVAL"}
    assert {name: told for name, told in found.items() if told not in allowed} == {}, found
    strict = (
        "mount",
        "unshare",
        "setuid",
        "setgroups",
        "chroot",
        "chown",
        "mknod:disk",
        "mknod:mem",
        "prlimit",
    )
    assert {found[name] for name in strict} <= {"EPERM"}, found
    assert {found[name] for name in ("core_pattern", "sysctl")} <= {"EROFS", "EACCES"}, found


def test_a_core_dump_is_not_written(project: Project) -> None:
    """The kernel would pipe it to a program of the host's, as root there."""
    project.write()
    result = project.run("import os; print(os.getpid(), flush=True); os.abort()")
    assert result.exit_code == 134
    code = "import os, resource\nprint(resource.getrlimit(resource.RLIMIT_CORE))\npid = os.fork()\n"
    code += "if pid == 0: os.abort()\nprint(os.WCOREDUMP(os.waitpid(pid, 0)[1]))"
    assert project.run(code).stdout == "(0, 0)\nFalse\n"


def test_a_setuid_program_gives_nothing(project: Project) -> None:
    """no-new-privileges: a setuid-root program runs as who calls it, here one in the image."""
    name = commit(run="cp -L /usr/bin/python3 /opt/setuid; chmod 4755 /opt/setuid")
    try:
        project.write('user = "1234:1234"', image=name)
        project.trust("uid:1234", "gid:1234")
        code = """
import os, subprocess
assert os.stat("/opt/setuid").st_mode & 0o4000 and os.stat("/opt/setuid").st_uid == 0
words = ["/opt/setuid", "-c", "import os; print(os.geteuid())"]
print(subprocess.run(words, capture_output=True, text=True).stdout)
"""
        result = project.run(code)
        assert result.stdout.strip() == "1234", result.stderr
    finally:
        drop(name)


def test_a_hostile_program_name_is_no_shell(project: Project) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "skill_magic",
            "python-runner",
            "--",
            "-c",
            "print(1)",
            "; touch /tmp/x",
            "$(id)",
        ],
        cwd=project.path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout == "1\n", done.stderr
