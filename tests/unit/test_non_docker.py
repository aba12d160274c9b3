"""Manifests of the Skill Engine: its Docker skills are ours, its others are known and are no fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from policy_helpers import make_host

import skill_magic
from skill_magic import cli
from skill_magic.command.parse import Command, Options, parse
from skill_magic.door import Door
from skill_magic.errors import ManifestError
from skill_magic.host import Host
from skill_magic.manifest import layers
from skill_magic.manifest.file import read
from skill_magic.policy.decide import check_all
from skill_magic.verbs import catalogue, check, doctor, explain, pull
from skill_magic.verbs.trust import trust
from skill_magic.views.base import QuietView

TEAM = """
# A team's file: tools of all runtimes side by side.
version = "1"

[defaults]
env.REGION = "eu-west-3"

[skills.cluster]
source = "./tools/cluster"
description = "Looks after the cluster"
runtime = "native"

[[skills.cluster.services]]
name = "proxy"
description = "A way to the API"
optional = false
default_port = 8011

[skills.cluster.instances.staging]
description = "Where things are tried"
config.context = "${KUBE_CONTEXT:-~/.kube/config}"
capabilities.network_access = true
capabilities.max_concurrent_requests = 5

[skills.tickets]
source = "https://example.org/tickets.git"
ref = "v2"
description = "Issues and boards"

[skills.tickets.instances.default]
env.TICKETS_TOKEN = "${TICKETS_TOKEN}"

[skills.metrics]
source = "./tools/metrics"
runtime = "wasm"
default_instance = "prod"

[skills.report]
source = "./tools/report"
runtime = "native"
"""

DATA = """
version = "1"

[skills.etl]
source = "docker:python:3.12-slim"
runtime = "docker"
description = "Scripts over tables"

[skills.etl.docker]
image = "python:3.12-slim"
entrypoint = "python3"
command = ["-u"]
volumes = ["${PWD}:/workdir", "${TABLES:-./tables}:/tables"]
working_dir = "/workdir"
environment = ["PYTHONUNBUFFERED=1", "LIBRARY=${LIBRARY_VERSION:-2.1}"]
memory = "2g"
cpus = "2.0"
network = "bridge"
rm = true
user = "${UID:-1000}:${GID:-1000}"

[skills.etl.instances.nightly]
description = "Every night"
capabilities.allowed_paths = ["/workdir", "/tables", "${HOME}/.cache"]
capabilities.network_access = true

[skills.store]
source = "docker:redis:7-alpine"
runtime = "docker"

[skills.store.docker]
image = "redis:7-alpine"
entrypoint = "redis-cli"
network = "bridge"
memory = "128m"
rm = true

[skills.store.instances.cache]
config.host = "${REDIS_HOST:-localhost}"

[skills.offline.docker]
image = "node:20-alpine"
entrypoint = "node"
volumes = ["${PWD:-/tmp}:/workdir"]

[skills.web]
source = "./tools/web"
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path, uid=4242, gid=4343, engine=None)
    (made.directory / "tables").mkdir()
    return made


def write(host: Host, text: str, name: str = "skills.toml") -> Path:
    file = host.directory / name
    file.write_text(text)
    return file


def door(host: Host) -> Door:
    return Door("shell", host, QuietView, None)


def verdicts(host: Host) -> dict[str, str]:
    return {each.name: each.verdict for each in check_all(host)}


@pytest.mark.parametrize("name", layers.NAMES)
def test_a_manifest_of_other_runtimes_is_no_fault(host: Host, name: str) -> None:
    write(host, TEAM, name)
    assert verdicts(host) == dict.fromkeys(("cluster", "metrics", "report", "tickets"), "not-docker")
    answer = check.check(Command("check"), door(host))
    assert answer.code == 0
    assert answer.text().splitlines() == [
        "cluster: not a Docker skill (runtime native)",
        "metrics: not a Docker skill (runtime wasm)",
        "report: not a Docker skill (runtime native)",
        "tickets: not a Docker skill (runtime wasm)",
        "4 skills are for other runtimes, and not run here",
    ]
    assert json.loads(answer.json())[0] == {"name": "cluster", "verdict": "not-docker", "violations": []}


def test_beside_docker_s_only_these_are_judged(host: Host) -> None:
    write(host, DATA)
    found = {each.name: each for each in check_all(host)}
    assert {name: each.verdict for name, each in found.items()} == {
        "etl": "trust",
        "offline": "allow",
        "store": "trust",
        "web": "not-docker",
    }
    assert {each.code for each in found["etl"].violations} == {"network-bridge"}
    spec = found["etl"].spec
    assert spec is not None
    assert spec.user == "4242:4343"
    last = check.check(Command("check"), door(host)).text().splitlines()[-2:]
    assert last == ["3 skills, 2 not allowed", "1 skill is for other runtimes, and not run here"]


