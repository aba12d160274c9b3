"""Grants: bound to what runs and what it may touch and to the project, kept safely, void after a change of it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
from policy_helpers import make_host, make_skill

from skill_magic.command.parse import Request
from skill_magic.errors import PolicyError, SpecError
from skill_magic.host import Host
from skill_magic.manifest import layers
from skill_magic.manifest.layers import Docker, Skill
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


CHANGES: dict[str, object] = {
    "image": "debian:13",
    "entrypoint": "sh",
    "command": ("x",),
    "volumes": ("/data:/data",),
    "environment": ("A=${MY_TOKEN}",),
    "network": "bridge",
    "user": "1:1",
    "gpus": "all",
    "extra_args": ("--init",),
    "working_dir": "/x",
    "read_only": True,
    "platform": "linux/arm64",
}


@pytest.mark.parametrize(("key", "value"), CHANGES.items())
def test_a_change_of_what_runs_or_of_what_it_may_touch_voids_it(host: Host, key: str, value: object) -> None:
    trust.grant(make_skill(host), host, ["a"])
    after = make_skill(host, **{key: value})
    assert trust.grants_for(after, host) == frozenset()
    assert [*(trust.changed(after, host) or ())] == [key]


def test_every_key_of_the_manifest_is_bound_or_free() -> None:
    keys = {each.name for each in fields(Docker)}
    assert set(CHANGES) == set(trust.BOUND)
    assert set(trust.BOUND) | set(trust.FREE) == keys
    assert not set(trust.BOUND) & set(trust.FREE)


@pytest.mark.parametrize("change", [{"memory": "1g"}, {"cpus": "2"}, {"rm": False}])
def test_a_limit_may_change(host: Host, change: dict[str, object]) -> None:
    trust.grant(make_skill(host), host, ["a"])
    after = make_skill(host, **change)
    assert trust.grants_for(after, host) == {"a"}
    assert trust.changed(after, host) is None


MANIFEST = """
[skills.t]
description = "one"
[skills.t.docker]
image = "debian:12"
network = "db"
environment = ["A=1"]
"""


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (MANIFEST.replace('"one"', '"two"'), True),
        (MANIFEST.replace("[skills.t]", '[skills.t]\nsource = "debian:12"'), True),
        (MANIFEST + 'memory = "1g"\ncpus = "2"\nrm = false\n', True),
        (MANIFEST + '[skills.t.notebook]\ncell = "args"\n', True),
        ("# words\n" + MANIFEST.replace("\n[skills.t.docker]", "  # more\n[skills.t.docker]"), True),
        (
            '[skills.t.docker]\nenvironment = ["A=1"]\nnetwork = "db"\nimage = "debian:12"\n',
            True,
        ),
        (MANIFEST + '[skills.u.docker]\nimage = "debian:12"\n', True),
        (MANIFEST + '[skills.t.notebook]\nleading_args = ["-x"]\n', False),
        (MANIFEST.replace("A=1", "A=2"), False),
        (MANIFEST.replace("A=1", "A=1 "), False),
        (MANIFEST + 'extra_args = ["--memory=1g"]\n', False),
    ],
)
def test_words_comments_order_and_limits_of_a_manifest_do_not_ask_again(
    host: Host, text: str, same: bool
) -> None:
    file = host.directory / "skills.toml"
    file.write_text(MANIFEST)
    trust.grant(layers.load(host).find("t"), host, ["network:db"])
    file.write_text(text)
    skill = layers.load(host).find("t")
    assert trust.grants_for(skill, host) == (frozenset({"network:db"}) if same else frozenset())
    assert (trust.changed(skill, host) is None) is same


def test_an_entry_of_the_earlier_version_is_read_and_asked_again(host: Host) -> None:
    """That version hashed the whole table and the cell's meaning."""
    skill = make_skill(host)
    spec = {"docker": asdict(skill.docker), "cell": "stdin"}
    text = json.dumps(spec, sort_keys=True, ensure_ascii=True, default=list)
    entry = {
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "spec": spec,
        "grants": [{"grant": "a", "date": "2026-01-01T00:00:00+00:00"}],
    }
    host.data_dir.mkdir(parents=True, mode=0o700)
    file = host.data_dir / "trust.json"
    file.write_text(json.dumps({"version": 1, "projects": {str(host.directory): {"t": entry}}}))
    file.chmod(0o600)
    assert trust.grants_for(skill, host) == frozenset()
    assert trust.given(skill, host)
    assert trust.changed(skill, host) == {}
    assert [*(trust.changed(make_skill(host, memory="1g", image="debian:13"), host) or ())] == ["image"]
    assert trust.grant(skill, host, ["b"]) == {"b"}


@pytest.mark.parametrize("spec", [None, [], "x", {}, {"docker": []}, {"docker": {"image": 5}}])
def test_whatever_an_entry_says_it_was_for_is_no_crash(host: Host, spec: object) -> None:
    trust.grant(make_skill(host), host, ["a"])
    file = host.data_dir / "trust.json"
    data = json.loads(file.read_text())
    data["projects"][str(host.directory)]["t"]["spec"] = spec
    file.write_text(json.dumps(data))
    after = make_skill(host, image="debian:13")
    news = trust.changed(after, host)
    assert news is not None
    assert set(news) <= set(trust.BOUND)
    assert trust.grants_for(after, host) == frozenset()


def test_of_a_list_only_what_differs_is_told_and_no_secret(host: Host) -> None:
    before = make_skill(host, environment=("A=1", "DB_PASSWORD=old"), extra_args=("-e", "K_TOKEN=old"))
    trust.grant(before, host, ["a"])
    after = make_skill(
        host, environment=("DB_PASSWORD=new", "A=1", "B=2"), extra_args=("--env=K_TOKEN=new", "--init")
    )
    news = trust.changed(after, host) or {}
    assert news["environment"] == 'new "DB_PASSWORD=***", "B=2"; gone "DB_PASSWORD=***"'
    assert "--init" in news["extra_args"]
    assert not [text for text in news.values() if "old" in text or '=new"' in text]
    moved = make_skill(host, environment=("DB_PASSWORD=old", "A=1"), extra_args=("-e", "K_TOKEN=old"))
    assert trust.changed(moved, host) == {"environment": "the same in another order or number"}


def test_grants_for_several_skills_are_stored_by_skill_and_taken_back_together(host: Host) -> None:
    one, two = make_skill(host), replace(make_skill(host), name="u")
    trust.grant_all(host, [(one, ["a"]), (two, ["b", "c"])])
    assert trust.grants_for(one, host) == {"a"}
    assert trust.grants_for(two, host) == {"b", "c"}
    assert trust.of_project(host.directory, host) == {"t": {"a"}, "u": {"b", "c"}}
    elsewhere = replace(one, file=host.home / "skills.toml")
    trust.grant(elsewhere, host, ["a"])
    assert trust.revoke_project(host.directory, host) == ("t", "u")
    assert trust.of_project(host.directory, host) == {}
    assert trust.revoke_project(host.directory, host) == ()
    assert trust.grants_for(elsewhere, host) == {"a"}


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
