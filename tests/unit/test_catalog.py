"""The bundled skills: what users of the format know, nothing that needs a grant, and no fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_magic import host as host_module
from skill_magic.command.parse import Request
from skill_magic.host import Host
from skill_magic.manifest.layers import Skill, load
from skill_magic.policy import decide

CONTENT = {
    # name: (image, entrypoint, memory, cpus, network, cell)
    "ffmpeg": ("linuxserver/ffmpeg:latest", "/usr/local/bin/ffmpeg", "2g", "4", "none", "args"),
    "imagemagick": ("dpokidov/imagemagick:latest", "magick", "1g", None, "none", "args"),
    "python-runner": ("python:3.12-slim", "python3", "512m", None, "none", "stdin"),
    "python-runner-net": ("python:3.12-slim", "python3", "512m", None, "bridge", "stdin"),
    "node-runner": ("node:20-alpine", "node", "512m", None, "none", "stdin"),
    "node-runner-net": ("node:20-alpine", "node", "512m", None, "bridge", "stdin"),
    "npm-runner": ("node:20-alpine", "npm", "512m", None, "bridge", "stdin"),
    "postgres": ("postgres:16-alpine", "psql", "256m", None, "bridge", "stdin"),
    "pg-dump": ("postgres:16-alpine", "pg_dump", "512m", None, "bridge", "stdin"),
    "pg-restore": ("postgres:16-alpine", "pg_restore", "512m", None, "bridge", "stdin"),
    "redis": ("redis:7-alpine", "redis-cli", "128m", None, "bridge", "stdin"),
    "redis-benchmark": ("redis:7-alpine", "redis-benchmark", "256m", None, "bridge", "stdin"),
}


NAME_OF_THE_HOST = "--add-host=host.docker.internal:host-gateway"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "project").mkdir()
    return host_module.discover(tmp_path / "project")


def bundled(host: Host) -> dict[str, Skill]:
    found = load(host)
    assert not found.faults
    assert {skill.origin for skill in found.skills.values()} == {"bundled"}
    return dict(found.skills)


def test_the_skills_and_what_is_known_of_them(host: Host) -> None:
    found = bundled(host)
    assert set(found) == {*CONTENT, "ml-inference"}
    for name, expected in CONTENT.items():
        skill = found[name]
        docker = skill.docker
        limits = docker.memory, docker.cpus, docker.network
        assert (docker.image, docker.entrypoint, *limits, skill.cell) == expected, name
        assert docker.gpus is None
    inference = found["ml-inference"].docker
    assert inference.image.startswith("nvidia/cuda:")
    assert (inference.gpus, inference.memory, inference.network) == ("all", "8g", "none")


def test_they_leave_every_default_that_protects(host: Host) -> None:
    for skill in bundled(host).values():
        assert skill.description
        assert skill.docker.rm
        assert skill.docker.user is None
        assert skill.docker.volumes == ()
        assert skill.docker.working_dir is None
        with_network = skill.docker.network == "bridge"
        assert skill.docker.extra_args in ((NAME_OF_THE_HOST,) if with_network else (), ("--stop-timeout=2",))


def test_none_needs_a_grant(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    host = host_module.discover(host.directory)
    for name, skill in bundled(host).items():
        decision = decide.evaluate(skill, Request(name), host)
        assert (decision.verdict, decision.violations) == ("allow", ()), name


def test_a_cell_without_arguments_is_a_script(host: Host) -> None:
    found = bundled(host)
    for name in ("python-runner", "python-runner-net", "node-runner", "node-runner-net"):
        assert found[name].docker.command == ("-",)
    assert found["postgres"].leading_args == ("-v", "ON_ERROR_STOP=1")
    assert "PYTHONUNBUFFERED=1" in found["python-runner"].docker.environment


def environment(host: Host, name: str) -> dict[str, str]:
    skill = bundled(host)[name]
    spec = decide.evaluate(skill, Request(name), host).spec
    assert spec is not None
    return {variable.name: variable.value for variable in spec.environment}


def test_the_clients_of_postgresql_read_its_variables(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    # libpq takes an empty variable for an unset one, PGUSER apart.
    unset = environment(host, "postgres")
    assert [unset[name] for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGPASSWORD")] == [""] * 4
    assert unset["PGUSER"] == "postgres"
    monkeypatch.setenv("PGHOST", "db.example.com")
    monkeypatch.setenv("PGUSER", "me")
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    host = host_module.discover(host.directory)
    for name in ("postgres", "pg-dump", "pg-restore"):
        found = environment(host, name)
        assert (found["PGHOST"], found["PGUSER"], found["PGPASSWORD"]) == ("db.example.com", "me", "hunter2")
