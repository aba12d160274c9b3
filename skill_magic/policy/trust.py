"""Grants: what a person has allowed one skill of one project, item by item.

Kept in the user's data directory, bound to the project's real path and to a hash of what the skill's manifest
says of what runs and what it may touch (nothing expanded): another project, or any change of these, has none
of them. A description or a limit can change without asking again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from ..findings import Violation
from .redact import MASK, hide, secret_name
from .settings import unsafe_file

if TYPE_CHECKING:
    from ..host import Host
    from ..manifest.layers import Skill
    from .decide import Decision

NAME = "trust.json"
VERSION = 1


BOUND = (
    "image", "entrypoint", "command", "volumes", "environment", "network", "user", "gpus", "extra_args",
    "working_dir", "read_only", "platform",
)  # fmt: skip
"""Keys of the docker table that a grant is bound to: what runs, and what it may touch."""

FREE = ("memory", "cpus", "rm")
"""Keys that it is not bound to: each only makes a run smaller or larger, within the policy's own limits."""

_FORM = 2  # of what is hashed: entries of the version that bound a grant to more are asked again


def canonical(skill: Skill) -> dict[str, Any]:
    """What a grant is bound to: the manifest as it is written, without what is free to change."""
    docker = dataclasses.asdict(skill.docker)
    return {
        "form": _FORM,
        "docker": {key: each for key, each in docker.items() if key not in FREE},
        "leading_args": list(skill.leading_args),
    }


