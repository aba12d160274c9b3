"""Docker's own configuration: what it has for a registry, and what is the matter with it."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from skill_magic.engine.credentials import SIZE_LIMIT, credentials
from skill_magic.errors import ImageError


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def put(config: Any) -> Path:
        path = tmp_path / "config.json"
        path.write_bytes(config if isinstance(config, bytes) else json.dumps(config).encode())
        return path

    return put


def sent(registry: str = "ghcr.io") -> dict[str, str]:
    found = credentials(registry)
    assert found.fault == ""
    if not found.header:
        return {}
    value: dict[str, str] = json.loads(base64.urlsafe_b64decode(found.header))
    assert value.pop("serveraddress") == registry
    return value


JO = {"username": "jo", "password": "s:e:c"}

READ: dict[str, tuple[Any, dict[str, str]]] = {
    "nothing": ({}, {}),
    "null": (None, {}),
    "empty file": (b"", {}),
    "blank file": (b" \n\n", {}),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps({"auths": {"ghcr.io": {"auth": b64("jo:s:e:c")}}}).encode(), JO),
    "auth": ({"auths": {"ghcr.io": {"auth": b64("jo:s:e:c")}}}, JO),
    "auth with line ends": ({"auths": {"ghcr.io": {"auth": b64("jo:s:e:c") + "\n"}}}, JO),
    "auth padded with NUL": ({"auths": {"ghcr.io": {"auth": b64("jo:s:e:c\0\0")}}}, JO),
    "auth of a whole address": ({"auths": {"https://ghcr.io/v2/": {"auth": b64("jo:s:e:c")}}}, JO),
    "auth empty": ({"auths": {"ghcr.io": {"auth": ""}}}, {}),
    "auth null": ({"auths": {"ghcr.io": {"auth": None}}}, {}),
    "auth of no text": ({"auths": {"ghcr.io": {"auth": "/zpw"}}}, {"username": "\ufffd", "password": "p"}),
    "entry empty": ({"auths": {"ghcr.io": {}}}, {}),
    "entry null": ({"auths": {"ghcr.io": None}}, {}),
    "auths null": ({"auths": None}, {}),
    "username and password": ({"auths": {"ghcr.io": {"username": "jo", "password": "s:e:c", "email": "x"}}}, JO),
    "token": ({"auths": {"ghcr.io": {"auth": "", "identitytoken": "t"}}}, {"identitytoken": "t"}),
    "another registry's fault": ({"auths": {"a.io": 5, "b.io": [], "ghcr.io": {"auth": b64("jo:s:e:c")}}}, JO),
    "helpers null": ({"credHelpers": None, "credsStore": None, "auths": {"ghcr.io": {"auth": b64("jo:s:e:c")}}}, JO),
    "helper of another registry": ({"credHelpers": {"a.io": "none-such"}}, {}),
    "helper empty": ({"credHelpers": {"ghcr.io": ""}, "credsStore": ""}, {}),
    "unknown keys": ({"HttpHeaders": {"auth": "x"}, "proxies": None, "zpw": [1], "currentContext": "gone"}, {}),
    "headers alone": ({"HttpHeaders": {"User-Agent": "x"}, "detachKeys": "no-such,key"}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("config", "expected"), READ.values(), ids=READ)
def test_what_docker_reads(write: Any, config: Any, expected: dict[str, str]) -> None:
    write(config)
    assert sent() == expected


def test_no_file_is_no_fault(write: Any, tmp_path: Path) -> None:
    assert sent() == {}
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hubs_names(write: Any, key: str) -> None:
    write({"auths": {key: {"auth": b64("jo:s:e:c")}}})
    assert sent("docker.io") == JO


FAULTS: dict[str, tuple[Any, str]] = {
    "not JSON": (b'{"auths": {"x": ', "is not JSON (line 1, column 17"),
    "not UTF-8": (b'{"a": "\xff"}', "is not UTF-8 (byte 7)"),
    "a list": ([1], "the document is a list, not a JSON object"),
    "a number": (5, "the document is a number"),
    "nested": (b"[" * 100_000, "nested too deeply"),
    "a number without end": (b'{"a": ' + b"9" * 100_000 + b"}", "a number too long"),
    "large": (b" " * (SIZE_LIMIT + 1), "larger than 8 MiB"),
    "auths a list": ({"auths": []}, "auths is a list"),
    "auths a text": ({"auths": "x"}, "auths is a text"),
    "entry a text": ({"auths": {"ghcr.io": "jo:secret"}}, 'auths."ghcr.io" is a text, not a JSON object'),
    "auth a number": ({"auths": {"ghcr.io": {"auth": 7}}}, 'auths."ghcr.io".auth is a number, not a text'),
    "auth no base64": ({"auths": {"ghcr.io": {"auth": "jo:secret"}}}, 'auths."ghcr.io".auth is not base64'),
    "auth not ASCII": ({"auths": {"ghcr.io": {"auth": "äöü"}}}, 'auths."ghcr.io".auth is not base64'),
    "auth without a colon": ({"auths": {"ghcr.io": {"auth": b64("secret")}}}, "is not the base64 of USER:PASSWORD"),
    "password a list": ({"auths": {"ghcr.io": {"password": ["secret"]}}}, 'auths."ghcr.io".password is a list'),
    "helpers a list": ({"credHelpers": ["x"]}, "credHelpers is a list"),
    "helper a number": ({"credHelpers": {"ghcr.io": 7}}, 'credHelpers."ghcr.io" is a number'),
    "store an object": ({"credsStore": {}}, "credsStore is an object"),
}  # fmt: skip


@pytest.mark.parametrize(("config", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_names_the_file_and_the_entry(write: Any, config: Any, expected: str) -> None:
    path = write(config)
    found = credentials("ghcr.io")
    assert found.header == ""
    assert found.fault.startswith(str(path))
    assert expected in found.fault
    assert "secret" not in found.fault


def test_what_is_no_file(write: Any, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.mkdir()
    assert credentials("ghcr.io").fault == f"{path} cannot be read: it is no regular file"
    path.rmdir()
    os.mkfifo(path)
    assert credentials("ghcr.io").fault == f"{path} cannot be read: it is no regular file"
    path.unlink()
    path.symlink_to(path)
    assert credentials("ghcr.io").fault == f"{path} cannot be read: Too many levels of symbolic links"


def a_helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "docker-credential-mine"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    "config", [{"credsStore": "mine"}, {"credHelpers": {"ghcr.io": "mine"}, "credsStore": "other"}]
)
def test_a_helper_is_asked(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Any) -> None:
    write(config)
    a_helper(tmp_path, monkeypatch, 'cat >&2; echo \'{"Username": "jo", "Secret": "s:e:c"}\'')
    assert sent() == JO
    a_helper(tmp_path, monkeypatch, 'echo \'{"Username": "<token>", "Secret": "t"}\'')
    assert sent() == {"identitytoken": "t"}
    a_helper(tmp_path, monkeypatch, "echo 'credentials not found in native keychain'; exit 1")
    assert sent() == {}


@pytest.mark.parametrize(
    "script", ["exit 3", "echo '{}'", "echo '[1]'", "echo nonsense", "echo null", "kill $$"]
)
def test_a_helper_that_does_not_work_is_named(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    path = write({"credHelpers": {"ghcr.io": "mine"}})
    a_helper(tmp_path, monkeypatch, script)
    with pytest.raises(ImageError) as caught:
        credentials("ghcr.io")
    assert caught.value.problem == "denied"
    assert "docker-credential-mine" in caught.value.hint
    assert f'{path} names (credHelpers."ghcr.io")' in caught.value.hint
