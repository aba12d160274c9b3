"""The world that policy_fixture.json describes, for real: a root directory of its own, in it an ordinary
user.

Run as a program (``corpus_world.py ROOT FIXTURE COMMAND...``) it builds the tree under ROOT, enters it in a
mount namespace of its own and becomes uid 1000 there, then runs COMMAND, which finds this Python, its
packages and this repository at their usual places. As root it drops to uid 1000; otherwise a user namespace
stands in for root, and a second one shows the caller as uid 1000. Nothing outside ROOT is changed.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE, _SLAVE = 1, 32, 4096, 16384, 1 << 18, 1 << 19

REPOSITORY = Path(__file__).resolve().parents[2]

#: Directories of any Linux system, so that a path below them may exist or not, but never for want of the
#: parent.
SYSTEM = (
    "bin boot dev etc etc/ssl home lib media mnt opt proc root run run/user sbin srv sys tmp usr "
    "usr/local/bin var var/lib"
)


def build(root: Path, fixture: dict[str, Any]) -> None:
    """Make the tree: system directories, then the fixture's ``fs`` (``dir``, ``file``, ``-> target``)."""
    root.chmod(0o755)
    for name in SYSTEM.split():
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nu:x:1000:\n")
    (root / "etc/shadow").touch()
    for name, kind in fixture["fs"].items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "dir":
            path.mkdir(exist_ok=True)
        elif kind.startswith("-> "):
            path.symlink_to(kind.removeprefix("-> "))
        else:
            path.write_bytes(b"")
    if os.getuid() == 0:
        for directory, names, files in os.walk(root / "home/u"):
            for name in (".", *names, *files):
                os.lchown(os.path.join(directory, name), fixture["uid"], fixture["gid"])


def enter(root: Path, uid: int, gid: int) -> None:
    """Make ROOT this process's root and ``uid`` its user."""
    outer_uid, outer_gid = os.getuid(), os.getgid()
    _unshare(_NEWNS if outer_uid == 0 else _NEWNS | _NEWUSER)
    if outer_uid != 0:
        _map(0, outer_uid, 0, outer_gid)
    # Nothing that is mounted from here on is seen outside.
    _mount("none", "/", _REC | (_PRIVATE if outer_uid == 0 else _SLAVE))
    _mount(str(root), str(root), _BIND | _REC)
    for path in _kept():
        target = root / path.relative_to("/")
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        _mount(str(path), str(target), _BIND | _REC)
    old = root / ".old"
    old.mkdir(exist_ok=True)
    if _LIBC.syscall(_pivot_root_number(), os.fsencode(root), os.fsencode(old)) != 0:
        raise _error("pivot_root")
    os.chdir("/")
    if outer_uid == 0:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    else:
        _unshare(_NEWUSER)
        _map(uid, 0, gid, 0)


def _kept() -> list[Path]:
    """What Python needs, where it is. The system's libraries come from the host; the world has its own /etc
    and /home."""
    wanted = {
        Path("/proc"),
        Path("/dev/null"),
        Path("/dev/urandom"),
        Path("/lib"),
        Path("/lib64"),
        Path("/usr"),
    }
    wanted |= {
        Path(sys.prefix),
        Path(sys.base_prefix),
        REPOSITORY / "skill_magic",
        REPOSITORY / "tests/corpus",
    }
    wanted |= {Path(os.path.realpath(sys.executable)).parent.parent}
    chosen = [path for path in wanted if path.exists() and not any(other in path.parents for other in wanted)]
    return sorted(chosen)


def _unshare(flags: int) -> None:
    if _LIBC.unshare(flags) != 0:
        raise _error("unshare")


def _mount(source: str, target: str, flags: int) -> None:
    if _LIBC.mount(os.fsencode(source), os.fsencode(target), None, flags, None) != 0:
        raise _error(f"mount {source} on {target}")


def _map(uid: int, outer_uid: int, gid: int, outer_gid: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def _pivot_root_number() -> int:
    numbers = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
    return numbers[os.uname().machine]


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def main(root: str, fixture: str, *command: str) -> None:
    """Build, enter, and become COMMAND."""
    world = json.loads(Path(fixture).read_text())
    os.umask(0o022)
    build(Path(root), world)
    enter(Path(root), world["uid"], world["gid"])
    os.chdir(world["cwd"])
    environment = {**world["env"], "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    os.execve(command[0], list(command), environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