def digest(skill: Skill) -> str:
    """sha256 of :func:`canonical`, in hex."""
    text = json.dumps(canonical(skill), sort_keys=True, ensure_ascii=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def project(skill: Skill) -> str:
    """The project a grant is bound to: the manifest's directory, symlinks resolved. Any notebook of it has
    them."""
    return os.path.realpath(skill.file.parent)


def grants_for(skill: Skill, host: Host) -> frozenset[str]:
    """The grants in force for ``skill``; none for another digest.

    :raises SpecError: where the file cannot be relied on.
    """
    entry = _entry(_load(host), skill)
    if entry is None or entry.get("digest") != digest(skill):
        return frozenset()
    return frozenset(item["grant"] for item in entry.get("grants", ()))


def grant(skill: Skill, host: Host, names: Iterable[str]) -> frozenset[str]:
    """Add grants and return those now in force. Grants for an earlier state of the skill are dropped."""
    grant_all(host, [(skill, names)])
    return grants_for(skill, host)


def grant_all(host: Host, wanted: Iterable[tuple[Skill, Iterable[str]]]) -> None:
    """:func:`grant` for several skills, in one writing: all of them, or none."""
    with _locked(host):
        data = _load(host)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for skill, names in wanted:
            entry = _entry(data, skill)
            kept = []
            if entry is not None and entry.get("digest") == digest(skill):
                kept = list(entry.get("grants", ()))
            have = {item["grant"] for item in kept}
            kept += [{"grant": name, "date": now} for name in dict.fromkeys(names) if name not in have]
            data.setdefault("projects", {}).setdefault(project(skill), {})[skill.name] = {
                "digest": digest(skill),
                "spec": canonical(skill),
                "grants": kept,
            }
        _save(host, data)


def revoke(skill: Skill, host: Host, names: Iterable[str] | None = None) -> frozenset[str]:
    """Take grants back, all of them by default; returns those left."""
    with _locked(host):
        data = _load(host)
        entry = _entry(data, skill)
        if entry is None:
            return frozenset()
        gone = None if names is None else set(names)
        left = [item for item in entry["grants"] if gone is not None and item["grant"] not in gone]
        entry["grants"] = left
        if not left:
            del data["projects"][project(skill)][skill.name]
        _save(host, data)
    return frozenset(item["grant"] for item in left)


def of_project(directory: Path, host: Host) -> dict[str, frozenset[str]]:
    """Everything that was granted in the project of that directory, also to skills that are gone or have
    changed: name → grants."""
    entries = _load(host).get("projects", {}).get(os.path.realpath(directory), {})
    return {name: frozenset(item["grant"] for item in entry["grants"]) for name, entry in entries.items()}


def revoke_project(directory: Path, host: Host) -> tuple[str, ...]:
    """Take back every grant of a project; returns the names of the skills that had some."""
    with _locked(host):
        data = _load(host)
        entries = data.get("projects", {}).pop(os.path.realpath(directory), {})
        if entries:
            _save(host, data)
    return tuple(sorted(name for name, entry in entries.items() if entry["grants"]))


def given(skill: Skill, host: Host) -> bool:
    """Whether anything was granted to ``skill``, be it for an earlier state of it."""
    entry = _entry(_load(host), skill)
    return bool(entry and entry.get("grants"))


def changed(skill: Skill, host: Host) -> dict[str, str] | None:
    """What differs from the state that was granted last, of what a grant is bound to: key → what changed.

    ``None`` where nothing was granted or nothing differs; empty where an earlier version of this package bound
    the grants to other things.
    """
    entry = _entry(_load(host), skill)
    if entry is None or entry.get("digest") == digest(skill):
        return None
    spec = entry.get("spec")
    docker = spec.get("docker") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(docker, dict):
        return {}
    before = {**docker, "leading_args": spec.get("leading_args") or []}
    now = canonical(skill)
    after = json.loads(json.dumps({**now["docker"], "leading_args": now["leading_args"]}, default=list))
    return {key: _change(before.get(key), after[key]) for key in after if before.get(key) != after[key]}


def _change(before: object, after: object) -> str:
    """Two values of one key in words; of two lists only the items that differ."""
    if not isinstance(before, list) or not isinstance(after, list):
        return f"{_shown(before)} → {_shown(after)}"
    old, new = ({json.dumps(item): item for item in items} for items in (before, after))
    more = [_shown(item) for key, item in new.items() if key not in old]
    less = [_shown(item) for key, item in old.items() if key not in new]
    words = [f"new {', '.join(more)}"] if more else []
    words += [f"gone {', '.join(less)}"] if less else []
    return "; ".join(words) or "the same in another order or number"


def asks(decision: Decision) -> list[tuple[str, str]]:
    """What has to be granted for ``decision`` to become "allow": (grant, sentence), each grant once."""
    found: dict[str, str] = {}
    for each in decision.violations:
        if each.grant is not None:
            found.setdefault(each.grant, f"{each.field} = {each.value}: {each.reason}")
    return list(found.items())


_VARIABLE = re.compile(r"(?:--env=|-e)?([A-Za-z_][A-Za-z0-9_]*)=.", re.DOTALL)


def _shown(value: object) -> str:
    """A value as it may be shown: without what is set for a variable whose name speaks of a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, str):
        found = _VARIABLE.match(value)
        if found is not None and secret_name(found[1]):
            value = value[: found.end() - 1] + MASK
        return json.dumps(hide(value, ()), ensure_ascii=True)
    return json.dumps(value, ensure_ascii=True)


def _entry(data: Mapping[str, Any], skill: Skill) -> dict[str, Any] | None:
    entry = data.get("projects", {}).get(project(skill), {}).get(skill.name)
    return entry if isinstance(entry, dict) else None


def _load(host: Host) -> dict[str, Any]:
    path = host.data_dir / NAME
    try:
        why = unsafe_file(path, host)
        if why is not None:
            raise _fault(path, "trust-unsafe", f"The grants are ignored because {why}.")
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {"version": VERSION, "projects": {}}
    except (OSError, ValueError, RecursionError) as error:
        raise _fault(path, "trust-unreadable", f"The grants cannot be read: {error}.") from None
    if not isinstance(data, dict) or data.get("version") != VERSION or not _well_formed(data):
        raise _fault(path, "trust-unreadable", "The grants are not in a form that this version knows.")
    return data


def _well_formed(data: dict[str, Any]) -> bool:
    projects = data.get("projects")
    return isinstance(projects, dict) and all(
        isinstance(skills, dict)
        and all(
            isinstance(entry, dict)
            and isinstance(entry.get("digest"), str)
            and isinstance(entry.get("grants"), list)
            and all(isinstance(item, dict) and isinstance(item.get("grant"), str) for item in entry["grants"])
            for entry in skills.values()
        )
        for skills in projects.values()
    )


def _fault(path: Path, code: str, reason: str) -> SpecError:
    fix = "Make it your own and unwritable for others (chmod 600), or remove it and grant again."
    violation = Violation(code, NAME, str(path), reason, fix, file=path, kind="invalid")
    return SpecError("the grants cannot be relied on", [violation])


@contextmanager
def _locked(host: Host) -> Iterator[None]:
    """One writer at a time, across processes."""
    import fcntl

    host.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(
        host.data_dir / f"{NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _save(host: Host, data: Mapping[str, Any]) -> None:
    import tempfile

    handle, temporary = tempfile.mkstemp(prefix=NAME, dir=host.data_dir)  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, host.data_dir / NAME)
    except BaseException:
        os.unlink(temporary)
        raise
