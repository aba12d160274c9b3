"""A skill, a host and a request for tests of the plan, all spelt out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skill_magic.command.parse import Options, Request
from skill_magic.host import EngineAddress, Host
from skill_magic.manifest.layers import Docker, Skill
from skill_magic.plan.draft import Draft, draft
from skill_magic.policy.decide import Decision, evaluate
from skill_magic.policy.settings import Settings

GIB = 1 << 30


def make_host(directory: Path, **changes: Any) -> Host:
    facts: dict[str, Any] = {
        "directory": directory,
        "home": Path("/home/u"),
        "environment": {"HOME": "/home/u", "TOKEN": "s3cret", "DATA": "value"},
        "uid": 1000,
        "gid": 1000,
        "user": "u",
        "cpus": 8,
        "memory": 16 * GIB,
        "engine": EngineAddress("unix:///var/run/docker.sock", "default socket"),
        "config_dir": directory / "config",
        "data_dir": directory / "data",
        "cache_dir": directory / "cache",
        "system_dir": directory / "system",
    }
    return Host(**{**facts, **changes})


def make_skill(directory: Path, lines: Mapping[str, int] | None = None, **docker: Any) -> Skill:
    """A skill of a project; lists may be given as lists. Every key that is passed counts as written."""
    keys: dict[str, Any] = {"image": "debian:12"}
    keys |= {key: tuple(value) if isinstance(value, list) else value for key, value in docker.items()}
    return Skill(
        "t",
        Docker(**keys),
        "project",
        directory / "skills.toml",
        lines=lines or {},
        given=frozenset(docker),
    )


def plan_of(
    directory: Path, *args: str, host: Host | None = None, options: Options | None = None, **docker: Any
) -> Draft:
    """The draft of a run with `extra_args` ``args``; as if those were not there where there are none."""
    if args:
        docker["extra_args"] = list(args)
    request = Request("t", options=options or Options())
    return draft(make_skill(directory, **docker), request, host or make_host(directory))


def decision(
    directory: Path,
    *args: str,
    host: Host | None = None,
    grants: frozenset[str] = frozenset(),
    **docker: Any,
) -> Decision:
    """Plan and policy, with no grants unless some are given, and nobody's settings."""
    skill = make_skill(directory, extra_args=list(args), **docker)
    return evaluate(skill, Request("t"), host or make_host(directory), settings=Settings(), grants=grants)
