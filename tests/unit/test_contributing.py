"""What CONTRIBUTING.md and its neighbours name is there: paths, symbols, commands, verbs, links.

A path that moves or a symbol that gets another name fails here until the page says so too.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import skill_magic
from skill_magic.command.grammar import USABLE

ROOT = Path(__file__).parents[2]
NEIGHBOURS = (
    "docs/releasing.md",
    ".github/pull_request_template.md",
    ".github/ISSUE_TEMPLATE/bug_report.yml",
    ".github/ISSUE_TEMPLATE/feature_request.yml",
)

SPAN = re.compile(r"`([^`\n]+)`")
PLACE = re.compile(r"((?:`\w+`(?:, | and )?)+)\s+in\s+(?:a\s+)?`([^`\n]*/[^`\n]*)`")
"""Names and the file that defines them: "`RunSpec`, `Limits` in `skill_magic/spec.py`"."""

WORDS = {
    "--json", "--lab", "%load_ext", "%skill", "ALL", "docker", "docker run", "extra_args", "grant=", "python", "skill",
    "venv",
}  # fmt: skip
"""Code spans of CONTRIBUTING.md that are words of Docker, Python or our own grammar, and name nothing in the tree."""


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def places(text: str) -> list[tuple[str, str]]:
    """Each (symbol, file) that a page names."""
    return [(symbol, path) for names, path in PLACE.findall(text) for symbol in SPAN.findall(names)]


def defined(path: str) -> set[str]:
    """The names at the top of a file of Python; of a script for the shell its variables and functions."""
    text = page(path)
    if not path.endswith(".py"):
        return set(re.findall(r"^(\w+)(?:=|\(\))", text, re.MULTILINE))
    names: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def commands(text: str) -> Iterator[str]:
    """The lines of code blocks and the code spans, without their comments."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {7}(\S.*)$", text, re.MULTILINE)
    for line in [*"".join(blocks).splitlines(), *indented, *SPAN.findall(text)]:
        if words := re.sub(r"\s+#.*", "", line).strip():
            yield words


def options(script: str) -> str:
    """The text in which the options of a script stand; scripts/test hands on those of the test suite."""
    return page(script) + (page("tests/conftest.py") if script == "scripts/test" else "")


def fault(command: str) -> str:
    """What a command or path names that is not there; empty where all of it is."""
    first, *rest = command.replace("%skill", "skill").split()
    if first == "skill" and rest and rest[0] not in (*USABLE, "--version"):
        return f"{command}: no verb {rest[0]}"
    if first.startswith("scripts/") and rest and not os.access(ROOT / first, os.X_OK):
        return f"{command}: {first} cannot be run"
    for word in (first, *rest):
        word = word.split("::")[0]
        ours = "/" in word and not word.startswith(("/", ".venv/", "build/", "dist/")) and "=" not in word
        if ours and not (ROOT / word).exists():
            return f"{command}: no {word}"
        if first.startswith("scripts/") and word.startswith("--") and word not in options(first):
            return f"{command}: {first} has no {word}"
    return ""


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", *NEIGHBOURS])
def test_what_a_page_names_is_there(name: str) -> None:
    text = page(name)
    assert [said for said in map(fault, commands(text)) if said] == []
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    files = [link.replace("../blob/HEAD/", "") if name.startswith(".github") else link for link in links]
    assert [link for link in files if not (ROOT / link).exists()] == []


def test_what_is_not_there_would_be_noticed() -> None:
    """The test above can fail, in each of its ways."""
    assert list(commands("a\n```\nscripts/check  # all\n```\nand `x/y.py`")) == ["scripts/check", "x/y.py"]
    for command in (
        "scripts/chekc --quick",
        "scripts/check --slow",
        "scripts/test tests/unit/test_none.py",
        "skill_magic/none.py",
        "tests/none",
        "skill runn",
        "%skill runn",
    ):
        assert fault(command), command
    for command in ("scripts/test --nightly tests/unit", "%skill explain NAME -- ARGS", "git clone ADDRESS"):
        assert fault(command) == "", command
    assert "VERBS" in defined("skill_magic/command/grammar.py")
    assert not {"VERB", "re", "nearest.words"} & defined("skill_magic/command/grammar.py")
    assert {"images", "has_image"} <= defined("scripts/engine")


@pytest.mark.parametrize(("symbol", "path"), sorted(set(places(page("CONTRIBUTING.md")))))
def test_a_symbol_is_where_the_page_says(symbol: str, path: str) -> None:
    assert symbol in defined(path)


def test_every_code_span_is_looked_at() -> None:
    """What is neither a path, nor a command, nor a symbol with its place, is one of the few words that need no look."""
    text = page("CONTRIBUTING.md")
    known = {symbol for symbol, _ in places(text)} | WORDS
    plain = {span for span in SPAN.findall(text) if "/" not in span and not span.startswith("skill ")}
    named = {span for span in plain if (ROOT / span).exists() or span.startswith("SKILL_MAGIC_")}
    assert plain - known - named == set()


def test_the_page_answers_what_a_newcomer_asks() -> None:
    text = page("CONTRIBUTING.md")
    for heading in (
        "A verb",
        "An option of %skill",
        "An option of docker run",
        "A bundled skill",
        "A policy rule",
    ):
        [section] = re.findall(rf"^### {re.escape(heading)}.*?\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
        assert "tests/unit/" in section, heading
        assert places(section), heading


def test_five_commands_lead_from_a_clone_to_a_green_tree() -> None:
    [block] = re.findall(
        r"^## From a clone.*?^```\n(.*?)^```", page("CONTRIBUTING.md"), re.MULTILINE | re.DOTALL
    )
    typed = [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]
    assert typed == [
        "git clone ADDRESS skill_magic",
        "cd skill_magic",
        "scripts/setup",
        "scripts/check --quick",
        "scripts/test",
    ]


def test_the_number_of_a_version_is_the_same_everywhere() -> None:
    assert re.findall(r"^version: (.*)$", page("CITATION.cff"), re.MULTILINE) == [skill_magic.__version__]
