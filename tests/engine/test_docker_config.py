"""Docker's own configuration never stops a run of an image that is here; for a pull its faults are named."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skill_magic.engine import Engine, Run, connect, ensure
from skill_magic.errors import EngineUnavailable, ImageError
from skill_magic.events import Output
from skill_magic.host import Host, discover

from .small_registry import SmallRegistry

pytestmark = pytest.mark.engine

CONFIGS: dict[str, bytes] = {
    name: value if isinstance(value, bytes) else json.dumps(value).encode()
    for name, value in {
        "auth empty": {"auths": {"ghcr.io": {"auth": ""}}},
        "auth no text": {"auths": {"ghcr.io": {"auth": "/zpw"}}},
        "auth no base64": {"auths": {"ghcr.io": {"auth": "!"}}},
        "auth null": {"auths": {"ghcr.io": {"auth": None}}},
        "entry null": {"auths": {"ghcr.io": None}},
        "entry a list": {"auths": {"ghcr.io": []}},
        "auths a list": {"auths": [1]},
        "headers": {"HttpHeaders": {"X-Meta": "x"}},
        "headers with an auth": {"HttpHeaders": {"auth": "x"}},
        "proxies null": {"proxies": None},
        "proxies a list": {"proxies": [1]},
        "proxies of proxies null": {"proxies": {"default": None}},
        "null": None,
        "a list": [1],
        "a text": "x",
        "helpers null": {"credHelpers": None, "credsStore": None},
        "helpers a list": {"credHelpers": [1]},
        "helper missing": {"credsStore": "none-such"},
        "unknown keys": {"zpw": {"auth": 1}, "plugins": [], "aliases": {"builder": "buildx"}},
        "detach keys": {"detachKeys": "no-such,key"},
        "byte order mark": b'\xef\xbb\xbf{"auths": {}}',
        "empty": b"",
        "broken": b'{"auths": {"x": ',
        "not UTF-8": b'{"a": "\xff"}',
        "nested": b"[" * 100_000,
        "current context of no text": {"currentContext": 5},
    }.items()
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "docker"
    path.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(path))
    monkeypatch.setattr(importlib.import_module("skill_magic.engine.connect"), "_engines", {})
    return path


@pytest.fixture
def registry(engine: Engine) -> Iterator[SmallRegistry]:
    with SmallRegistry() as registry:
        yield registry
    for image in engine.api.images():
        for tag in image.get("RepoTags") or ():
            if tag.startswith(registry.address):
                engine.api.remove_image(tag, force=True)


def runs(host: Host, make_spec: Callable[..., Any]) -> None:
    found = discover(host.directory).engine  # by the configuration in force
    events = list(Run(connect(Host(**{**vars(host), "engine": found})), make_spec("echo", "hi"), host))
    assert Output("stdout", b"hi\n") in events


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_local_image_runs(folder: Path, host: Host, make_spec: Callable[..., Any], config: bytes) -> None:
    (folder / "config.json").write_bytes(config)
    runs(host, make_spec)


def test_a_local_image_runs_where_the_configuration_is_no_file(
    folder: Path, host: Host, make_spec: Callable[..., Any]
) -> None:
    (folder / "config.json").mkdir()
    runs(host, make_spec)


@pytest.mark.parametrize("name", ["auth no text", "proxies null", "null", "nested", "helper missing"])
def test_the_command_says_nothing_of_it(folder: Path, host: Host, name: str) -> None:
    (folder / "config.json").write_bytes(CONFIGS[name])
    words = [sys.executable, "-m", "skill_magic", "run", "python-runner", "--", "-c", "print(1)"]
    done = subprocess.run(
        words, cwd=host.directory, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1\n", b"")


@pytest.mark.skipif(os.getuid() != 0, reason="another user's rights need root to take on")
def test_a_configuration_that_may_not_be_read(folder: Path, host: Host) -> None:
    """Of another person's, mode 600, as after `sudo docker login`."""
    assert host.engine is not None
    (folder / "config.json").write_text('{"auths": {}}')
    (folder / "config.json").chmod(0o600)
    for path in (folder, folder.parent, folder.parent.parent, folder.parent.parent.parent):
        path.chmod(path.stat().st_mode | 0o055)
    script = """
import os, docker
from skill_magic.engine.client import api_client
from skill_magic.engine.credentials import credentials
from skill_magic.host import EngineAddress
url = os.environ["DOCKER_HOST"]
os.setgroups([os.stat(url[7:]).st_gid]); os.setgid(65534); os.setuid(65534)
with api_client(EngineAddress(url, "DOCKER_HOST"), base_url=url, version="1.41") as client:
    print(client.ping(), credentials("ghcr.io").fault)
"""
    environment = {**os.environ, "DOCKER_HOST": host.engine.url}
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert out.stdout == f"True {folder}/config.json cannot be read: Permission denied\n", out


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"auths": {"REGISTRY": {"auth": "!"}}}, 'auths."REGISTRY".auth is not base64'),
        ({"auths": {"REGISTRY": [1]}}, 'auths."REGISTRY" is a list'),
        ([1], "the document is a list"),
    ],
)
def test_a_fault_that_matters_for_a_pull_is_named(
    folder: Path, host: Host, registry: SmallRegistry, config: Any, said: str
) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(config).replace("REGISTRY", registry.address))
    engine = connect(host)
    private = registry.fail("private:1", 401, "UNAUTHORIZED", "authentication required")
    with pytest.raises(ImageError) as caught:
        ensure(engine, private)
    assert caught.value.problem == "denied"
    assert str(path) in caught.value.hint
    assert said.replace("REGISTRY", registry.address) in caught.value.hint
    assert "systemctl" not in caught.value.hint
    # What needs no login is pulled, as docker pulls it.
    assert ensure(engine, registry.add("tool:1", sizes=[1000])).id


def test_a_context_that_is_not_there_or_broken_is_named(
    folder: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    (folder / "config.json").write_text('{"currentContext": "mine"}')
    meta = folder / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    for content in (None, b"{", b"[]", b'{"Endpoints": {"docker": null}}'):
        if content is not None:
            meta.mkdir(parents=True, exist_ok=True)
            (meta / "meta.json").write_bytes(content)
        with pytest.raises(EngineUnavailable) as caught:
            connect(Host(**{**vars(host), "engine": discover(host.directory).engine}))
        assert caught.value.problem == "no-context"
        assert f"'mine', which {folder}/config.json names" in caught.value.message
        assert "docker context use" in caught.value.hint
