"""Grants: bound to the skill as it is written and to its project, kept safely, void after any change."""

from __future__ import annotations

import json
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from policy_helpers import make_host, make_skill

from skill_magic.command.parse import Request
from skill_magic.errors import PolicyError, SpecError
from skill_magic.host import Host
from skill_magic.manifest.layers import Skill
from skill_magic.policy import decide, settings, trust


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path, uid=os.getuid(), gid=os.getgid(), environment={"MY_TOKEN": "s3cr3t"})
    (made.directory / "skills.toml").touch()
    return made


def decision(skill: Skill, host: Host) -> decide.Decision:
    # As an ordinary user, so that nothing is allowed for being root.
    return decide.evaluate(skill, Request("t"), host, settings=settings.Settings())


def test_nothing_is_granted_at_first(host: Host) -> None:
    assert trust.grants_for(make_skill(host), host) == frozenset()
    assert not (host.data_dir / "trust.json").exists()


def test_grant_and_revoke(host: Host) -> None:
    skill = make_skill(host)
    assert trust.grant(skill, host, ["a", "b"]) == {"a", "b"}
    assert trust.grant(skill, host, ["b", "c"]) == {"a", "b", "c"}
    assert trust.grants_for(skill, host) == {"a", "b", "c"}
    assert trust.revoke(skill, host, ["a"]) == {"b", "c"}
    assert trust.revoke(skill, host) == frozenset()
    assert trust.grants_for(skill, host) == frozenset()


def test_each_grant_has_its_date(host: Host) -> None:
    trust.grant(make_skill(host), host, ["a"])
    data = json.loads((host.data_dir / "trust.json").read_text())
    (project,) = data["projects"].values()
    assert set(project["t"]["grants"][0]) == {"grant", "date"}


def test_the_file_is_for_its_owner_alone(host: Host) -> None:
    trust.grant(make_skill(host), host, ["a"])
    assert stat.S_IMODE((host.data_dir / "trust.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(host.data_dir.stat().st_mode) == 0o700
    assert {path.name for path in host.data_dir.iterdir()} == {"trust.json", "trust.json.lock"}


@pytest.mark.parametrize(
    "change",
    [
        {"image": "debian:13"},
        {"volumes": ("/data:/data",)},
        {"environment": ("A=${MY_TOKEN}",)},
        {"extra_args": ("--init",)},
        {"network": "bridge"},
        {"command": ("x",)},
        {"entrypoint": "sh"},
        {"rm": False},
        {"working_dir": "/x"},
    ],
)
def test_any_change_of_the_skill_voids_it(host: Host, change: dict[str, object]) -> None:
    trust.grant(make_skill(host), host, ["a"])
    after = make_skill(host, **change)
    assert trust.grants_for(after, host) == frozenset()
    (line,) = trust.changed(after, host) or ()
    assert line.startswith(f"{next(iter(change))}: ")


def test_what_only_people_read_may_change(host: Host) -> None:
    skill = make_skill(host)
    trust.grant(skill, host, ["a"])
    after = replace(skill, description="new words", lines={"image": 7})
    assert trust.grants_for(after, host) == {"a"}
    assert trust.changed(after, host) is None


def test_the_value_of_a_variable_is_no_part_of_it(host: Host) -> None:
    skill = make_skill(host, environment=("A=${MY_TOKEN}",))
    trust.grant(skill, host, ["env:MY_TOKEN"])
    assert trust.grants_for(skill, replace(host, environment={"MY_TOKEN": "another"})) == {"env:MY_TOKEN"}
    assert "s3cr3t" not in (host.data_dir / "trust.json").read_text()


def test_another_project_has_none(host: Host, tmp_path: Path) -> None:
    skill = make_skill(host)
    trust.grant(skill, host, ["a"])
    copy = tmp_path / "copy"
    copy.mkdir()
    assert trust.grants_for(replace(skill, file=copy / "skills.toml"), host) == frozenset()


def test_another_way_to_the_project_has_them(host: Host, tmp_path: Path) -> None:
    skill = make_skill(host)
    trust.grant(skill, host, ["a"])
    (tmp_path / "link").symlink_to(host.directory)
    assert trust.grants_for(replace(skill, file=tmp_path / "link/skills.toml"), host) == {"a"}


def test_a_new_grant_drops_those_of_the_earlier_state(host: Host) -> None:
    trust.grant(make_skill(host), host, ["a"])
    after = make_skill(host, image="debian:13")
    assert trust.grant(after, host, ["b"]) == {"b"}
    assert trust.grants_for(make_skill(host), host) == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "{}",
        '{"version": 2, "projects": {}}',
        '{"version": 1, "projects": []}',
        '{"version": 1, "projects": {"/x": {"t": {"digest": 1, "grants": []}}}}',
        '{"version": 1, "projects": {"/x": {"t": {"digest": "x", "grants": ["a"]}}}}',
        "[" * 100_000,
    ],
)
def test_a_file_in_another_form_is_an_error(host: Host, text: str) -> None:
    host.data_dir.mkdir(parents=True, mode=0o700)
    (host.data_dir / "trust.json").write_text(text)
    (host.data_dir / "trust.json").chmod(0o600)
    with pytest.raises(SpecError) as caught:
        trust.grants_for(make_skill(host), host)
    assert [each.code for each in caught.value.violations] == ["trust-unreadable"]


