"""The printed ``docker run`` line and the request to the engine make the same container."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skill_magic.command.parse import Request
from skill_magic.engine import Engine
from skill_magic.engine.arguments import create_body
from skill_magic.engine.verify import differences
from skill_magic.host import Host
from skill_magic.manifest.layers import Docker, Skill
from skill_magic.plan.dockerline import docker_run_line
from skill_magic.plan.draft import plan
from skill_magic.spec import ImageFacts, Mount, RunSpec

pytestmark = pytest.mark.engine

PYTHON = "python:3.12-slim"


@pytest.fixture
def facts(engine: Engine) -> ImageFacts:
    told = engine.api.inspect_image(PYTHON)
    config = told["Config"]
    return ImageFacts(
        told["Id"],
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
    )


def planned(host: Host, *args: str, **docker: Any) -> RunSpec:
    (host.directory / 'a "b", c').mkdir(exist_ok=True)
    keys: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in docker.items()
    }
    skill = Skill(
        "t", Docker(image=PYTHON, **keys), "user", host.directory / "skills.toml", given=frozenset(keys)
    )
    return plan(skill, Request("t", args), host)


CASES: dict[str, dict[str, Any]] = {
    "bare": {},
    "every key": {
        "entrypoint": "/usr/bin/env",
        "volumes": ['./a "b", c:/data:ro', "cache:/cache", "/anonymous"],
        "working_dir": "/data/sub dir",
        "environment": ["A=1", "B=two words; $$(rm) 'quoted'", "EMPTY="],
        "memory": "512m",
        "cpus": "0.5",
        "network": "bridge",
        "user": "1000:1000",
        "read_only": True,
    },
    "gpus all": {"gpus": "all"},
    "gpus by name": {"gpus": "device=0,GPU-1"},
    "gpus by number": {"gpus": "2"},
    "image's user": {"user": "image", "entrypoint": "/usr/bin/tini"},
    "limits": {
        "extra_args": [
            "--cap-add=CHOWN", "--cap-add", "NET_RAW", "--cpu-shares=512", "--cpuset-cpus=0",
            "--cpuset-mems=0", "--memory-reservation=64m", "--memory-swap=-1",
            "--memory-swappiness=10", "--oom-score-adj=10",
            "--pids-limit=99", "--shm-size=128m", "--ulimit=nofile=64:128", "--stop-signal=INT",
            "--stop-timeout=3", "-m", "128m",
        ],
    },
    "the rest": {
        "network": "bridge",
        "extra_args": [
            "--tmpfs=/t:exec,size=1m,mode=700", "--dns=1.1.1.1", "--dns-option=ndots:1",
            "--dns-search=example.org",
            "--add-host=a:10.0.0.1", "--expose=80-81", "-p", "127.0.0.1:18080:80", "-l", "a=b c",
            "--sysctl=net.ipv4.tcp_syncookies=0", "--group-add=5", "--ulimit=memlock=-1", "--init=false",
            "--ipc=none", "--domainname=example.org", "--hostname=box",
            "--cpu-period=50000", "--cpu-quota=25000",
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_line_and_request_agree(name: str, host: Host, engine: Engine, facts: ImageFacts) -> None:
    spec = planned(host, "-c", "print('a b')", "--privileged", **CASES[name])
    compare(spec, engine, facts)


def test_masks_agree(host: Host, engine: Engine, facts: ImageFacts) -> None:
    (host.directory / "secret").mkdir()
    spec = planned(host)
    hidden = (
        Mount("mask", "/workdir/secret", read_only=True, ours=True),
        Mount("mask", "/workdir/key", "/dev/null", read_only=True, ours=True),
    )
    compare(RunSpec(**{**vars(spec), "mounts": (*spec.mounts, *hidden)}), engine, facts)


def compare(spec: RunSpec, engine: Engine, facts: ImageFacts) -> None:
    words = shlex.split(docker_run_line(spec, reveal=True, image=facts))
    assert words[:2] == ["docker", "run"]
    options = [word for word in words[2:] if word != "--rm"]
    ours = theirs = None
    try:
        done = subprocess.run(["docker", "create", *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        theirs = done.stdout.strip()
        body = create_body(spec, facts, name="", labels={})
        ours = engine.api.create_container_from_config(body, None, spec.platform)["Id"]
        told = engine.api.inspect_container(ours)
        assert differences(body, told) == []
        assert comparable(engine.api.inspect_container(theirs)) == comparable(told)
    finally:
        for container in (ours, theirs):
            if container:
                engine.api.remove_container(container, v=True)
        for mount in spec.mounts:
            if mount.kind == "volume" and mount.source:
                engine.api.remove_volume(mount.source)


def comparable(told: dict[str, Any]) -> dict[str, Any]:
    """What must be the same: all of HostConfig and Config, but for the two ways to say the same."""
    host, config = dict(told["HostConfig"]), dict(told["Config"])
    host["Mounts"] = sorted(
        (mount["Type"], mount.get("Source") or "", mount["Target"], bool(mount.get("ReadOnly")),
         mount.get("TmpfsOptions"), (mount.get("BindOptions") or {}).get("Propagation", "rprivate"))
        for mount in host.get("Mounts") or ()
    )  # fmt: skip
    host["Ulimits"] = sorted(host["Ulimits"] or (), key=lambda limit: str(limit["Name"]))
    host["SecurityOpt"] = sorted(host["SecurityOpt"] or ())
    host["DeviceRequests"] = [
        {key: value for key, value in request.items() if value} for request in host["DeviceRequests"] or ()
    ]
    config["Env"] = sorted(config["Env"])  # the command's own order is that of a Go map
    del config["Image"]  # a name there, an id here
    found = {
        **{f"HostConfig.{k}": v for k, v in host.items()},
        **{f"Config.{k}": v for k, v in config.items()},
    }
    return {key: value for key, value in found.items() if value}


def test_the_line_runs(host: Host, engine: Engine, go: Callable[..., Any], tmp_path: Path) -> None:
    spec = planned(
        host, "-c", "import os, sys; print(os.getcwd(), os.environ['A'], sys.argv[1:])", "it's", "a\nb",
        entrypoint="python3", environment=["A=x y"], read_only=True,
    )  # fmt: skip
    done = subprocess.run(
        ["sh", "-c", docker_run_line(spec, reveal=True)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("/workdir x y [\"it's\", 'a\\nb']\n", 0), done.stderr


def test_what_the_line_promises_holds_inside(host: Host) -> None:
    script = (
        "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; ulimit -c; cat /proc/1/comm; "
        "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; ls /sys/class/net; hostname"
    )
    spec = planned(host, "-c", script, entrypoint="/bin/sh")
    done = subprocess.run(["sh", "-c", docker_run_line(spec)], capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert found[:6] == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]
    assert found[6:] == ["0", "docker-init", "1024", "lo", "skill"]


def test_the_json_of_the_request_is_json(host: Host, facts: ImageFacts) -> None:
    body = create_body(planned(host, "x"), facts, name="n", labels={"a": "b"})
    assert json.loads(json.dumps(body)) == body
