"""The gates between a decision and a start: the policy's look at the image, and the comparison after
create."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from skill_magic.engine import Engine, Run, containers
from skill_magic.errors import PolicyError
from skill_magic.events import Output
from skill_magic.host import Host
from skill_magic.mounts import mounts
from skill_magic.spec import ImageFacts

pytestmark = pytest.mark.engine


def test_the_image_gate_sees_the_facts_and_can_refuse(go: Callable[..., Any], engine: Engine) -> None:
    seen: list[ImageFacts] = []

    def check(facts: ImageFacts) -> None:
        seen.append(facts)
        raise PolicyError("not this one", [])

    with pytest.raises(PolicyError, match="not this one"):
        go("echo", "hi", check_image=check)
    assert seen[0].id.startswith("sha256:")
    assert not [one for one in containers(engine) if one.ours]


@pytest.mark.parametrize(
    ("field", "value"),
    [("CapAdd", ["SYS_PTRACE"]), ("NetworkMode", "bridge"), ("ReadonlyRootfs", True), ("PidsLimit", 7)],
)
def test_what_was_made_otherwise_is_removed_and_never_started(
    engine: Engine,
    host: Host,
    make_spec: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    value: Any,
) -> None:
    create = engine.api.create_container_from_config

    def meddle(config: dict[str, Any], *arguments: Any) -> Any:
        changed = json.loads(json.dumps(config))
        changed["HostConfig"][field] = value
        return create(changed, *arguments)

    monkeypatch.setattr(engine.api, "create_container_from_config", meddle)
    run = Run(engine, make_spec("echo", "hi"), host)
    with pytest.raises(PolicyError) as caught:
        run.next()
    assert {violation.code for violation in caught.value.violations} == {"engine-differs"}
    assert any(field in violation.value for violation in caught.value.violations)
    assert not [one for one in containers(engine) if one.ours]


def test_a_mount_that_leads_elsewhere_by_now_is_refused(
    engine: Engine, host: Host, make_spec: Callable[..., Any]
) -> None:
    folder = host.directory / "data"
    folder.mkdir()
    mount = mounts.parse_volume(f"{folder}:/data", field="volumes[0]", host=host, base_dir=host.directory)

    def swap(facts: ImageFacts) -> None:
        folder.rename(host.directory / "moved")
        folder.symlink_to("/etc")

    with pytest.raises(PolicyError) as caught:
        list(Run(engine, make_spec("ls", "/data", mounts=(mount,)), host, check_image=swap))
    assert caught.value.violations[0].code == "mount-changed"
    assert not [one for one in containers(engine) if one.ours]


class TestPasswd:
    """A container that runs as an ordinary user knows who that is."""

    SCRIPT = "import getpass, os, pwd; print(getpass.getuser(), pwd.getpwuid(os.getuid()).pw_dir)"

    @pytest.mark.parametrize("read_only", [False, True])
    def test_an_unknown_uid(
        self, engine: Engine, host: Host, make_spec: Callable[..., Any], read_only: bool
    ) -> None:
        someone = dataclasses.replace(host, uid=54321, gid=54321, user="jo")
        spec = make_spec("python3", "-c", self.SCRIPT, user="54321:54321", read_only=read_only)
        events = list(Run(engine, spec, someone))
        assert Output("stdout", b"jo /tmp\n") in events
        made = [path.name for path in (host.cache_dir / "passwd").iterdir()]
        assert len([name for name in made if name.endswith("-54321-54321")]) == 1

    def test_a_uid_the_image_knows(self, engine: Engine, host: Host, make_spec: Callable[..., Any]) -> None:
        spec = make_spec("python3", "-c", self.SCRIPT, user="65534:65534")
        (text,) = [event.data for event in Run(engine, spec, host) if isinstance(event, Output)]
        assert text.startswith(b"nobody ")

    def test_a_passwd_of_the_manifests_own_stays(
        self, engine: Engine, host: Host, make_spec: Callable[..., Any]
    ) -> None:
        own = host.directory / "passwd"
        own.write_text("mine:x:54321:54321::/mine:/bin/sh\n")
        mount = mounts.parse_volume(
            f"{own}:/etc/passwd:ro", field="volumes[0]", host=host, base_dir=host.directory
        )
        spec = make_spec("python3", "-c", self.SCRIPT, user="54321:54321", mounts=(mount,))
        assert Output("stdout", b"mine /mine\n") in list(Run(engine, spec, host))

    def test_where_nothing_can_be_written(
        self, engine: Engine, host: Host, make_spec: Callable[..., Any]
    ) -> None:
        blocked = host.home / "file"
        blocked.touch()
        nowhere = dataclasses.replace(host, cache_dir=blocked / "cache")
        events = list(Run(engine, make_spec("id", "-u", user="54321:54321"), nowhere))
        assert Output("stdout", b"54321\n") in events