def test_the_exit_code_is_that_of_the_skills_of_docker(host: Host) -> None:
    write(host, TEAM + '[skills.fine.docker]\nimage = "debian:12"\n')
    assert check.check(Command("check"), door(host)).code == 0
    write(host, TEAM + "[skills.bad.docker]\nimage = 5\n")
    assert check.check(Command("check"), door(host)).code == 1


def test_list_shows_them(host: Host) -> None:
    write(host, TEAM)
    answer = catalogue.list_(Command("list"), door(host))
    assert answer.code == 0
    assert "says what is the matter" not in answer.text()
    rows = [line.split() for line in answer.text().splitlines()]
    assert ["cluster", "project", "not", "a", "Docker", "skill", "Looks", "after", "the", "cluster"] in rows
    data = {each["name"]: each for each in json.loads(answer.json())}
    assert data["cluster"] == {
        "name": "cluster",
        "verdict": "not-docker",
        "origin": "project",
        "description": "Looks after the cluster",
        "file": str(host.directory / "skills.toml"),
        "line": 11,
        "runtime": "native",
    }
    assert data["tickets"]["runtime"] == "wasm"
    assert data["ffmpeg"]["runtime"] == "docker"


def test_info_and_doctor_know_them(host: Host) -> None:
    file = write(host, TEAM)
    answer = catalogue.info(Command("info", names=("cluster", "tickets")), door(host))
    assert answer.code == 0
    rows = [line.split() for line in answer.text().splitlines()]
    assert ["runtime", "native", f"{file}:11"] in rows
    assert ["runtime", "wasm", "default"] in rows
    assert "policy: not a Docker skill" in answer.text()
    assert [each["verdict"] for each in json.loads(answer.json())] == ["not-docker", "not-docker"]
    told = {finding.text for finding in doctor._manifests(door(host))}
    assert f"{file}: 0 skills, 4 for other runtimes" in told
    assert all(finding.status == "ok" for finding in doctor._manifests(door(host)))


def test_a_call_says_what_to_do(host: Host) -> None:
    file = write(host, TEAM)
    with pytest.raises(ManifestError) as caught:
        layers.load(host).find("cluster")
    (fault,) = caught.value.violations
    assert (fault.code, fault.field, fault.value, fault.file, fault.line) == (
        "not-docker", "runtime", "native", file, 11,
    )  # fmt: skip
    assert caught.value.lines()[0] == "ManifestError: cluster is not a Docker skill"
    assert "Run it with the Skill Engine" in fault.fix
    assert '[skills.cluster.docker] with image = "…"' in fault.fix
    with pytest.raises(ManifestError) as caught:
        layers.load(host).find("tickets")
    (fault,) = caught.value.violations
    assert (fault.code, fault.field, fault.line) == ("not-docker", "skills.tickets", 25)
    assert "no docker table" in fault.reason


