"""RunSpec → the ``docker run`` line. That it makes the same container is seen on the engine."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from plan_world import plan_of

from skill_magic.flags.parse import parse
from skill_magic.flags.table import OPTIONS
from skill_magic.plan.dockerline import docker_run_line
from skill_magic.spec import EnvVar, ImageFacts, Limits, Mount, RunSpec, Ulimit, Wish

SPEC = RunSpec(
    "t", "debian:12", args=("-i", "in put.mp4"), user="1000:1000", working_dir="/workdir",
    mounts=(Mount("bind", "/workdir", "/home/u/my project"),),
    limits=Limits(memory=1 << 30, nano_cpus=1_500_000_000, ulimits=(Ulimit("core", 0, 0),)),
)  # fmt: skip


def test_the_whole_line() -> None:
    assert docker_run_line(SPEC) == (
        "docker run --rm --network none --hostname skill --user 1000:1000 --workdir /workdir --cap-drop ALL "
        "--security-opt no-new-privileges --ipc private --cgroupns private --log-driver none "
        "--no-healthcheck --init --pids-limit 1024 --memory 1073741824 --memory-swap 1073741824 --cpus 1.5 "
        "--ulimit core=0:0 "
        "--mount 'type=bind,source=/home/u/my project,target=/workdir' debian:12 -i 'in put.mp4'"
    )


def test_secrets_are_hidden_unless_asked_for() -> None:
    spec = replace(
        SPEC,
        args=("--password", "hunter22"),
        environment=(
            EnvVar("API_KEY", "hunter22"),
            EnvVar("FROM_HOST", "value-of-host", names=("SOMETHING",)),
            EnvVar("URL", "postgres://u:pw@db/x"),
            EnvVar("PLAIN", "shown"),
            EnvVar("HOME", "/tmp", ours=True),
        ),
    )
    line = docker_run_line(spec)
    for secret in ("hunter22", "value-of-host", "pw@"):
        assert secret not in line
        assert secret in docker_run_line(spec, reveal=True)
    assert "--env 'API_KEY=***'" in line
    assert "--env PLAIN=shown" in line
    assert "--env HOME=/tmp" in line


def test_a_path_made_of_a_secret_is_hidden() -> None:
    spec = replace(SPEC, mounts=(Mount("bind", "/x", "/data/s3cret", names=("MY_TOKEN",)),))
    assert "s3cret" not in docker_run_line(spec)
    assert "s3cret" in docker_run_line(spec, reveal=True)


def test_csv_of_a_mount() -> None:
    spec = replace(SPEC, mounts=(Mount("bind", "/x", '/a,"b"', read_only=True),))
    words = shlex.split(docker_run_line(spec))
    assert 'type=bind,"source=/a,""b""",target=/x,readonly' in words


def test_an_init_of_the_image() -> None:
    assert "--init" not in docker_run_line(SPEC, image=ImageFacts("i", entrypoint=("/init",))).split()
    assert "--init" in docker_run_line(SPEC).split()


def test_granted_options_are_in_it() -> None:
    wishes = (
        Wish("publish-all", "true", "x"),
        Wish("device", "/dev/dri/renderD128", "x"),
        Wish("memory-swap", "-1", "x"),
    )
    words = shlex.split(docker_run_line(replace(SPEC, wishes=wishes)))
    assert "--publish-all" in words
    assert "--device=/dev/dri/renderD128" in words
    assert words[words.index("--memory-swap") + 1] == "-1"
    assert words.count("--memory-swap") == 1


def test_kept_containers_and_stdin() -> None:
    words = docker_run_line(replace(SPEC, remove=False, stdin=True, pull="never")).split()
    assert "--rm" not in words
    assert "-i" in words
    assert words[words.index("--pull") + 1] == "never"


def test_only_options_of_docker_stand_before_the_image(tmp_path: Path) -> None:
    spec = plan_of(
        tmp_path, "--tmpfs=/t", "--cap-add=CHOWN", "--dns=1.1.1.1", "--sysctl=net.ipv4.tcp_syncookies=0",
        "-p", "80", "--label=a=b", "--ulimit=nofile=9", "--stop-signal=INT", "--stop-timeout=1",
        "--expose=80", "--ipc=none", "--add-host=a:10.0.0.1", "--shm-size=1m", "--oom-score-adj=1",
        "--storage-opt=size=1g", "--cpu-shares=2",
        gpus="0,1", platform="linux/amd64", entrypoint="x", read_only=True, environment=["A=1"],
    ).spec  # fmt: skip
    words = shlex.split(docker_run_line(spec))
    before = words[2 : words.index("debian:12")]
    read = parse(before)
    assert read.faults == ()
    assert {flag.option for flag in read.flags} <= set(OPTIONS)


@given(st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))))
def test_arguments_survive_the_shell(args: list[str]) -> None:
    line = docker_run_line(replace(SPEC, args=tuple(args)), reveal=True)
    words = shlex.split(line)
    assert words[words.index("debian:12") + 1 :] == args
