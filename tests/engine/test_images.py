"""Images on the real engine: pulled from a real registry, with progress, stopped half-way, and every way to
fail."""

from __future__ import annotations

import base64
import json
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pace import pace

from skill_magic.engine import Engine, Run, ensure
from skill_magic.engine.credentials import credentials
from skill_magic.engine.images import inspect
from skill_magic.errors import GpuUnavailable, ImageError
from skill_magic.events import Finished, Pulling
from skill_magic.host import Host
from skill_magic.spec import Gpus

from .small_registry import SmallRegistry

pytestmark = pytest.mark.engine

MIB = 1 << 20


@pytest.fixture
def registry(engine: Engine) -> Iterator[SmallRegistry]:
    with SmallRegistry() as registry:
        yield registry
    for image in engine.api.images():
        for tag in image.get("RepoTags") or ():
            if tag.startswith(registry.address):
                engine.api.remove_image(tag, force=True)


def test_a_local_image_is_not_pulled(engine: Engine) -> None:
    events: list[Pulling] = []
    facts = ensure(engine, "python:3.12-slim", emit=events.append)
    assert events == []
    assert facts.id.startswith("sha256:")
    assert facts.architecture
    assert any(one.startswith("PATH=") for one in facts.environment)


def test_pull_with_progress(engine: Engine, registry: SmallRegistry) -> None:
    sizes = [6 * MIB, 3 * MIB, 100]
    image = registry.add("tool:1", sizes=sizes, rate=6 * MIB)
    events: list[Pulling] = []
    facts = ensure(engine, image, emit=events.append)
    assert inspect(engine, image) == facts
    assert facts.digest is not None
    assert facts.digest.startswith("sha256:")
    amounts = [event.current for event in events]
    assert amounts == sorted(amounts), "progress never goes back"
    assert len(set(amounts)) >= 5, "it moves"
    totals = [event.total for event in events if event.total is not None]
    assert totals == sorted(totals)
    assert totals[-1] == pytest.approx(sum(sizes), rel=0.01), "random bytes do not get smaller when packed"
    last = events[-1]
    assert last.current == last.total
    assert last.layers == (3, 3)


def test_the_image_of_a_digest(engine: Engine, registry: SmallRegistry) -> None:
    image = registry.add("tool:1", sizes=[1000])
    digest = ensure(engine, image).digest
    by_digest = f"{image.rsplit(':', 1)[0]}@{digest}"
    assert ensure(engine, by_digest).digest == digest


def test_a_stopped_pull_leaves_nothing(engine: Engine, registry: SmallRegistry) -> None:
    image = registry.add("slow:1", sizes=[40 * MIB], rate=4 * MIB)
    stop = threading.Event()
    asked = 0.0

    def emit(event: Pulling) -> None:
        nonlocal asked
        if event.current > 2 * MIB and not stop.is_set():
            asked = time.monotonic()
            stop.set()

    with pytest.raises(ImageError) as caught:
        ensure(engine, image, emit=emit, cancelled=stop.is_set)
    assert time.monotonic() - asked < 1.0 * pace()
    assert caught.value.problem == "stopped"
    time.sleep(0.5)
    requests = len(registry.asked)
    time.sleep(1.5)
    assert len(registry.asked) == requests, "the engine goes on with it"
    assert inspect(engine, image) is None


def test_a_run_can_be_stopped_while_it_pulls(
    engine: Engine, registry: SmallRegistry, host: Host, make_spec: Callable[..., Any]
) -> None:
    image = registry.add("slow:1", sizes=[40 * MIB], rate=4 * MIB)
    run = Run(engine, make_spec(image=image), host)
    while not (isinstance(event := run.next(10), Pulling) and event.current > MIB):
        assert event is not None
    asked = time.monotonic()
    run.stop()
    *_, last = run
    assert time.monotonic() - asked < 1.5 * pace()
    assert isinstance(last, Finished)
    assert (last.state, last.exit_code) == ("stopped", None)
    assert inspect(engine, image) is None


