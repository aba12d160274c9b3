"""Every message that the package has in its source, found by its constructors: their form is the same everywhere.

An error says what is wrong in its first line, and the way out in its hint; both begin in lower case and end without a
full stop, since they stand behind "CommandError: " and "hint: ". A finding has sentences.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "skill_magic"

HINTS = {
    "CommandError": 1,
    "SkillNotFound": 1,
    "EngineError": 1,
    "EngineUnavailable": 1,
    "EngineLost": 1,
    "ImageError": 1,
    "GpuUnavailable": 1,
    "SkillError": 1,
    "SpecError": 2,
    "ManifestError": 2,
    "PolicyError": 2,
    "untrusted": 2,
}
"""Error → which of its arguments is the hint; the message is the first."""

SENTENCES = {
    "Violation": (3, 4),
    "violation": (3, 4),
    "Fault": (1, 2),
    "BrokenError": (1, 2),
    "_FaultError": (3, 4),
}
"""Finding → which of its arguments are the reason and the fix."""

NAMES = ("Docker", "DOCKER_HOST", "SKILL_MAGIC_VIEW", "Linux", "Podman", "I/O")
"""Words that begin with a capital wherever they stand."""

HOLE = "\0"
"""Stands for what is filled in."""


def texts(node: ast.expr | None, scope: ast.AST) -> Iterator[str]:
    """What ``node`` may say, as far as the source tells."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        said = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
        yield "".join(map(str, said))
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body, scope)
        yield from texts(node.orelse, scope)
    elif isinstance(node, ast.BinOp):
        for left in texts(node.left, scope):
            for right in texts(node.right, scope):
                yield left + right
    elif isinstance(node, ast.Name):
        for each in ast.walk(scope):
            if isinstance(each, ast.Assign):
                for target in each.targets:
                    yield from assigned(target, each.value, node.id, scope)
    elif node is not None:
        yield HOLE


def assigned(target: ast.expr, value: ast.expr, name: str, scope: ast.AST) -> Iterator[str]:
    if isinstance(target, ast.Name) and target.id == name and not uses(value, name):
        yield from texts(value, scope)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=False):
            yield from assigned(one, other, name, scope)


def uses(value: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(value))


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[position] if position < len(call.args) else None


@cache
def calls() -> tuple[tuple[str, str, ast.Call, ast.AST], ...]:
    """(place, name, call, the function it stands in or the module) of each constructor."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ast.parse(file.read_text())
        scopes: list[ast.AST] = [each for each in ast.walk(module) if isinstance(each, ast.FunctionDef)]
        inner = {id(each): scope for scope in scopes for each in ast.walk(scope)}
        for each in ast.walk(module):
            if isinstance(each, ast.Call):
                of = each.func
                name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
                place = f"{file.relative_to(PACKAGE)}:{each.lineno}"
                found.append((place, name, each, inner.get(id(each), module)))
    return tuple(found)


def messages() -> Iterator[tuple[str, str, str]]:
    """(place, what it is, its text)."""
    for place, name, call, scope in calls():
        if name in HINTS:
            yield from ((place, "message", text) for text in texts(argument(call, 0, "message"), scope))
            yield from ((place, "hint", text) for text in texts(argument(call, HINTS[name], "hint"), scope))
        elif name in SENTENCES:
            reason, fix = SENTENCES[name]
            yield from ((place, "reason", text) for text in texts(argument(call, reason, "reason"), scope))
            yield from ((place, "fix", text) for text in texts(argument(call, fix, "fix"), scope))
        elif name == "invalid":  # of readers: reason and fix; behind the flag, where it is of one
            first = int(
                isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "wanted"
            )
            for at, kind in ((first, "reason"), (first + 1, "fix")):
                yield from ((place, kind, text) for text in texts(argument(call, at, kind), scope))


def faults(kind: str, text: str) -> Iterator[str]:
    """What is wrong with the form of a text."""
    if not text:
        return
    words = text.replace(HOLE, "{}")
    start = text.startswith(NAMES) or not text[0].isalpha()
    if kind in ("message", "hint"):
        if text[0].isupper() and not start:
            yield f"begins with a capital: {words}"
        if text.endswith("."):
            yield f"ends with a full stop: {words}"
    else:
        if text[0].islower() and not re.match(r"[a-z]+[-_/(\d]|nocopy|tmpfs", text):
            yield f"begins in lower case: {words}"
        if not text.endswith((".", "?", ", or", HOLE, '."', ")")):
            yield f"is no sentence: {words}"
    if "  " in text.strip() and kind != "message":
        yield f"two blanks: {words}"
    if re.search(r"\bExceptions?\b|docker-py|requests\.|urllib3|errno|traceback", text, re.IGNORECASE):
        yield f"speaks of the program: {words}"
    if re.search(
        r"(?<![`\w/.%$-])%?skill (run|list|info|explain|check|trust|pull|ps|stop|logs|clean)\b", text
    ):
        outside = re.sub(r"`[^`]*`", "", text)
        if re.search(
            r"(?<![\w'-])%?skill (list|info|explain|check|trust|pull|ps|stop|logs|clean)\b", outside
        ):
            yield f"a command without backticks: {words}"
    if re.search(r"\(s\)", text):
        yield f"neither one nor many: {words}"


def test_the_form_of_every_message_is_the_same() -> None:
    found = [f"{place}: {kind} {fault}" for place, kind, text in messages() for fault in faults(kind, text)]
    assert not found, "\n".join(found)


def test_there_are_as_many_as_one_can_see() -> None:
    kinds = [kind for _, kind, _ in messages()]
    assert {kind: kinds.count(kind) > 50 for kind in set(kinds)} == {
        "message": True, "hint": True, "reason": True, "fix": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("message", "There is no run"),
        ("message", "there is no run."),
        ("hint", "Give more of it"),
        ("hint", "skill ps lists them"),
        ("hint", "see docker.errors.APIError for this Exception"),
        ("reason", "it is wrong."),
        ("reason", "It is wrong"),
        ("fix", "Take the item(s) out."),
    ],
)
def test_what_is_no_message_of_ours_is_found(kind: str, text: str) -> None:
    assert list(faults(kind, text))