@pytest.mark.parametrize(
    "words", [["cluster", "--", "x"], ["run", "tickets"], ["pull", "metrics"], ["trust", "cluster"]]
)
def test_every_verb_that_would_run_it_ends_with_the_same_code(
    host: Host, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(host, TEAM)
    monkeypatch.chdir(host.directory)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert cli.main(words) == 125
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "is not a Docker skill" in shown.err
    assert "[not-docker]" in shown.err


def test_explain_says_it_without_a_run(host: Host) -> None:
    write(host, TEAM)
    answer = explain.explain(parse(["explain", "cluster", "--", "get", "pods"]), door(host))
    assert answer.code == 1
    data = json.loads(answer.json())
    assert (data["verdict"], data["spec"], data["command"]) == ("not-docker", None, None)
    assert [each["code"] for each in data["violations"]] == ["not-docker"]
    assert "policy: not a Docker skill" in answer.text()


def test_nothing_of_them_is_asked(host: Host) -> None:
    write(host, TEAM)
    answer = trust(Command("trust", options=Options(all=True)), door(host))
    assert answer.code == 0
    assert answer.data == {"granted": {}, "asked": {}, "refused": [], "faulty": []}
    write(host, TEAM + DATA.replace('version = "1"\n', ""))
    asked = [name for name in verdicts(host) if verdicts(host)[name] == "trust"]
    assert asked == ["etl", "store"]


def test_the_python_interface_says_the_same(host: Host) -> None:
    write(host, TEAM)
    found = skill_magic.check(host.directory)
    assert {each.verdict for each in found} == {"not-docker"}
    for each in found:
        assert (each.skill, each.spec, each.violations) == (None, None, ())
        with pytest.raises(ManifestError, match="is not a Docker skill"):
            each.raise_for_verdict()
    for call in (skill_magic.run, skill_magic.explain):
        with pytest.raises(ManifestError, match="cluster is not a Docker skill"):
            call("cluster", ["x"], directory=host.directory)


def test_one_of_a_bundled_name_stands_before_it_and_says_so(host: Host) -> None:
    write(host, '[skills.ffmpeg]\nsource = "./tools/ffmpeg"\nruntime = "native"\n')
    found = layers.load(host)
    assert "ffmpeg" in found.others
    assert "ffmpeg" not in found.skills
    with pytest.raises(ManifestError) as caught:
        found.find("ffmpeg")
    assert "The bundled ffmpeg is behind it: rename this one" in caught.value.violations[0].fix


# --- neighbours: what stays a fault ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "needle"),
    [
        ('runtime = "podman"\n', "runtime-unsupported", "'podman'"),
        ('runtime = "Docker"\n', "runtime-unsupported", "Did you mean docker?"),
        ('runtime = "wasm32"\n', "runtime-unsupported", "Did you mean wasm?"),
        ('runtime = ""\n', "runtime-unsupported", "no such runtime"),
        ('runtime = "native"\ndocker.image = "debian:12"\n', "runtime-unsupported", "has a docker table"),
        ('runtime = "wasm"\ndocker = {}\n', "runtime-unsupported", "has a docker table"),
        ('runtime = "docker"\n', "docker-missing", "[skills.t.docker]"),
        ('runtime = "docker"\nsource = "docker:a:1"\n', "docker-missing", 'image = "a:1"'),
        ('source = "docker:a:1"\n', "docker-missing", 'image = "a:1"'),
        ('image = "debian:12"\n', "manifest-unknown-key", "Put it into [skills.t.docker]"),
        ('runtime = "wasm"\nimage = "debian:12"\n', "manifest-unknown-key", "Put it into [skills.t.docker]"),
        ('runtime = "native"\nnetwrok = "none"\n', "manifest-unknown-key", "has no such key"),
        ('runtime = "native"\ndescription = 5\n', "manifest-type", "description"),
        ('runtime = ["native"]\n', "manifest-type", "runtime"),
        ('dokcer.image = "debian:12"\n', "manifest-unknown-key", "Did you mean docker?"),
    ],
)
def test_what_stays_a_fault(host: Host, text: str, code: str, needle: str) -> None:
    file = write(host, f"[skills.t]\n{text}")
    found = read(file, "project")
    assert not found.others
    faults = found.faults["t"]
    assert code in [each.code for each in faults]
    assert any(needle in str(each) for each in faults), faults
    assert verdicts(host) == {"t": "error"}
    assert check.check(Command("check"), door(host)).code == 1


def test_docker_s_own_forms_are_skills(host: Host) -> None:
    for text in ('runtime = "docker"\n', "", 'source = "docker:debian:12"\n', "instances.x.config.a = 1\n"):
        write(host, f'[skills.t]\n{text}docker.image = "debian:12"\n')
        assert verdicts(host) == {"t": "allow"}, text


@pytest.mark.parametrize(
    "text", ["", 'description = "x"\n', 'source = "./x"\n', "instances.default.config.a = 1\n"]
)
def test_a_skill_without_a_docker_table_is_the_skill_engine_s(host: Host, text: str) -> None:
    write(host, f"[skills.t]\n{text}")
    assert verdicts(host) == {"t": "not-docker"}


def test_a_fault_of_the_file_is_one_of_these_too(host: Host) -> None:
    write(host, '[skills.t]\nruntime = "native"\n[policy]\nx = 1\n')
    assert verdicts(host) == {"t": "error"}
    assert not layers.load(host).others


def test_a_word_of_the_command_names_no_skill_of_docker(host: Host) -> None:
    write(host, '[skills.clean]\nruntime = "docker"\ndocker.image = "debian:12"\n')
    assert verdicts(host) == {"clean": "error"}


def test_pull_looks_at_all_before_the_first(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    write(host, TEAM + '[skills.fine.docker]\nimage = "debian:12"\n')
    monkeypatch.setattr("skill_magic.road.connect", lambda host: pytest.fail("the engine was asked"))
    with pytest.raises(ManifestError, match="cluster is not a Docker skill"):
        pull.pull(Command("pull", names=("fine", "cluster")), door(host))
