"""Why a program was not executed: what needs no engine of it. The causes themselves are tried on a real one."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plan_world import make_host

from skill_magic.command.parse import Request
from skill_magic.engine import image_look, unstarted
from skill_magic.engine.life import Life
from skill_magic.errors import EngineError
from skill_magic.manifest import layers
from skill_magic.policy.decide import evaluate_named
from skill_magic.spec import ImageFacts, RunSpec

HERE = {"Arch": "amd64"}


class Api:
    """An engine that answers what it is told, whatever it is asked."""

    base_url, api_version = "http://engine", "1.41"

    def __init__(self, header: str = "", status: int = 200, body: bytes = b"") -> None:
        self.answer = SimpleNamespace(
            status_code=status,
            headers={"X-Docker-Container-Path-Stat": header},
            iter_content=lambda size: iter([body]),
        )

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"Path": "/tool", "Config": {}}

    @contextlib.contextmanager
    def head(self, url: str, **options: Any) -> Iterator[Any]:
        yield self.answer

    get = head

    def _raise_for_status(self, answer: Any) -> None:
        if answer.status_code >= 400:
            raise EngineError("no")


def engine(**answers: Any) -> Any:
    return SimpleNamespace(api=Api(**answers), version=HERE, podman=False, local=True)


def packed(**stat: Any) -> str:
    return base64.b64encode(json.dumps(stat).encode()).decode()


def look(code: int = 127, said: bytes = b"", architecture: str = "amd64", **answers: Any) -> str:
    facts = ImageFacts("i", architecture=architecture)
    return unstarted.look(engine(**answers), "c", RunSpec("t", "i"), HOST, facts, code, said)


HOST: Any = None


@pytest.fixture(autouse=True)
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_look, "opened", lambda *_: contextlib.nullcontext("c"))


@pytest.mark.parametrize(
    "answers",
    [
        {"header": "!"},
        {"header": packed()},
        {"header": packed(mode="x")},
        {"header": base64.b64encode(b"[]").decode()},
        {"status": 500},
        {"header": packed(mode=0o755), "body": b"no tar"},
        {"header": packed(mode=0o755), "body": b""},
        {"header": packed(mode=1 << 27, linkTarget="/tool")},  # a link to itself
    ],
)
def test_an_answer_that_is_not_understood_costs_only_the_hint(answers: dict[str, Any]) -> None:
    assert look(**answers) in ("", "the program /tool does not exist in the container")


def test_what_the_engine_says_of_a_path() -> None:
    assert look(status=404) == "the program /tool does not exist in the container"
    assert look(header=packed(mode=1 << 31 | 0o755)) == "/tool is a directory and no program"
    assert look(126, header=packed(mode=0o644)) == "/tool is not executable: chmod +x"
    assert look(126, header=packed(mode=1 << 25 | 0o644)) == ""  # a pipe is not read


@pytest.mark.parametrize(
    ("code", "said", "wanted"),
    [
        (127, b"", True),
        (126, b"x", True),
        (1, b"[FATAL tini (7)] exec /x failed: Exec format error", True),
        (2, b'/workdir/arm: 1: Syntax error: "(" unexpected', True),
        (0, b"Syntax error: x", False),
        (1, b"Traceback (most recent call last):", False),
        (2, b"", False),
        (1, b"ERROR: syntax error at or near", False),
    ],
)
def test_when_a_look_is_taken(code: int, said: bytes, wanted: bool) -> None:
    assert unstarted.look_wanted(code, said) is wanted


@pytest.mark.parametrize(
    ("architecture", "platform", "told"),
    [("arm64", None, True), ("arm64", "linux/arm64", False), ("amd64", None, False), ("386", None, False),
     ("", None, False), ("x86_64", None, False), ("riscv64", None, True)],
)  # fmt: skip
def test_another_processor_is_told_before_the_run(
    architecture: str, platform: str | None, told: bool
) -> None:
    note = unstarted.note(
        engine(), RunSpec("t", "i", platform=platform), ImageFacts("i", architecture=architecture)
    )
    assert bool(note) is told
    assert not told or (f"linux/{architecture}" in note and "linux/amd64" in note)


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [(1, b"", True), (127, b"x", True), (1, b"[FATAL tini (7)] exec /prog failed: Exec format error", True),
     (1, b"Traceback", False), (3, b"error: no such table", False)],
)  # fmt: skip
def test_a_failure_under_emulation_is_not_the_processors(code: int, said: bytes, told: bool) -> None:
    assert ("linux/arm64" in look(code, said, "arm64", status=404)) is told


@pytest.mark.parametrize("podman", [True, False])
def test_podman_names_its_machine_itself(tmp_path: Path, podman: bool) -> None:
    """And before 4.7 it refuses ``host-gateway``. What else a manifest asks for goes to either."""
    host = make_host(tmp_path)
    spec = evaluate_named(layers.load(host), Request("redis", ("PING",)), host).spec
    assert spec is not None
    engine: Any = SimpleNamespace(podman=podman, api=None)
    life = Life(engine, spec, host, stdin=None, check_image=None, keep=False)
    hosts = life._body(spec, ImageFacts("sha256:1"))["HostConfig"]["ExtraHosts"]
    assert hosts == ([] if podman else ["host.docker.internal:host-gateway"])
