"""The keys of a manifest: every type, every form of a value, and what each bad one gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_magic.findings import Violation
from skill_magic.manifest.file import Layer, read
from skill_magic.manifest.keys import DOCKER
from skill_magic.manifest.layers import Docker, Skill

IMAGE = 'image = "debian:12"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "skills.toml"


def layer(file: Path, text: str) -> Layer:
    file.write_text(text)
    return read(file, "project")


def docker(file: Path, snippet: str) -> Layer:
    """The layer of one skill ``t`` with ``snippet`` in its docker table."""
    image = "" if snippet.startswith("image") else IMAGE
    return layer(file, f"[skills.t.docker]\n{image}{snippet}\n")


def good(file: Path, snippet: str) -> Skill:
    found = docker(file, snippet)
    assert not found.faults
    return found.skills["t"]


def only(found: Layer, name: str = "t") -> Violation:
    assert name not in found.skills
    (violation,) = found.faults[name]
    assert violation.kind == "invalid"
    assert violation.grant is None
    assert violation.file == found.file
    assert violation.reason.endswith(".")
    assert violation.fix.endswith((".", "?")) or "]" in violation.fix
    return violation


# --- good values ------------------------------------------------------------------------------------------


def test_defaults(file: Path) -> None:
    skill = good(file, "")
    assert skill.docker == Docker(image="debian:12")
    assert (skill.docker.network, skill.docker.rm, skill.docker.read_only) == ("none", True, False)
    assert (skill.cell, skill.description, skill.source) == ("stdin", "", "")
    assert skill.given == {"image"}
    assert skill.lines == {"image": 2}


def test_all_keys_with_their_lines(file: Path) -> None:
    text = """\
[skills.t]
source = "docker:python:3.12-slim"
runtime = "docker"
description = "Everything"

[skills.t.docker]
image = "python:3.12-slim"
entrypoint = "/usr/bin/env"
command = ["-c", "print(1)\\nprint(2)"]
volumes = [
  "${PWD}:/workdir",  # first

  "data:/data:ro",
]
working_dir = "/workdir"
environment = ["A=1", "B="]
memory = "512m"
cpus = "0.5"
network = "bridge"
rm = false
user = "1000:1000"
gpus = "all"
read_only = true
platform = "linux/amd64"
extra_args = ["--init"]

