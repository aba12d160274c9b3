"""One hostile manifest through every door: a shell and IPython in a real terminal, and a kernel's outputs."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from jupyter_client.manager import start_new_kernel

pytestmark = pytest.mark.slow

EVIL = (
    "\x1b]0;PWNED\x07\x1b[2J\x1b[1;1H\x9b2J\u202egnp\u2066\u2028FORGED\u2029FORGED\nFORGED\r\nFORGED\rFORGED"
    "\x85FORGED\x0bFORGED\u200b\u3164\U000e0041\x7f<img src=http://evil.test/x>![x](http://evil.test/y)$\\rule{9px}{9px}$"
)


def toml(text: str) -> str:
    """A basic string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


MANIFEST = f"""
[skills.told]
description = {toml("d" + EVIL)}
source = {toml("s" + EVIL)}
[skills.told.docker]
image = "python:3.12-slim"
command = [{toml("c" + EVIL)}]

[skills.asks]
description = {toml("d" + EVIL)}
[skills.asks.docker]
image = "registry.evil.test/x:1"
network = "other"
command = [{toml("c" + EVIL)}]

[skills.bad.docker]
image = {toml("i" + EVIL)}
entrypoint = {toml("e" + EVIL)}
volumes = [{toml("./" + EVIL + ":/x")}, {toml("./x:/${N" + EVIL + "}")}]
environment = [{toml("V" + EVIL + "=1")}, {toml("W=${X:?" + EVIL + "}")}]
working_dir = {toml("/w" + EVIL)}
user = {toml("u" + EVIL)}
network = {toml("n" + EVIL)}
memory = {toml("m" + EVIL)}
extra_args = [{toml("--o" + EVIL)}, {toml("--label=a" + EVIL)}, {toml("--device=" + EVIL)}]
{toml("k" + EVIL)} = {toml("v" + EVIL)}

[skills.{toml("n" + EVIL)}.docker]
image = "debian:12"

[skills.{toml("told" + EVIL)}]
{toml("k" + EVIL)} = 1
"""
VERBS = [
    *("list", "info told", "explain told", "explain asks", "explain bad", "check", "doctor", "bad", "asks"),
    *("trust asks", "trust bad", "pull bad", "info nowhere"),
]


def misused(text: str, allowed: str = "\r\n\t") -> set[str]:
    return {
        each
        for each in text
        if each not in allowed and unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }


def holds(text: str) -> None:
    """Nothing in it is obeyed, and nobody else has begun a line."""
    assert "PWNED" in text
    assert misused(text) == set()
    assert not re.search(r"[\r\n]FORGED", text)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the manifest, no engine, and none of the person's own files."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "DOCKER_CONTEXT", "SKILL_MAGIC_VIEW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    project = tmp_path / "project"
    project.mkdir()
    (project / "skills.toml").write_text(MANIFEST)
    return project


def spawn(place: Path, *words: str) -> Any:
    return pexpect.spawn(
        sys.executable, ["-m", *words], cwd=str(place), encoding="utf-8", timeout=60, dimensions=(60, 400)
    )


@pytest.mark.parametrize("words", VERBS)
def test_a_shell_in_a_terminal(place: Path, words: str) -> None:
    child = spawn(place, "skill_magic", *words.split())
    if words == "trust asks":
        child.expect_exact("[y/N]")
        child.sendline("n")
    child.expect(pexpect.EOF)
    said = child.before
    child.close()
    assert child.exitstatus in (0, 1, 2, 125)
    assert misused(said) == set()
    assert not re.search(r"[\r\n]FORGED", said)
    if words not in ("info told", "info nowhere", "asks", "trust asks", "explain asks"):
        assert "PWNED" in said
    machine = spawn(place, "skill_magic", *words.split()[:1], "--json", *words.split()[1:])
    if words != "trust asks":
        machine.expect(pexpect.EOF)
        assert misused(machine.before) == set()
    machine.close()


class TestIPython:
    @pytest.fixture
    def ipython(self, place: Path) -> Iterator[Any]:
        options = ["--simple-prompt", "--no-banner", "--colors=NoColor", "--HistoryManager.enabled=False"]
        child = spawn(place, "IPython", *options)
        child.expect_exact("In [1]: ")
        child.sendline("%load_ext skill_magic")
        child.expect_exact("In [2]: ")
        yield child
        child.close(force=True)

    def test_errors_and_answers_in_a_terminal(self, ipython: Any) -> None:
        number = 2
        lines = ["%skill run bad", "%skill bad", "%skill list", "%skill check", "%skill explain told"]
        lines += ["%skill explain bad", "%skill doctor", "%skill trust bad"]
        for line in lines:
            ipython.sendline(line)
            number += 1
            ipython.expect_exact(f"In [{number}]: ")
            holds(ipython.before)

    def test_with_the_traceback_too(self, ipython: Any) -> None:
        ipython.sendline("%config SkillMagics.short_errors = False")
        ipython.expect_exact("In [3]: ")
        # What led to the error is told as well, and is not the package's.
        ipython.sendline(
            "import skill_magic.errors, skill_magic.road as r; "
            "evil = 'PWNED' + chr(27) + '[2J' + chr(13) + 'FORGED' + chr(0x202e)"
        )
        ipython.expect_exact("In [4]: ")
        ipython.sendline(
            "def decide(*a):\n    try:\n        raise ValueError(evil)\n    except ValueError as e:\n"
            "        raise skill_magic.errors.EngineError(evil) from e\n\n"
        )
        ipython.expect_exact("In [5]: ")
        ipython.sendline("r.decide = decide")
        ipython.expect_exact("In [6]: ")
        ipython.sendline("%skill told")
        ipython.expect_exact("In [7]: ")
        assert "Traceback" in ipython.before
        assert "ValueError" in ipython.before
        holds(ipython.before)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import os

    base = tmp_path_factory.mktemp("kernel")
    (base / "project").mkdir()
    (base / "project/skills.toml").write_text(MANIFEST)
    environment = {**os.environ, "HOME": str(base), "IPYTHONDIR": str(base / "ipython")}
    environment |= {"DOCKER_HOST": "unix:///nowhere/docker.sock", "PYTHONWARNINGS": "ignore"}
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "SKILL_MAGIC_VIEW"):
        environment.pop(name, None)
    manager, client = start_new_kernel(cwd=str(base / "project"), env=environment)
    client.execute_interactive("%load_ext skill_magic", timeout=60, output_hook=lambda message: None)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def outputs(client: Any, line: str) -> list[str]:
    """Everything that a cell leaves in a notebook, piece by piece."""
    found: list[str] = []

    def take(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "error":
            found.extend([content["ename"], content["evalue"], *content["traceback"]])
        elif message["msg_type"] == "stream":
            found.append(content["text"])
        elif "data" in content:
            found.extend(value for value in content["data"].values() if isinstance(value, str))

    client.execute_interactive(line, timeout=60, output_hook=take, allow_stdin=False)
    return found


@pytest.mark.parametrize("words", [each for each in VERBS if each not in ("info nowhere", "info told")])
def test_a_notebook(kernel: Any, words: str) -> None:
    found = outputs(kernel, f"%skill {words}")
    assert found
    for text in found:
        assert misused(text, "\n") == set()
        assert not re.search(r"[\r\n]FORGED", text)
        if text.startswith("<"):  # HTML, which Markdown is to find no markup in either
            assert text.startswith('<div class="mathjax_ignore tex2jax_ignore"')
            assert "<img" not in text
            assert not set(text) & set("\n`[]!$\\")
