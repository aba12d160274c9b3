"""From a manifest to a verdict, with no engine."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from policy_helpers import codes, make_host, make_skill, make_spec

from skill_magic.command.parse import Request
from skill_magic.errors import PolicyError, SpecError
from skill_magic.findings import Violation
from skill_magic.host import EngineAddress, Host
from skill_magic.policy import decide
from skill_magic.policy.decide import Decision, check_all, evaluate, verdict_of
from skill_magic.policy.settings import Settings
from skill_magic.spec import ImageFacts

HARD = Violation("a", "f", "v", "r", "x")
LIFTABLE = Violation("b", "f", "v", "r", "x", grant="g")
INVALID = Violation("c", "f", "v", "r", "x", kind="invalid")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path, uid=os.getuid(), gid=os.getgid())


def write(host: Host, text: str) -> Path:
    path = host.directory / "skills.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ((), "allow"),
        ((LIFTABLE,), "trust"),
        ((LIFTABLE, INVALID), "error"),
        ((INVALID, HARD, LIFTABLE), "deny"),
        ((LIFTABLE, HARD), "deny"),
    ],
)
def test_the_worst_counts(found: tuple[Violation, ...], verdict: str) -> None:
    assert verdict_of(found) == verdict


@pytest.mark.parametrize(
    ("found", "error"),
    [((HARD,), PolicyError), ((LIFTABLE,), PolicyError), ((INVALID,), SpecError)],
)
def test_a_verdict_raises(found: tuple[Violation, ...], error: type[Exception]) -> None:
    decision = Decision(None, None, found, verdict_of(found), "t")
    with pytest.raises(error) as caught:
        decision.raise_for_verdict()
    shown = "\n".join(caught.value.lines())  # type: ignore[attr-defined]
    assert str(found[0].grant if decision.verdict == "trust" else found[0].code) in shown


def test_the_json_form(host: Host) -> None:
    path = write(host, '[skills.t.docker]\nimage = "debian:12"\nvolumes = [\n  "/cache",\n  "/etc:/e",\n]\n')
    (decision,) = check_all(host)
    (found,) = json.loads(json.dumps(decision.as_dict()))["violations"]
    assert set(decision.as_dict()) >= {"name", "verdict", "violations"}
    assert set(found) >= {"code", "field", "value", "reason", "fix", "liftable", "file", "line"}
    assert (found["code"], found["field"], found["liftable"]) == ("mount-system", "volumes[1]", False)
    assert (found["file"], found["line"]) == (str(path), 5)


def test_every_skill_of_the_project(host: Host) -> None:
    write(
        host,
        '[skills.b.docker]\nimage = "debian:12"\n[skills.a.docker]\nimage = "evil.io/x"\n'
        '[skills.c.docker]\nimage = "x:1"\nnetwork = "host"\n[skills.d.docker]\nimages = "x:1"\n',
    )
    found = {decision.name: decision.verdict for decision in check_all(host)}
    assert found == {"a": "trust", "b": "allow", "c": "deny", "d": "error"}


def test_the_bundled_skills_need_nothing(host: Host) -> None:
    found = check_all(host)
    assert len(found) >= 6
    assert {decision.verdict for decision in found} == {"allow"}


def test_the_bundled_skills_would_need_but_their_network_as_a_project(host: Host) -> None:
    for decision in check_all(host):
        assert decision.skill is not None
        skill = replace(decision.skill, origin="project", file=host.directory / "skills.toml")
        found = evaluate(skill, Request(skill.name), host, settings=Settings(), grants=frozenset())
        its_name = "add-host:host.docker.internal:host-gateway"
        expected = [] if skill.docker.network == "none" else ["network:bridge", its_name]
        assert [each.grant for each in found.violations] == expected, skill.name


def test_a_broken_file(host: Host) -> None:
    write(host, "[skills.t.docker\n")
    (decision,) = check_all(host)
    assert (decision.name, decision.verdict) == ("", "error")


def test_settings_that_cannot_be_relied_on(host: Host) -> None:
    host.config_dir.mkdir(parents=True)
    (host.config_dir / "policy.toml").write_text("nonsense = 1")
    (decision,) = check_all(host)
    assert (decision.verdict, codes(decision.violations)) == ("error", ["settings-key"])
    with pytest.raises(SpecError):
        evaluate(make_skill(host), Request("t"), host)


def test_grants_that_cannot_be_relied_on(host: Host) -> None:
    write(host, '[skills.t.docker]\nimage = "debian:12"\n')
    host.data_dir.mkdir(parents=True)
    (host.data_dir / "trust.json").write_text("nonsense")
    (decision,) = check_all(host)
    assert (decision.name, decision.verdict) == ("t", "error")


def test_a_path_to_a_project(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "sub").mkdir(parents=True)
    (other / "data").mkdir()
    text = '[skills.x.docker]\nimage = "debian:12"\nvolumes = ["${PWD}/data:/d", "./data:/e"]\n'
    (other / "skills.toml").write_text(text)
    for path in (other, other / "skills.toml", Path("../../../other")):
        (decision,) = check_all(host, path=path)
        assert (decision.name, decision.verdict) == ("x", "allow")
    inside = replace(host, directory=other / "sub")
    (decision,) = check_all(inside, path=Path("../skills.toml"))
    assert codes(decision.violations) == ["mount-missing", "mount-outside-rw"]


def test_hidden_credentials_are_told(host: Host) -> None:
    (host.home / ".config/gh").mkdir(parents=True)
    skill = make_skill(host, volumes=("${HOME}/.config:/c:ro",))
    given = frozenset({f"mount:ro:{host.home}/.config"})
    found = evaluate(skill, Request("t"), host, settings=Settings(), grants=given)
    assert found.verdict == "allow"
    assert found.spec is not None
    assert f"hidden from the container: {host.home}/.config/gh" in found.spec.notes


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_manifest_cannot_keep_us_busy(host: Host) -> None:
    many = tuple(f"/data{number}:/x{number}:ro" for number in range(5000))
    found = evaluate(
        make_skill(host, volumes=many), Request("t"), host, settings=Settings(), grants=frozenset()
    )
    assert codes(found.violations) == ["mount-too-many"]
    long = (f"/data{'/.' * 200_000}:/x:ro",)
    found = evaluate(
        make_skill(host, volumes=long), Request("t"), host, settings=Settings(), grants=frozenset()
    )
    assert codes(found.violations) == ["mount-syntax"]


def test_the_guards_are_in_the_spec(host: Host) -> None:
    (host.directory / ".git").mkdir()
    write(host, '[skills.t.docker]\nimage = "debian:12"\n')
    (decision,) = check_all(host)
    assert decision.spec is not None
    targets = [mount.target for mount in decision.spec.mounts]
    assert targets == ["/workdir", "/workdir/.git", "/workdir/skills.toml"]


def test_strict_gives_a_read_only_root(host: Host) -> None:
    skill = make_skill(host, image="debian@sha256:" + "a" * 64)
    found = evaluate(skill, Request("t"), host, settings=Settings(profile="strict"), grants=frozenset())
    assert found.verdict == "allow"
    assert found.spec is not None
    assert found.spec.read_only
    assert {mount.target for mount in found.spec.mounts if mount.kind == "tmpfs"} == {"/tmp", "/run"}


def test_an_engine_elsewhere_gets_no_folder_of_ours(host: Host) -> None:
    far = replace(host, engine=EngineAddress("ssh://box", "DOCKER_HOST"))
    found = evaluate(make_skill(far), Request("t"), far, settings=Settings(), grants=frozenset())
    assert found.verdict == "allow"
    assert found.spec is not None
    assert found.spec.mounts == ()
    assert any("another machine" in note for note in found.spec.notes)
    granted = frozenset({"remote-mounts"})
    again = evaluate(make_skill(far), Request("t"), far, settings=Settings(), grants=granted)
    assert again.spec is not None
    assert [mount.target for mount in again.spec.mounts] == ["/workdir"]


def test_a_fault_does_not_hide_a_refusal(host: Host) -> None:
    skill = make_skill(host, volumes=("/etc:/e", "${NOPE}:/x"), memory="lots")
    found = evaluate(skill, Request("t"), host, settings=Settings(), grants=frozenset())
    assert found.verdict == "deny"
    assert "mount-system" in codes(found.violations)
    assert len(found.violations) == 3


def test_the_image_is_looked_at_with_the_grants_of_the_spec(host: Host) -> None:
    here = replace(host, uid=1000)
    image = ImageFacts(id="x", user="root")
    spec = make_spec(here, user=None, user_field="user")
    with pytest.raises(PolicyError):
        decide.check_image(spec, image, here)
    decide.check_image(replace(spec, grants=frozenset({"uid0"})), image, here)


def test_what_an_image_needs_can_be_asked_for(host: Host) -> None:
    skill = make_skill(host, gpus="all")
    decision = evaluate(skill, Request("t"), host, settings=Settings(), grants=frozenset())
    assert decision.verdict == "allow"
    image = ImageFacts(id="x", environment=("LD_PRELOAD=/x.so",))
    found = decide.with_image(decision, image, host)
    assert (found.verdict, [each.grant for each in found.violations]) == ("trust", ["gpu-env:LD_PRELOAD"])
    assert decide.with_image(decision, ImageFacts(id="x"), host).verdict == "allow"


# --- our own files, in a home that is mounted -----------------------------------------------------


def at_home(host: Host) -> Host:
    return replace(host, directory=host.home, environment={**host.environment, "PWD": str(host.home)})


def test_a_run_cannot_plant_grants_or_settings(host: Host) -> None:
    """What does not exist cannot be hidden, so it is made before the mounts are planned."""
    home = at_home(host)
    own = [home.config_dir, home.data_dir, home.cache_dir]
    assert not any(directory.exists() for directory in own)
    skill = make_skill(home)
    decision = evaluate(skill, Request("t"), home, settings=Settings(allow_home_project=True))
    assert decision.verdict == "allow"
    assert decision.spec is not None
    masked = {mount.declared for mount in decision.spec.mounts if mount.kind == "mask"}
    assert masked >= {str(directory) for directory in own}
    assert [directory.stat().st_mode & 0o777 for directory in own] == [0o700] * 3


def test_nothing_is_made_where_no_run_could_write(host: Host) -> None:
    evaluate(make_skill(host), Request("t"), host, settings=Settings())
    evaluate(make_skill(host, volumes=(f"{host.home}/.local:/x:ro",)), Request("t"), host)
    assert not host.data_dir.exists()


def test_a_link_in_the_way_of_the_grants(host: Host) -> None:
    home = at_home(host)
    home.data_dir.parent.mkdir(parents=True)
    home.data_dir.symlink_to(home.home / "planted")
    with pytest.raises(SpecError) as caught:
        evaluate(make_skill(home), Request("t"), home, settings=Settings(allow_home_project=True))
    assert codes(caught.value.violations) == ["own-directory"]


@pytest.mark.parametrize("where", ["home", "shared"])
def test_a_directory_that_is_refused_is_not_walked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A whole home has many files; the refusal does not depend on them."""
    host = make_host(tmp_path)
    host = replace(host, directory=host.home if where == "home" else Path("/tmp"))

    def walked(*_: object, **__: object) -> None:
        raise AssertionError("it was walked through")

    monkeypatch.setattr("skill_magic.mounts.guards.walk", walked)
    decision = evaluate(make_skill(host), Request("t"), host)
    assert decision.verdict == "deny"
    assert {each.code for each in decision.violations} <= {"mount-home", "mount-system"}
