"""Grants: what a person has allowed one skill of one project, item by item.

Kept in the user's data directory, bound to a hash of the skill as its manifest says it (nothing expanded)
and to the project's real path: another project, or any change of the manifest, has none of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from ..findings import Violation
from .settings import unsafe_file

if TYPE_CHECKING:
    from ..host import Host
    from ..manifest.layers import Skill
    from .decide import Decision

NAME = "trust.json"
VERSION = 1


def canonical(skill: Skill) -> dict[str, Any]:
    """What a grant is bound to: the docker table as it is written, without what only people read."""
    return {
        "docker": dataclasses.asdict(skill.docker),
        "cell": skill.cell,
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
    with _locked(host):
        data = _load(host)
        entry = _entry(data, skill)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept = (
            list(entry.get("grants", ()))
            if entry is not None and entry.get("digest") == digest(skill)
            else []
        )
        have = {item["grant"] for item in kept}
        kept += [{"grant": name, "date": now} for name in dict.fromkeys(names) if name not in have]
        data.setdefault("projects", {}).setdefault(project(skill), {})[skill.name] = {
            "digest": digest(skill),
            "spec": canonical(skill),
            "grants": kept,
        }
        _save(host, data)
    return frozenset(item["grant"] for item in kept)


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


def given(skill: Skill, host: Host) -> bool:
    """Whether anything was granted to ``skill``, be it for an earlier state of it."""
    entry = _entry(_load(host), skill)
    return bool(entry and entry.get("grants"))


def changed(skill: Skill, host: Host) -> tuple[str, ...] | None:
    """What differs from the state that was granted last, one line per key; ``None`` where nothing was or
    did."""
    entry = _entry(_load(host), skill)
    if entry is None or entry.get("digest") == digest(skill):
        return None
    before, after = entry.get("spec", {}), json.loads(json.dumps(canonical(skill), default=list))
    lines = []
    old, new = {**before.get("docker", {})}, {**after["docker"]}
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            lines.append(f"{key}: {_shown(old.get(key))} → {_shown(new.get(key))}")
    if before.get("cell") != after["cell"]:
        lines.append(f"cell: {_shown(before.get('cell'))} → {_shown(after['cell'])}")
    return tuple(lines)


def asks(decision: Decision) -> list[tuple[str, str]]:
    """What has to be granted for ``decision`` to become "allow": (grant, sentence), each grant once."""
    found: dict[str, str] = {}
    for each in decision.violations:
        if each.grant is not None:
            found.setdefault(each.grant, f"{each.field} = {each.value}: {each.reason}")
    return list(found.items())


def question(decision: Decision, changes: Iterable[str] | None = None) -> str:
    """What a person is shown before being asked: the skill, what changed, every item with its reason."""
    file = decision.skill.file if decision.skill is not None else "no manifest"
    lines = [f"The skill {decision.name} ({file}) asks for more than its confinement:"]
    if changes is not None:
        lines += ["It was granted before and has changed since:", *(f"  {line}" for line in changes)]
    for number, (name, sentence) in enumerate(asks(decision), 1):
        lines += [f"{number}. {name}", f"   {sentence}"]
    return "\n".join(lines)


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=True)


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
