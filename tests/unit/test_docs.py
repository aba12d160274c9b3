"""What a person may type or set is documented; the README's tables are made from the code."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skill_magic import host
from skill_magic.background import Handle
from skill_magic.policy import decide
from skill_magic.result import RunResult

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_of_the_readme_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/readme", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_environment_variable_of_ours_is_documented() -> None:
    readme = (ROOT / "README.md").read_text()
    used: set[str] = set()
    for path in [*ROOT.glob("skill_magic/**/*.py"), *(ROOT / "scripts").iterdir()]:
        if path.is_file():
            used |= set(re.findall(r"\bSKILL_MAGIC_[A-Z_]+\b", path.read_text()))
    # Between our own scripts and our own tests; nobody else has a reason to set them.
    used -= {"SKILL_MAGIC_REQUIRE_ENGINE", "SKILL_MAGIC_TEST_RUN"}
    assert used
    assert {name for name in used if name not in readme} == set()


def test_relative_links_of_the_readme_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", readme) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_manifests_of_the_readme_need_but_what_they_are_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder outside the project is there to show that one asks for it."""
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    for folder in (project, home / "books"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    manifests = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert manifests
    for text in manifests:
        (project / "skills.toml").write_text(text)
        decisions = decide.check_all(dataclasses.replace(host.discover(project), home=home))
        assert decisions
        asked = [violation.grant for each in decisions for violation in each.violations]
        assert asked == ([f"mount:ro:{home}/books"] if "/books" in text else [])


def test_what_the_readme_says_of_a_result_and_a_handle_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    for letter, kind in (("r", RunResult), ("h", Handle)):
        names = set(re.findall(rf"`{letter}\.(\w+)", readme))
        assert len(names) > 3
        fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        known = {*dir(kind), *(field.name for field in fields)}
        assert names - known == set()
