"""SECURITY.md and the package know the same codes, settings, registries and grants."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from skill_magic.flags.table import OPTIONS
from skill_magic.mounts import option as mount_option
from skill_magic.policy import mounts as policy_mounts
from skill_magic.policy import settings, trust

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

#: Calls whose first text is a code.
MAKERS = frozenset(
    (
        "Violation",
        "Fault",
        "violation",
        "refused",
        "_fault",
        "_FaultError",
        "BrokenError",
        "FileRefusedError",
    )
)


def documented() -> list[str]:
    """The codes of the tables below "Codes"."""
    section = PAGE.split("\n## Codes\n", 1)[1]
    return re.findall(r"^\| `([a-z0-9-]+)` \|", section, flags=re.MULTILINE)


def _texts(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def _codes_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for position, argument in enumerate(node.args[:4]):
                # The code comes first; later on (a path may stand before it) only what can be nothing else.
                first = position == 0 and name in MAKERS
                later = name in MAKERS or name == "invalid"
                yield from (text for text in _texts(argument) if first or (later and "-" in text))
            for keyword in node.keywords:
                if keyword.arg == "code":
                    yield from _texts(keyword.value)
        elif isinstance(node, ast.FunctionDef):
            names = [*node.args.posonlyargs, *node.args.args]
            pairs = [*zip(reversed(names), reversed(node.args.defaults), strict=False)]
            pairs += [
                (a, d)
                for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                if d is not None
            ]
            yield from (text for a, d in pairs if a.arg == "code" for text in _texts(d))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == "code":
                    yield from _texts(node.value)
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for name_node, value in zip(target.elts, node.value.elts, strict=False):
                        if isinstance(name_node, ast.Name) and name_node.id == "code":
                            yield from _texts(value)


@cache
def used() -> frozenset[str]:
    """Every code that the package can give."""
    found = {option.code for option in OPTIONS.values() if option.code}
    found |= {code for code, _ in policy_mounts._REASONS.values()}
    found |= {code for code, _ in mount_option._FOREIGN_TYPES.values()}
    for path in (ROOT / "skill_magic").rglob("*.py"):
        found |= set(_codes_in(ast.parse(path.read_text(encoding="utf-8"))))
    return frozenset(found)


def test_every_code_is_documented() -> None:
    assert used() - set(documented()) == set()


def test_every_documented_code_is_used() -> None:
    assert set(documented()) - used() == set()


def test_no_code_is_documented_twice() -> None:
    assert len(documented()) == len(set(documented()))


@pytest.mark.parametrize("code", documented())
def test_every_row_says_what_it_means_and_the_way_out(code: str) -> None:
    (row,) = re.findall(rf"^\| `{code}` \|(.*)\|$", PAGE.split("\n## Codes\n", 1)[1], flags=re.MULTILINE)
    meaning, _way_out, lifted = (cell.strip() for cell in row.split("|"))
    assert meaning
    assert lifted


def test_every_setting_is_documented() -> None:
    section = PAGE.split("\n## policy.toml\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", section, flags=re.MULTILINE)) == set(settings._READERS)


def test_every_registry_is_documented() -> None:
    (row,) = re.findall(r"^\| `registries` \|.*\| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert row.split(", ") == list(settings.REGISTRIES)


def test_what_a_grant_is_bound_to_is_documented() -> None:
    section = " ".join(
        PAGE.split("what runs and what it may touch: ", 1)[1].split("A change of one of these")[0].split()
    )
    assert set(re.findall(r"`([a-z_]+)`", section)) == {*trust.BOUND, "leading_args"}
    free = PAGE.split("A new description,", 1)[1].split("does not.", 1)[0]
    assert set(trust.FREE) <= set(re.findall(r"`([a-z_]+)`", free))
