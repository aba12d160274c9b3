"""Public names of the package whose documentation is missing."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import skill_magic


def undocumented() -> list[str]:
    """Names of ``skill_magic.__all__``, their public members and parameters that nothing is written about."""
    return [gap for name in skill_magic.__all__ for gap in _gaps(name, getattr(skill_magic, name))]


def _gaps(name: str, value: object) -> Iterator[str]:
    if isinstance(value, type):
        yield from _class_gaps(name, value)
    elif callable(value):
        yield from _callable_gaps(name, value, value.__doc__)


def _class_gaps(name: str, kind: type) -> Iterator[str]:
    if "__doc__" not in vars(kind) or not kind.__doc__:
        yield name
    if dataclasses.is_dataclass(kind):
        described = _described(kind.__doc__)
        yield from (
            f"{name}.{field.name}" for field in dataclasses.fields(kind) if field.name not in described
        )
    for member, value in vars(kind).items():
        if member.startswith("_"):
            continue
        if isinstance(value, property) and not value.__doc__:
            yield f"{name}.{member}"
        if inspect.isfunction(value):
            # An override that says nothing has its base's documentation.
            yield from _callable_gaps(f"{name}.{member}", value, inspect.getdoc(getattr(kind, member)))


def _callable_gaps(name: str, value: Callable[..., Any], doc: str | None) -> Iterator[str]:
    if not doc:
        yield name
        return
    described = _described(doc)
    parameters = [parameter for parameter in inspect.signature(value).parameters if parameter != "self"]
    yield from (f"{name}({parameter})" for parameter in parameters if parameter not in described)


def _described(doc: str | None) -> set[str]:
    return set(re.findall(r"^\s*:param (\w+):", doc or "", flags=re.M))
