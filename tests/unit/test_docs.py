"""What a person may type or set is documented; the README's tables are made from the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
