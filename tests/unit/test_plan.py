"""Skill + Request + Host → RunSpec."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from plan_world import GIB, make_host, make_skill, plan_of

from skill_magic.command.parse import Options, Request
from skill_magic.errors import PolicyError, SpecError
from skill_magic.host import EngineAddress
from skill_magic.plan.draft import draft, plan
from skill_magic.spec import Gpus, Mount, Ulimit


def codes(directory: Path, **docker: Any) -> list[str]:
    return [fault.code for fault in plan_of(directory, **docker).faults]


def variables(directory: Path, **docker: Any) -> dict[str, str]:
    return {each.name: each.value for each in plan_of(directory, **docker).spec.environment}


def test_defaults(tmp_path: Path) -> None:
    made = plan_of(tmp_path)
    spec = made.spec
    assert made.faults == ()
    assert [(mount.source, mount.target, mount.read_only) for mount in spec.mounts] == [
        (str(tmp_path), "/workdir", False)
    ]
    assert spec.working_dir == "/workdir"
    assert (spec.network, spec.network_field) == ("none", "")
    assert (spec.user, spec.user_field) == ("1000:1000", "")
    assert spec.limits.memory == 12 * GIB
    assert spec.limits.memory_field == ""
    assert spec.limits.pids == 1024
    assert spec.limits.ulimits == (Ulimit("core", 0, 0),)
    assert spec.limits.nano_cpus is None
    assert (spec.read_only, spec.init, spec.remove, spec.gpus) == (False, None, True, None)
    assert (spec.image, spec.entrypoint, spec.args) == ("debian:12", None, ())
    assert (spec.origin, spec.file, spec.directory) == ("project", tmp_path / "skills.toml", tmp_path)
    assert spec.notes == ("no `memory` is set: limited to 12 GiB, 75% of this machine",)


def test_nothing_is_read_from_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan_of(tmp_path, environment=["A=${TOKEN}", "B=${PWD}"])
    monkeypatch.setenv("TOKEN", "other")
    monkeypatch.setenv("PWD", "/")
    monkeypatch.chdir("/")
    assert plan_of(tmp_path, environment=["A=${TOKEN}", "B=${PWD}"]) == before
    assert {each.name: each.value for each in before.spec.environment}["B"] == str(tmp_path)


# --- arguments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "given", "expected"),
    [
        ((), None, ("-v", "X=1")),
        (("a",), None, ("-v", "X=1", "a")),
        (("a",), (), ("-v", "X=1")),
        (("a",), ("--csv",), ("-v", "X=1", "--csv")),
    ],
)
def test_leading_arguments_stand_before_all_others(
    tmp_path: Path, command: tuple[str, ...], given: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    skill = dataclasses.replace(make_skill(tmp_path, command=command), leading_args=("-v", "X=1"))
    assert plan(skill, Request("x", given), make_host(tmp_path)).args == expected


def test_the_calls_arguments_take_the_place_of_the_command(tmp_path: Path) -> None:
    skill, host = make_skill(tmp_path, command=["a", "b"]), make_host(tmp_path)
    assert draft(skill, Request("t"), host).spec.args == ("a", "b")
    assert draft(skill, Request("t", ()), host).spec.args == ()
    assert draft(skill, Request("t", ("c", "${HOME}", "")), host).spec.args == ("c", "${HOME}", "")


@pytest.mark.parametrize(
    ("word", "code"),
    [("x" * 131072, "argument-too-long"), ("é" * 65536, "argument-too-long"), ("a\0b", "control-character"),
     ("\udcff", "not-utf-8")],
)  # fmt: skip
def test_an_argument_no_program_can_receive(tmp_path: Path, word: str, code: str) -> None:
    made = draft(make_skill(tmp_path), Request("t", ("ok", word)), make_host(tmp_path))
    assert [(fault.code, fault.field, fault.kind) for fault in made.faults] == [(code, "args[1]", "invalid")]
    assert len(made.faults[0].value) <= 80
    assert made.faults[0].file is None


def test_an_argument_as_long_as_linux_takes(tmp_path: Path) -> None:
    word = "x" * 131071
    assert draft(make_skill(tmp_path), Request("t", (word,)), make_host(tmp_path)).faults == ()


# --- mounts and the working directory --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volumes", "mounted", "working_dir"),
    [
        ([], ["/workdir"], "/workdir"),
        (["./data:/data"], ["/workdir", "/data"], "/workdir"),
        (["./data:/workdir/data"], ["/workdir", "/workdir/data"], "/workdir"),
        (["./data:/workdir"], ["/workdir"], "/workdir"),
        ([".:/workdir:ro"], ["/workdir"], "/workdir"),
        (["${PWD}:/w"], ["/w"], "/w"),
        (["${PWD}:/w:ro", "./data:/workdir"], ["/w", "/workdir"], "/workdir"),
        (["cache:/workdir"], ["/workdir"], "/workdir"),
        (["/cache"], ["/workdir", "/cache"], "/workdir"),
    ],
)
def test_where_the_notebooks_directory_goes(
    tmp_path: Path, volumes: list[str], mounted: list[str], working_dir: str
) -> None:
    (tmp_path / "data").mkdir()
    spec = plan_of(tmp_path, volumes=volumes).spec
    assert [mount.target for mount in spec.mounts] == mounted
    assert spec.working_dir == working_dir


def test_the_manifests_working_directory(tmp_path: Path) -> None:
    spec = plan_of(tmp_path, working_dir="/a/./b//../c").spec
    assert spec.working_dir == "/a/c"
    assert [mount.target for mount in spec.mounts] == ["/workdir"]
    assert plan_of(tmp_path, working_dir="/w/../proc/self/fd/8").spec.working_dir == "/proc/self/fd/8"


def test_two_mounts_at_one_place(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    made = plan_of(tmp_path, volumes=["${PWD}:/w", "${PWD}/data:/w/"], lines={"volumes[1]": 7})
    (fault,) = made.faults
    assert (fault.code, fault.field, fault.kind) == ("mount-duplicate", "volumes[1]", "invalid")
    assert (fault.file, fault.line) == (tmp_path / "skills.toml", 7)


def test_a_bad_volume_does_not_hide_the_others(tmp_path: Path) -> None:
    made = plan_of(tmp_path, volumes=["${NOPE}:/x", "/:/host", "rel/path:/y"])
    assert [fault.field for fault in made.faults] == ["volumes[0]", "volumes[2]"]
    assert "/" in [mount.source for mount in made.spec.mounts]


# --- environment -----------------------------------------------------------------------------------------


def test_environment(tmp_path: Path) -> None:
    made = plan_of(tmp_path, environment=["A=b=c", "EMPTY=", "T=${TOKEN}", "D=${NOPE:-x y}", "P=1$$"])
    found = {each.name: (each.value, each.names) for each in made.spec.environment if not each.ours}
    assert found == {
        "A": ("b=c", ()),
        "EMPTY": ("", ()),
        "T": ("s3cret", ("TOKEN",)),
        "D": ("x y", ()),
        "P": ("1$", ()),
    }
    assert "s3cret" not in repr(made.spec)


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ("KEY", "environment-invalid"),
        ("=x", "environment-invalid"),
        ("A B=1", "environment-invalid"),
        ("1A=1", "environment-invalid"),
        ("É=1", "environment-invalid"),
        ("${X}=1", "environment-invalid"),
        ("A\nB=2", "environment-invalid"),
        ("A=\0", "control-character"),
        ("A=1\nB=\0", "control-character"),
        ("A=\x1b[31m", "control-character"),
        ("A=1\n\x7f", "control-character"),
        ("A=${NOPE}", "variable"),
        ("A=${NOPE:?set NOPE first}", "variable"),
        ("A=${TOKEN", "variable"),
        ("A=$TOKEN", "variable"),
        ("A=$(id)", "variable"),
        ("A=${TOKEN:+x}", "variable"),
        ("A=" + "x" * 131072, "argument-too-long"),
    ],
)
def test_a_variable_without_meaning(tmp_path: Path, item: str, code: str) -> None:
    made = plan_of(tmp_path, environment=["OK=1", item])
    assert [(fault.code, fault.field, fault.kind) for fault in made.faults] == [
        (code, "environment[1]", "invalid")
    ]
    assert made.spec.environment[0].value == "1"


def test_a_variables_own_message(tmp_path: Path) -> None:
    (fault,) = plan_of(tmp_path, environment=["A=${NOPE:?set NOPE first}"]).faults
    assert "et NOPE first" in fault.reason


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQ/IBADANBgkqhkiG9w0==\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "value", [PEM, PEM.replace("\n", "\r\n"), "1\nB=2", "\n", "a\tb", "\u2028", '{"a":\n1}']
)
def test_a_value_over_several_lines_is_the_engines_word_for_word(tmp_path: Path, value: str) -> None:
    host = make_host(tmp_path, environment={"X": value})
    for made in (
        plan_of(tmp_path, host=host, environment=["A=${X}"]),
        plan_of(tmp_path, environment=[f"A={value}"]),
        plan_of(tmp_path, "-e", f"A={value}"),
        plan_of(tmp_path, host=host, environment=[f"A={value}${{X}}"]),
    ):
        assert made.faults == ()
        assert made.spec.environment[0].value in (value, value * 2)


def test_what_is_refused_of_a_value_over_lines_shows_none_of_it(tmp_path: Path) -> None:
    (fault,) = plan_of(tmp_path, environment=[f"A={PEM}\0"]).faults
    assert fault.code == "control-character"
    assert fault.value == "A=…"
    assert "MIIE" not in str(fault)
    assert (
        fault.fix == "Take it out, or put the value in a file of the notebook's directory and name that file."
    )


def test_the_same_variable_twice(tmp_path: Path) -> None:
    assert codes(tmp_path, environment=["A=1", "A=2"]) == ["environment-duplicate"]


def test_a_secret_is_not_in_the_fault(tmp_path: Path) -> None:
    faults = plan_of(tmp_path, environment=["API_KEY=hunter2\n"]).faults
    assert "hunter2" not in str(faults)


def test_a_home_the_caller_can_write(tmp_path: Path) -> None:
    found = variables(tmp_path)
    assert (found["HOME"], found["XDG_CACHE_HOME"]) == ("/tmp", "/tmp/.cache")
    assert variables(tmp_path, environment=["HOME=/data"])["HOME"] == "/data"
    assert "HOME" not in variables(tmp_path, user="image")


def test_gpus_are_hidden_unless_asked_for(tmp_path: Path) -> None:
    assert variables(tmp_path)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_VISIBLE_DEVICES" not in variables(tmp_path, gpus="all")


# --- user ------------------------------------------------------------------------------------------------


def test_user(tmp_path: Path) -> None:
    assert plan_of(tmp_path, user="1001:1001").spec.user == "1001:1001"
    assert plan_of(tmp_path, user="nobody").spec.user == "nobody"
    # A bare number would get its group from the image, which is root's where it does not know the number.
    assert plan_of(tmp_path, user="1234").spec.user == "1234:1000"
    assert plan_of(tmp_path, "-u", "1234").spec.user == "1234:1000"
    assert plan_of(tmp_path, user="01234").spec.user == "01234:1000"
    # Root's group, too: an image may give root another one, and further groups.
    assert plan_of(tmp_path, user="0").spec.user == "0:0"
    assert plan_of(tmp_path, user="000").spec.user == "000:0"
    assert plan_of(tmp_path, user="image").spec.user is None
    assert plan_of(tmp_path, user="0").spec.user_field == "user"
    assert plan_of(tmp_path, "--user", "7:7").spec.user_field == "extra_args[0]"


def test_the_caller_under_a_rootless_engine(tmp_path: Path) -> None:
    engine = EngineAddress("unix:///run/user/1000/docker.sock", "rootless socket")
    assert plan_of(tmp_path, host=make_host(tmp_path, engine=engine)).spec.user == "0:0"
    assert plan_of(tmp_path, host=make_host(tmp_path, engine=None)).spec.user == "1000:1000"


@pytest.mark.parametrize("user", ["0x0", "1:2:3", " 0", "a\nb", "", "-1", "4294967296", "٠"])
def test_a_user_without_meaning(tmp_path: Path, user: str) -> None:
    assert codes(tmp_path, user=user) == ["user-invalid"]


# --- limits ----------------------------------------------------------------------------------------------


def test_memory_and_cpus(tmp_path: Path) -> None:
    limits = plan_of(tmp_path, memory="2g", cpus="0.5").spec.limits
    assert (limits.memory, limits.memory_field, limits.nano_cpus) == (2 * GIB, "memory", 500_000_000)


def test_a_limit_above_the_machine_is_lowered_to_it(tmp_path: Path) -> None:
    spec = plan_of(tmp_path, memory="64g", cpus="32").spec
    assert (spec.limits.memory, spec.limits.nano_cpus) == (16 * GIB, 8_000_000_000)
    assert spec.notes == (
        "memory lowered from 64 GiB to 16 GiB, all this machine has",
        "cpus lowered from 32 to 8, all this machine has",
    )


def test_a_machine_whose_memory_is_not_known(tmp_path: Path) -> None:
    unknown = make_host(tmp_path, memory=0)
    assert plan_of(tmp_path, host=unknown).spec.limits.memory is None
    assert plan_of(tmp_path, host=unknown, memory="2g").spec.limits.memory == 2 * GIB


def test_the_call_overrides_the_manifest(tmp_path: Path) -> None:
    options = Options(memory="3g", cpus="2", timeout=5.0, pull="never")
    spec = plan_of(tmp_path, options=options, memory="1g", cpus="1").spec
    assert (spec.limits.memory, spec.limits.memory_field) == (3 * GIB, "--memory")
    assert (spec.limits.nano_cpus, spec.timeout, spec.pull) == (2_000_000_000, 5.0, "never")


def test_a_fault_of_the_call_is_not_placed_in_the_manifest(tmp_path: Path) -> None:
    (fault,) = plan_of(tmp_path, options=Options(memory="lots")).faults
    assert (fault.code, fault.field, fault.file) == ("memory-invalid", "--memory", None)


@pytest.mark.parametrize("memory", ["0", "-1", "1.5g", "1e9", "2 g", "9999999999999g", "5m", "", "１g"])
def test_a_memory_without_meaning(tmp_path: Path, memory: str) -> None:
    assert codes(tmp_path, memory=memory) == ["memory-invalid"]


@pytest.mark.parametrize("cpus", ["0", "nan", "inf", "-1", "1/2", "0.001", "", "1e1", "0.0000000001"])
def test_cpus_without_meaning(tmp_path: Path, cpus: str) -> None:
    assert codes(tmp_path, cpus=cpus) == ["cpus-invalid"]


# --- extra_args beside the keys --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "args"),
    [
        ("memory", "1g", ["-m", "1024m"]),
        ("cpus", "2", ["--cpus", "2.0"]),
        ("network", "none", ["--network", "none"]),
        ("user", "1:1", ["-u", "1:1"]),
        ("platform", "linux/amd64", ["--platform", "linux/amd64"]),
        ("working_dir", "/x", ["-w", "/x/"]),
        ("read_only", True, ["--read-only"]),
    ],
)
def test_the_same_value_twice_is_fine(tmp_path: Path, key: str, value: Any, args: list[str]) -> None:
    assert plan_of(tmp_path, *args, **{key: value}).faults == ()


@pytest.mark.parametrize(
    ("key", "value", "args"),
    [
        ("memory", "1g", ["-m", "2g"]),
        ("cpus", "2", ["--cpus", "1"]),
        ("network", "none", ["--network", "bridge"]),
        ("user", "1:1", ["-u", "2:2"]),
        ("platform", "linux/amd64", ["--platform", "linux/arm64"]),
        ("working_dir", "/x", ["-w", "/y"]),
        ("read_only", True, ["--read-only=false"]),
    ],
)
def test_two_values_contradict(tmp_path: Path, key: str, value: Any, args: list[str]) -> None:
    (fault,) = plan_of(tmp_path, *args, **{key: value}).faults
    assert (fault.code, fault.field) == ("option-conflict", "extra_args[0]")


def test_a_default_contradicts_nothing(tmp_path: Path) -> None:
    made = plan_of(tmp_path, "--network", "bridge")
    assert made.faults == ()
    assert (made.spec.network, made.spec.network_field) == ("bridge", "extra_args[0]")


def test_of_contradicting_values_the_worst_goes_to_the_policy(tmp_path: Path) -> None:
    assert plan_of(tmp_path, "--network", "host", network="none").spec.network == "host"
    assert plan_of(tmp_path, "--network", "none", network="container:x").spec.network == "container:x"
    assert plan_of(tmp_path, "-w", "/sys", working_dir="/x").spec.working_dir == "/sys"
    assert plan_of(tmp_path, "-w", "/x", working_dir="/proc/1").spec.working_dir == "/proc/1"
    assert plan_of(tmp_path, "--read-only=false", read_only=True).spec.read_only


def test_what_has_no_effect_is_noted(tmp_path: Path) -> None:
    notes = plan_of(tmp_path, "--dns", "1.1.1.1", "--health-cmd", "x", memory="1g").spec.notes
    assert any("dns has no effect" in note for note in notes)
    assert any("--health-cmd has no effect" in note for note in notes)
    assert plan_of(tmp_path, "--dns", "1.1.1.1", memory="1g", network="bridge").spec.notes == ()
    (note,) = plan_of(tmp_path, memory="1g", volumes=[".:/workdir:Z"]).spec.notes
    assert "mode Z" in note


# --- the other keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("all", Gpus(-1)),
        ("2", Gpus(2)),
        ("0,1", Gpus(device_ids=("0", "1"))),
        ("device=0", Gpus(device_ids=("0",))),
        ("GPU-8a1b", Gpus(device_ids=("GPU-8a1b",))),
    ],
)
def test_gpus(tmp_path: Path, text: str, gpus: Gpus) -> None:
    assert plan_of(tmp_path, gpus=text).spec.gpus == gpus


@pytest.mark.parametrize("text", ["all,options=x", "../../dev/mem", "-1", "", "0", "driver=x"])
def test_gpus_without_meaning(tmp_path: Path, text: str) -> None:
    made = plan_of(tmp_path, gpus=text)
    assert [fault.code for fault in made.faults] == ["gpus-invalid"]
    assert made.spec.gpus is None


def test_read_only_gets_scratch_space(tmp_path: Path) -> None:
    spec = plan_of(tmp_path, memory="1g", read_only=True).spec
    scratch = [mount for mount in spec.mounts if mount.kind == "tmpfs"]
    assert [(mount.target, mount.size) for mount in scratch] == [("/tmp", GIB // 2), ("/run", 64 << 20)]
    assert all(mount.ours and "exec" in mount.options for mount in scratch)
    own = plan_of(tmp_path, "--tmpfs", "/tmp", memory="1g", read_only=True).spec
    assert [mount.target for mount in own.mounts if mount.ours] == ["/workdir", "/run"]


def test_small_memory_makes_small_scratch_space(tmp_path: Path) -> None:
    spec = plan_of(tmp_path, memory="16m", read_only=True).spec
    assert {mount.size for mount in spec.mounts if mount.kind == "tmpfs"} == {8 << 20}


def test_the_rest(tmp_path: Path) -> None:
    spec = plan_of(tmp_path, entrypoint="sh -c evil", rm=False, platform="linux/arm64").spec
    assert (spec.entrypoint, spec.remove, spec.platform) == ("sh -c evil", False, "linux/arm64")
    skill = dataclasses.replace(make_skill(tmp_path), cell="args")
    made = draft(skill, Request("t", stdin=b""), make_host(tmp_path)).spec
    assert (made.cell, made.stdin) == ("args", True)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("image", "", "image-invalid"),
        ("image", "--privileged", "image-invalid"),
        ("image", "${TOKEN}.evil.io/x", "image-invalid"),
        ("entrypoint", "", "entrypoint-invalid"),
        ("network", "Host", "network-invalid"),
        ("network", "", "network-invalid"),
        ("platform", "linux/amd64 --privileged", "platform-invalid"),
        ("working_dir", "work", "working-dir-invalid"),
    ],
)
def test_keys_without_meaning(tmp_path: Path, key: str, value: str, code: str) -> None:
    assert codes(tmp_path, **{key: value}) == [code]


def test_every_fault_at_once(tmp_path: Path) -> None:
    made = plan_of(
        tmp_path, "--bogus", "--privileged", memory="x", cpus="y", user="1:2:3", volumes=["$X:/a"],
        environment=["K"], working_dir="w", gpus="z",
    )  # fmt: skip
    assert {fault.field for fault in made.faults} == {
        "extra_args[0]", "memory", "cpus", "user", "volumes[0]", "environment[0]", "working_dir", "gpus",
    }  # fmt: skip
    assert [wish.option for wish in made.spec.wishes] == ["privileged"]


def test_faults_know_their_line(tmp_path: Path) -> None:
    made = plan_of(tmp_path, memory="x", environment=["K"], lines={"memory": 4, "environment": 5})
    assert {fault.field: fault.line for fault in made.faults} == {"memory": 4, "environment[0]": 5}


# --- plan() ----------------------------------------------------------------------------------------------


def test_plan_gives_the_spec(tmp_path: Path) -> None:
    skill, host = make_skill(tmp_path), make_host(tmp_path)
    assert plan(skill, Request("t"), host) == draft(skill, Request("t"), host).spec


def test_plan_raises_what_is_wrong(tmp_path: Path) -> None:
    skill = make_skill(tmp_path, memory="x", cpus="y")
    with pytest.raises(SpecError) as caught:
        plan(skill, Request("t"), make_host(tmp_path))
    assert [each.field for each in caught.value.violations] == ["memory", "cpus"]


def test_plan_raises_a_refusal_that_needs_no_policy(tmp_path: Path) -> None:
    option = "type=volume,dst=/x,volume-driver=vieux/sshfs"
    with pytest.raises(PolicyError):
        plan(make_skill(tmp_path, extra_args=["--mount", option]), Request("t"), make_host(tmp_path))


def test_project_mount_is_ours(tmp_path: Path) -> None:
    (mount,) = plan_of(tmp_path).spec.mounts
    assert isinstance(mount, Mount)
    assert mount.ours
    assert mount.identity is not None