[skills.t.notebook]
cell = "args"
"""
    found = layer(file, text)
    assert not found.faults
    skill = found.skills["t"]
    assert skill.docker == Docker(
        image="python:3.12-slim",
        entrypoint="/usr/bin/env",
        command=("-c", "print(1)\nprint(2)"),
        volumes=("${PWD}:/workdir", "data:/data:ro"),
        working_dir="/workdir",
        environment=("A=1", "B="),
        memory="512m",
        cpus="0.5",
        network="bridge",
        rm=False,
        user="1000:1000",
        gpus="all",
        read_only=True,
        platform="linux/amd64",
        extra_args=("--init",),
    )
    assert skill.given == set(DOCKER)
    assert (skill.description, skill.source, skill.cell) == ("Everything", "docker:python:3.12-slim", "args")
    lines = {"image": 7, "entrypoint": 8, "command[1]": 9, "volumes": 10, "volumes[0]": 11, "volumes[1]": 13}
    assert {name: skill.lines[name] for name in lines} == lines
    assert skill.lines["extra_args[0]"] == 25


@pytest.mark.parametrize(
    "form", ["{image = 'debian:12', memory = '1g'}", "{ image = 'debian:12',memory='1g' }"]
)
def test_other_forms_of_the_same(file: Path, form: str) -> None:
    for text in (
        f"skills.t.docker = {form}",
        f"[skills]\nt = {{docker = {form}}}",
        "[skills.t]\ndocker.image = 'debian:12'\ndocker.memory = '1g'",
        "[skills.\"t\"]\n'docker'.image = 'debian:12'\n\"dock\\u0065r\".memory = '1g'",
    ):
        skill = layer(file, text).skills["t"]
        assert skill.docker == Docker(image="debian:12", memory="1g")
        assert set(skill.lines) == {"image", "memory"}


@pytest.mark.parametrize(
    ("snippet", "key", "value"),
    [
        ("cpus = 2", "cpus", "2"),
        ("cpus = 0.5", "cpus", "0.5"),
        ("cpus = 1e-2", "cpus", "0.01"),
        ("cpus = 1e1", "cpus", "10.0"),
        ("cpus = 0x2", "cpus", "2"),
        ('cpus = ".5"', "cpus", ".5"),
        ('cpus = "4"', "cpus", "4"),
        ('cpus = "64"', "cpus", "64"),
        ('memory = "6m"', "memory", "6m"),
        ('memory = "2G"', "memory", "2G"),
        ('memory = "8388608"', "memory", "8388608"),
        ('memory = "8388608b"', "memory", "8388608b"),
        ('memory = "4096g"', "memory", "4096g"),
        ('network = "host"', "network", "host"),
        ('network = "container:db"', "network", "container:db"),
        ('network = "container:"', "network", "container:"),
        ('network = "ns:/proc/1/ns/net"', "network", "ns:/proc/1/ns/net"),
        ('network = "pg_net"', "network", "pg_net"),
        ('network = "ingress"', "network", "ingress"),
        ('user = "0"', "user", "0"),
        ('user = ":0"', "user", ":0"),
        ('user = "root:root"', "user", "root:root"),
        ('user = "image"', "user", "image"),
        ('user = "www-data"', "user", "www-data"),
        ('user = "2147483647"', "user", "2147483647"),
        ('gpus = "2"', "gpus", "2"),
        ('gpus = "0,1"', "gpus", "0,1"),
        ('gpus = "device=0"', "gpus", "device=0"),
        ('gpus = "device=0:1,GPU-3a23c669-1f69"', "gpus", "device=0:1,GPU-3a23c669-1f69"),
        ('gpus = "GPU-3a23c669-1f69"', "gpus", "GPU-3a23c669-1f69"),
        ('gpus = "MIG-GPU-3a23c669-1f69/1/2"', "gpus", "MIG-GPU-3a23c669-1f69/1/2"),
        ('platform = "linux/arm64/v8"', "platform", "linux/arm64/v8"),
        ('entrypoint = "sh -c evil"', "entrypoint", "sh -c evil"),
        ('working_dir = "/w/../proc/self/fd/8"', "working_dir", "/w/../proc/self/fd/8"),
        ("command = []", "command", ()),
        ('environment = ["A=b=c", "B=\\t"]', "environment", ("A=b=c", "B=\t")),
    ],
)
def test_values_that_have_a_meaning(file: Path, snippet: str, key: str, value: object) -> None:
    assert getattr(good(file, snippet).docker, key) == value


# --- bad values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("snippet", "code", "field"),
    [
        # Types, exactly.
        ("image = true", "manifest-type", "image"),
        ('image = ["a"]', "manifest-type", "image"),
        ("entrypoint = ['sh']", "manifest-type", "entrypoint"),
        ('command = "ls -l"', "manifest-type", "command"),
        ("command = [1]", "manifest-type", "command[0]"),
        ('extra_args = "--privileged"', "manifest-type", "extra_args"),
        ('extra_args = [["--privileged"]]', "manifest-type", "extra_args[0]"),
        ("extra_args = [true]", "manifest-type", "extra_args[0]"),
        ("extra_args = {a = 1}", "manifest-type", "extra_args"),
        ('volumes = "${PWD}:/w"', "manifest-type", "volumes"),
        ('volumes = [["/", "/x"]]', "manifest-type", "volumes[0]"),
        ('volumes = [{type = "bind", source = "/", target = "/x"}]', "manifest-type", "volumes[0]"),
        ('environment = {FOO = "bar"}', "manifest-type", "environment"),
        ("environment = [1979-05-27]", "manifest-type", "environment[0]"),
        ("working_dir = 1", "manifest-type", "working_dir"),
        ("memory = 512", "manifest-type", "memory"),
        ("memory = 1.5", "manifest-type", "memory"),
        ("cpus = true", "manifest-type", "cpus"),
        ("cpus = [2]", "manifest-type", "cpus"),
        ("cpus = nan", "manifest-type", "cpus"),
        ("cpus = inf", "manifest-type", "cpus"),
        ("cpus = 1e300", "manifest-type", "cpus"),
        ("cpus = 0x" + "f" * 10_000, "manifest-type", "cpus"),
        ("network = true", "manifest-type", "network"),
        ('network = ["none"]', "manifest-type", "network"),
        ("rm = 1", "manifest-type", "rm"),
        ('rm = "false"', "manifest-type", "rm"),
        ("user = 0", "manifest-type", "user"),
        ("gpus = 1", "manifest-type", "gpus"),
        ("gpus = true", "manifest-type", "gpus"),
        ('read_only = "no"', "manifest-type", "read_only"),
        ("read_only = 0", "manifest-type", "read_only"),
        ("platform = 1979-05-27", "manifest-type", "platform"),
        # entrypoint, command, working_dir
        ('entrypoint = ""', "entrypoint-invalid", "entrypoint"),
        ('entrypoint = "  "', "entrypoint-invalid", "entrypoint"),
        ('entrypoint = "sh\\n"', "control-character", "entrypoint"),
        ('entrypoint = "sh\\u0000"', "control-character", "entrypoint"),
        ('command = ["a\\u0000b"]', "control-character", "command[0]"),
        (f'command = ["x", "{"a" * 131_072}"]', "argument-too-long", "command[1]"),
        ('working_dir = "work"', "working-dir-invalid", "working_dir"),
        ('working_dir = ""', "working-dir-invalid", "working_dir"),
        ('working_dir = "./x"', "working-dir-invalid", "working_dir"),
        ('working_dir = "C:\\\\x"', "working-dir-invalid", "working_dir"),
        ('working_dir = "${PWD}"', "working-dir-invalid", "working_dir"),
        ('working_dir = "/a\\nb"', "control-character", "working_dir"),
        # volumes, environment, extra_args: what can be told from the text alone
        ('volumes = [""]', "volume-invalid", "volumes[0]"),
        ('volumes = ["a:/b", "${PWD}\\u0000:/x"]', "control-character", "volumes[1]"),
        ('volumes = ["a\\n:/x"]', "control-character", "volumes[0]"),
        ('volumes = ["a\\t:/x"]', "control-character", "volumes[0]"),
        ('volumes = ["a\\u007f:/x"]', "control-character", "volumes[0]"),
        ('environment = ["AWS_SECRET_ACCESS_KEY"]', "environment-invalid", "environment[0]"),
        ('environment = [""]', "environment-invalid", "environment[0]"),
        ('environment = ["=x"]', "environment-invalid", "environment[0]"),
        ('environment = ["A B=1"]', "environment-invalid", "environment[0]"),
        ('environment = [" A=1"]', "environment-invalid", "environment[0]"),
        ('environment = ["1A=1"]', "environment-invalid", "environment[0]"),
        ('environment = ["${A}=1"]', "environment-invalid", "environment[0]"),
        ('environment = ["A\\n=1"]', "environment-invalid", "environment[0]"),
        ('environment = ["Ä=1"]', "environment-invalid", "environment[0]"),
        ('environment = ["A=1\\nB=2\\u0000"]', "control-character", "environment[0]"),
        ('environment = ["A=1\\r", "A\\rB=1"]', "environment-invalid", "environment[1]"),
        ('environment = ["A=\\u0000"]', "control-character", "environment[0]"),
        ('environment = ["A=1", "B=1", "A=2"]', "environment-duplicate", "environment[2]"),
        ('extra_args = ["-e", "A=\\u0000"]', "control-character", "extra_args[1]"),
        ("cpus = 0", "cpus-invalid", "cpus"),
        ("cpus = -1", "cpus-invalid", "cpus"),
        ("cpus = 1e-7", "cpus-invalid", "cpus"),
    ],
)
def test_values_without_a_meaning(file: Path, snippet: str, code: str, field: str) -> None:
    violation = only(docker(file, snippet))
    assert (violation.code, violation.field) == (code, field)
    assert violation.line == (2 if field == "image" else 3)
    assert len(violation.value) <= 120


def test_a_variables_value_is_not_shown(file: Path) -> None:
    for snippet in ('environment = ["A=hunter2\\u0000"]', 'environment = ["A=hunter2", "A=hunter2"]',
                    'environment = {A = "hunter2"}', 'environment = ["A B=hunter2"]'):  # fmt: skip
        assert "hunter2" not in str(only(docker(file, snippet)))


# --- keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "suggested"),
    [
        ("netwrok", "Did you mean network?"),
        ("extra-args", "Did you mean extra_args?"),
        ("Image", "Did you mean image?"),
        ("workdir", "Did you mean working_dir?"),
        ("env", "Did you mean environment?"),
        ("mem_limit", "Did you mean memory?"),
        ("volume", "Did you mean volumes?"),
        ("cap_add", "Other options of docker run go into extra_args."),
        ("pull", "Other options of docker run go into extra_args."),
        ("privileged", "Other options of docker run go into extra_args."),
        ("", "Other options of docker run go into extra_args."),
    ],
)
def test_an_unknown_key_gets_a_suggestion(file: Path, key: str, suggested: str) -> None:
    violation = only(docker(file, f'"{key}" = "x"'))
    assert (violation.code, violation.field, violation.line) == ("manifest-unknown-key", key, 3)
    assert violation.fix == suggested


@pytest.mark.parametrize(
    ("text", "code", "field", "line"),
    [
        ('[skills.t]\nruntime = "docker"\n', "docker-missing", "skills.t", 1),
        ('[skills.t]\nsource = "docker:x"\n', "docker-missing", "skills.t", 1),
        ('[skills.t]\nruntime = ""\n', "runtime-unsupported", "runtime", 2),
        ('[skills.t]\nruntime = "Docker"\n', "runtime-unsupported", "runtime", 2),
        ('[skills.t]\nruntime = "podman"\n', "runtime-unsupported", "runtime", 2),
        ('[skills.t]\nruntime = "wasm"\ndocker.image = "x"\n', "runtime-unsupported", "runtime", 2),
        ("[skills.t]\nruntime = 1\ndocker.image = 'x'\n", "manifest-type", "runtime", 2),
        ("[skills.t.docker]\n", "image-missing", "image", 1),
        ("[skills.t]\ndocker = 1\n", "manifest-type", "docker", 2),
        ("[skills.t]\ndocker = [{image = 'x'}]\n", "manifest-type", "docker", 2),
        ("[skills]\nt = 1\n", "manifest-type", "skills.t", 2),
        ("[[skills.t]]\ndocker.image = 'x'\n", "manifest-type", "skills.t", 1),
        ('[skills.t]\ndescription = 1\ndocker.image = "x"', "manifest-type", "description", 2),
        ('[skills.t]\ndescription = "\\u0000"\ndocker.image = "x"', "control-character", "description", 2),
        ('[skills.t]\nprivileged = true\ndocker.image = "x"', "manifest-unknown-key", "privileged", 2),
        ('[skills.t]\ndescripton = "x"\ndocker.image = "x"', "manifest-unknown-key", "descripton", 2),
        ('[skills.t]\npolicy.x = 1\ndocker.image = "x"', "manifest-unknown-key", "policy", 2),
        ('[skills.t]\ntrust = true\ndocker.image = "x"', "manifest-unknown-key", "trust", 2),
        ('[skills.t]\nnotebook = "args"\ndocker.image = "x"', "manifest-type", "notebook", 2),
        ('[skills.t]\nnotebook.cell = "arg"\ndocker.image = "x"', "cell-invalid", "notebook.cell", 2),
        ('[skills.t]\nnotebook.cell = true\ndocker.image = "x"', "cell-invalid", "notebook.cell", 2),
        ('[skills.t]\nnotebook.leading_args = "-e"\ndocker.image = "x"', "manifest-type", "notebook.leading_args", 2),
        ('[skills.t]\nnotebook.leading_args = [1]\ndocker.image = "x"', "manifest-type", "notebook.leading_args[0]", 2),
        ('[skills.t]\ndocker.image = "x"\nnotebook.leading_args = ["\\u0000"]', "control-character",
         "notebook.leading_args[0]", 3),
        ('[skills.t]\nnotebook.cel = "args"\ndocker.image = "x"', "manifest-unknown-key", "notebook.cel", 2),
        ('[skills.t]\nsource = "docker:good:1"\ndocker.image = "evil:1"', "source-differs", "source", 2),
        ('[skills.t]\nsource = "docker:a"\ndocker.image = "b/a"', "source-differs", "source", 2),
    ],
)  # fmt: skip
def test_faults_of_a_skill(file: Path, text: str, code: str, field: str, line: int) -> None:
    violation = only(layer(file, text))
    assert (violation.code, violation.field, violation.line) == (code, field, line)


@pytest.mark.parametrize(
    ("source", "image"),
    [
        ("docker:debian:12", "debian:12"),
        ("docker:python", "python:latest"),
        ("docker:library/python", "docker.io/library/python"),
        ("docker:docker.io/a/b", "a/b:latest"),
        ("docker:localhost:5000/a", "localhost:5000/a:latest"),
        ("./local", "debian:12"),
        ("github:user/repo@v1", "debian:12"),
    ],
)
def test_sources_that_agree_or_say_nothing(file: Path, source: str, image: str) -> None:
    found = layer(file, f'[skills.t]\nsource = "{source}"\n[skills.t.docker]\nimage = "{image}"\n')
    assert found.skills["t"].source == source


def test_a_source_is_offered_where_the_image_is_missing(file: Path) -> None:
    violation = only(layer(file, '[skills.t]\nsource = "docker:a/b:1"\n[skills.t.docker]\n'))
    assert violation.fix == 'Write image = "a/b:1".'


@pytest.mark.parametrize("name", ["run", "list", "report", "stop"])
def test_a_verb_is_no_name(file: Path, name: str) -> None:
    violation = only(layer(file, f'[skills.{name}.docker]\nimage = "x"\n'), name)
    assert (violation.code, violation.line) == ("skill-name", 1)


@pytest.mark.parametrize("name", ["", " ", "-x", ".x", "a b", "a/b", "ä", "a\\nb", "--", "<b>", "a" * 65])
def test_names_that_are_none(file: Path, name: str) -> None:
    found = layer(file, f'[skills."{name}".docker]\nimage = "x"\n')
    assert not found.skills
    assert [violation.code for faults in found.faults.values() for violation in faults] == ["skill-name"]


@pytest.mark.parametrize("name", ["x", "pg-dump", "a.b", "A_1", "7zip", "runner", "Run"])
def test_names(file: Path, name: str) -> None:
    assert name in layer(file, f'[skills."{name}".docker]\nimage = "x"\n').skills


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("[policy]\nallow_privileged = true\n", "manifest-policy", "policy"),
        ('[trust]\nprojects = ["/"]\n', "manifest-policy", "trust"),
        ("policy = 1\n", "manifest-policy", "policy"),
        ("skils = {}\n", "manifest-unknown-key", "skils"),
        ("[tools.x]\n", "manifest-unknown-key", "tools"),
        ("skills = 1\n", "manifest-type", "skills"),
        ("[[skills]]\nx = 1\n", "manifest-type", "skills"),
        ("defaults = 1\n", "manifest-type", "defaults"),
    ],
)
def test_faults_of_the_file_take_all_its_skills(file: Path, text: str, code: str, field: str) -> None:
    found = layer(file, f"{text}")
    (violation,) = found.broken
    assert (violation.code, violation.field, violation.line) == (code, field, 1)
    if not text.startswith(("skills", "[[skills")):
        found = layer(
            file,
            f'{text}\n[skills.t.docker]\nimage = "x"\n'
            if "[" in text
            else f'{text}[skills.t.docker]\nimage = "x"\n',
        )
        assert only(found).code == code


def test_every_fault_at_once(file: Path) -> None:
    found = docker(
        file, 'netwrok = "bridge"\nmemory = "0"\nrm = "no"\nvolumes = ["", "a\\n"]\nenvironment = ["A"]'
    )
    assert [(violation.code, violation.line) for violation in found.faults["t"]] == [
        ("manifest-unknown-key", 3),
        ("memory-invalid", 4),
        ("manifest-type", 5),
        ("volume-invalid", 6),
        ("control-character", 6),
        ("environment-invalid", 7),
    ]


def test_a_manifest_of_the_skill_engine_loads_unchanged(file: Path) -> None:
    found = layer(
        file,
        """