def test_a_file_that_others_can_write_is_an_error(host: Host) -> None:
    skill = make_skill(host)
    trust.grant(skill, host, ["a"])
    (host.data_dir / "trust.json").chmod(0o666)
    with pytest.raises(SpecError) as caught:
        trust.grants_for(skill, host)
    assert [each.code for each in caught.value.violations] == ["trust-unsafe"]
    with pytest.raises(SpecError):
        trust.grant(skill, host, ["b"])


def test_a_file_in_the_project_is_an_error(host: Host) -> None:
    here = replace(host, data_dir=host.directory / "data")
    trust_file = here.data_dir / "trust.json"
    trust_file.parent.mkdir()
    trust_file.write_text('{"version": 1, "projects": {}}')
    with pytest.raises(SpecError):
        trust.grants_for(make_skill(here), here)


def test_writers_at_the_same_time_lose_nothing(host: Host) -> None:
    skill = make_skill(host)
    threads = [threading.Thread(target=trust.grant, args=(skill, host, [f"g{n}"])) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trust.grants_for(skill, host) == {f"g{n}" for n in range(12)}


def test_the_whole_way(tmp_path: Path) -> None:
    host = make_host(tmp_path, environment={"MY_TOKEN": "s3cr3t"})
    host = replace(host, uid=os.getuid() or 1000)
    skill = make_skill(host, environment=("A=${MY_TOKEN}",), network="bridge", image="evil.io/x")
    first = decide.evaluate(skill, Request("t"), host, settings=settings.Settings(), grants=frozenset())
    assert first.verdict == "trust"
    assert {name for name, _ in trust.asks(first)} == {"registry:evil.io", "network:bridge", "env:MY_TOKEN"}
    shown = trust.question(first, ["image: old → new"])
    assert "env:MY_TOKEN" in shown
    assert "image: old → new" in shown
    assert "s3cr3t" not in shown
    with pytest.raises(PolicyError) as caught:
        first.raise_for_verdict()
    assert caught.value.liftable
    assert "skill trust t" in caught.value.hint
    granted = frozenset(name for name, _ in trust.asks(first))
    second = decide.evaluate(skill, Request("t"), host, settings=settings.Settings(), grants=granted)
    assert second.verdict == "allow"
    second.raise_for_verdict()


def test_grants_in_the_file_are_used(host: Host) -> None:
    skill = make_skill(host, image="evil.io/x")
    assert decision(skill, host).verdict == "trust"
    trust.grant(skill, host, ["registry:evil.io"])
    assert decision(skill, host).verdict == "allow"
    assert decision(skill, host).spec is not None
