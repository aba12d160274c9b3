"""A machine of one's own for tests of the policy: a real directory tree with a home and a project in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skill_magic.host import EngineAddress, Host
from skill_magic.manifest.layers import Docker, Skill
from skill_magic.mounts.mounts import project_mount
from skill_magic.spec import RunSpec


def make_host(root: Path, *, engine: str | None = "unix:///var/run/docker.sock", **changes: Any) -> Host:
    """A host with ``root/home/u`` as home and ``root/home/u/proj`` as the notebook's directory, both made."""
    home = root / "home/u"
    directory = changes.pop("directory", home / "proj")
    directory.mkdir(parents=True, exist_ok=True)
    environment = {"HOME": str(home), **changes.pop("environment", {})}
    values: dict[str, Any] = {
        "directory": directory,
        "home": home,
        "environment": {**environment, "PWD": str(directory)},
        "uid": 1000,
        "gid": 1000,
        "user": "u",
        "cpus": 8,
        "memory": 16 << 30,
        "engine": EngineAddress(engine, "test") if engine is not None else None,
        "config_dir": home / ".config/skill_magic",
        "data_dir": home / ".local/share/skill_magic",
        "cache_dir": home / ".cache/skill_magic",
        "system_dir": root / "etc/skill_magic",
    }
    return Host(**{**values, **changes})


def make_spec(host: Host, **changes: Any) -> RunSpec:
    """A minimal spec that the policy allows; a test changes one thing in it."""
    values: dict[str, Any] = {
        "skill": "t",
        "image": "debian:12",
        "mounts": (project_mount(host),),
        "working_dir": "/workdir",
        "user": f"{host.uid}:{host.gid}",
        "directory": host.directory,
        "file": host.directory / "skills.toml",
    }
    return RunSpec(**{**values, **changes})


def make_skill(host: Host, **keys: Any) -> Skill:
    """A skill of the project's manifest (which need not exist)."""
    docker = Docker(**{"image": "debian:12", **keys})
    return Skill("t", docker, "project", host.directory / "skills.toml", given=frozenset(keys))


def codes(violations: Any) -> list[str]:
    """The codes of violations, in order."""
    return [each.code for each in violations]
