"""The documentation site, without building it: scripts/docs does that, and fails on broken links."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

import skill_magic
from skill_magic import host
from skill_magic.policy import decide

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "scripts"))

import _public  # noqa: E402  (a helper of scripts/docs)
import _tables  # noqa: E402

PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
DIRECTIVE = re.compile(r"^<!-- (table|file|section) (.+) -->$", flags=re.M)


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def navigation() -> list[str]:
    """The pages that mkdocs.yml names, read without a YAML parser: the unit tests install none."""
    section = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n", 1)[1]
    return re.findall(r"(\S+\.md)$", section.split("\n\n", 1)[0], flags=re.M)


def notebook_pages() -> list[str]:
    """The pages that scripts/_site.py makes of the notebooks."""
    return [f"tutorials/{path.stem}/index.md" for path in (ROOT / "notebooks").glob("*.ipynb")]


def directives(kind: str) -> list[str]:
    return [what for page in PAGES for found, what in DIRECTIVE.findall(text_of(page)) if found == kind]


def test_the_navigation_has_every_page_once_and_no_other() -> None:
    assert len(PAGES) > 20
    assert sorted(navigation()) == sorted([*PAGES, *notebook_pages()])


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_title(page: str) -> None:
    prose = re.sub(r"^( *)```.*?^\1```", "", text_of(page), flags=re.M | re.S)
    assert len(re.findall(r"^# ", prose, flags=re.M)) == 1


def test_every_public_name_is_on_the_page_of_the_api_once() -> None:
    named = re.findall(r"^::: skill_magic\.(\w+)$", text_of("reference/api.md"), flags=re.M)
    assert sorted(named) == sorted(skill_magic.__all__)


def test_every_public_name_and_parameter_is_documented() -> None:
    assert _public.undocumented() == []


def test_what_is_not_documented_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass
    class Kind:
        """:param told: what it is."""

        told: int
        silent: int

        @property
        def bare(self) -> int:
            return 0

        def method(self, told: int, silent: int) -> None:
            """:param told: what it is."""

    def function() -> None: ...

    for name, value in {"Kind": Kind, "function": function}.items():
        monkeypatch.setattr(skill_magic, name, value, raising=False)
    monkeypatch.setattr(skill_magic, "__all__", ["Kind", "function"])
    assert _public.undocumented() == ["Kind.silent", "Kind.bare", "Kind.method(silent)", "function"]


def test_every_table_of_the_code_is_on_a_page() -> None:
    assert sorted(directives("table")) == sorted(_tables.site_tables())


def test_the_pages_show_each_section_of_the_security_page_once() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", text, flags=re.M)
    (whole,) = (what for what in directives("file") if what.startswith("SECURITY.md"))
    left_out = whole.partition(" without ")[2].split(", ")
    elsewhere = [what.removeprefix("SECURITY.md ") for what in directives("section")]
    assert sorted(elsewhere) == sorted(left_out)
    assert set(left_out) <= set(sections)


def test_the_exit_codes_are_all_there() -> None:
    from skill_magic import cli

    shown = {
        int(code) for code in re.findall(r"^\| `(\d+)` \|", _tables.site_tables()["exit-codes"], flags=re.M)
    }
    assert {cli.USAGE, cli.UNWRITTEN, cli.TIMEOUT, cli.REFUSED, cli.KILLED, cli.BROKEN_PIPE} <= shown


@pytest.mark.parametrize("page", [page for page in PAGES if "```toml" in text_of(page)])
def test_the_manifests_of_a_page_are_read_without_a_fault(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may ask for grants; that is what some of them are there to show."""
    home, project = tmp_path / "home", tmp_path / "home/project"
    for folder in (project, home / "books"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PGPASSWORD", "secret")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    for text in re.findall(r"^```toml\n(.*?)^```", text_of(page), re.S | re.M):
        (project / "skills.toml").write_text(text)
        decisions = decide.check_all(dataclasses.replace(host.discover(project), home=home))
        assert decisions
        assert [
            (each.name, each.verdict) for each in decisions if each.verdict not in ("allow", "trust")
        ] == []