version = "1"

[defaults]
env = { LOG = "info" }
capabilities.network_access = false

[skills.ffmpeg]
source = "docker:linuxserver/ffmpeg:latest"
runtime = "docker"
description = "FFmpeg video/audio processing"
default_instance = "default"

[[skills.ffmpeg.services]]
name = "kubectl-proxy"
optional = true
default_port = 8001

[skills.ffmpeg.docker]
image = "linuxserver/ffmpeg:latest"
entrypoint = "ffmpeg"
volumes = ["${PWD}:/workdir"]
working_dir = "/workdir"
memory = "2g"
cpus = "4"
network = "none"
rm = true

[skills.ffmpeg.instances.default]
config.region = "us-east-1"
env.AWS_PROFILE = "${AWS_PROFILE}"
capabilities.allowed_paths = ["/data"]

[skills.hello]
source = "./examples/hello-skill"

[skills.aws]
source = "https://github.com/example/skill-aws.git"
ref = "main"
runtime = "wasm"
""",
    )
    assert list(found.skills) == ["ffmpeg"]
    assert found.faults == {}
    assert {name: other.runtime for name, other in found.others.items()} == {"hello": "wasm", "aws": "wasm"}
    assert not found.broken


def test_a_description_beside_the_image_is_a_description(file: Path) -> None:
    skill = good(file, 'description = "<b>Said here</b>"')
    assert skill.description == "<b>Said here</b>"
    assert "description" not in skill.given
    assert only(docker(file, "description = 3")).code == "manifest-type"