def test_never_and_always(engine: Engine, registry: SmallRegistry) -> None:
    image = registry.add("tool:1", sizes=[1000])
    with pytest.raises(ImageError) as caught:
        ensure(engine, image, pull="never")
    assert caught.value.problem == "not-local"
    ensure(engine, image)
    before = len(registry.asked)
    ensure(engine, image, pull="never")
    ensure(engine, image)
    assert len(registry.asked) == before
    ensure(engine, image, pull="always")
    assert len(registry.asked) > before


def problem_of(engine: Engine, image: str, **options: Any) -> ImageError:
    with pytest.raises(ImageError) as caught:
        ensure(engine, image, **options)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_unknown_tag_and_unknown_repository(engine: Engine, registry: SmallRegistry) -> None:
    registry.add("tool:1", sizes=[1000])
    for name in ("tool:2", "no-such-tool:1"):
        error = problem_of(engine, f"{registry.address}/{name}")
        assert error.problem == "unknown", error
        assert name in error.message


def test_rate_limit(engine: Engine, registry: SmallRegistry) -> None:
    words = "You have reached your unauthenticated pull rate limit."
    error = problem_of(engine, registry.fail("tool:1", 429, "TOOMANYREQUESTS", words))
    assert error.problem == "rate-limit"


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (403, "DENIED")])
def test_no_right_to_it(engine: Engine, registry: SmallRegistry, status: int, code: str) -> None:
    error = problem_of(engine, registry.fail("private:1", status, code, "access to the resource is denied"))
    assert error.problem == "denied"
    assert "docker login" in error.hint


def test_unreachable_registry(engine: Engine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        error = problem_of(engine, f"127.0.0.1:{taken.getsockname()[1]}/tool:1")
    assert error.problem == "unreachable"
    assert problem_of(engine, "registry.invalid/tool:1").problem == "unreachable"


def test_what_is_no_name_of_an_image(engine: Engine) -> None:
    assert problem_of(engine, "127.0.0.1:5000/Upper Case").problem == "unknown"


def test_no_such_platform(engine: Engine, registry: SmallRegistry) -> None:
    image = registry.add("tool:1", sizes=[1000], indexed=True)
    error = problem_of(engine, image, platform="linux/s390x")
    assert error.problem == "platform"
    assert "s390x" in error.message


def test_a_local_image_of_another_platform_is_not_taken(engine: Engine) -> None:
    have = ensure(engine, "python:3.12-slim").architecture
    assert inspect(engine, "python:3.12-slim", platform=f"linux/{have}") is not None
    assert inspect(engine, "python:3.12-slim", platform="linux/s390x") is None
    assert problem_of(engine, "python:3.12-slim", platform="linux/s390x", pull="never").problem == "not-local"


def test_the_persons_own_credentials_are_used(
    engine: Engine, registry: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    # base64 of "jo:secret", as `docker login` writes it
    auths = {"auths": {registry.address: {"auth": "am86c2VjcmV0"}}}
    (folder / "config.json").write_text(json.dumps(auths))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    image = registry.add("tool:1", sizes=[1000])
    ensure(engine, image)
    # Nothing of the person's proxies or logins goes into a container or a message; the engine alone is told.
    sent = json.loads(base64.urlsafe_b64decode(credentials(registry.address).header))
    assert sent == {"serveraddress": registry.address, "username": "jo", "password": "secret"}


def test_a_broken_credential_helper_is_named(
    engine: Engine, registry: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    helpers = {"credHelpers": {registry.address: "broken"}}
    (folder / "config.json").write_text(json.dumps(helpers))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    image = registry.add("tool:1", sizes=[1000])
    missing = problem_of(engine, image)
    assert "credential" in missing.message
    assert "credHelpers" in missing.hint
    program = folder / "docker-credential-broken"
    program.write_text("#!/bin/sh\necho 'no keyring here' >&2\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    assert "credential" in problem_of(engine, image).message


def test_a_skill_that_wants_a_gpu_pulls_nothing_where_there_is_none(
    engine: Engine, registry: SmallRegistry, host: Host, make_spec: Callable[..., Any]
) -> None:
    if "nvidia" in (engine.info.get("Runtimes") or {}):
        pytest.skip("this engine has GPUs")
    image = registry.add("cuda:1", sizes=[1000])
    with pytest.raises(GpuUnavailable, match="nvidia-container-toolkit"):
        list(Run(engine, make_spec(image=image, gpus=Gpus(count=-1)), host))
    assert registry.asked == []
