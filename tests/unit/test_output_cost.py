"""No output costs more than its length: everything that is done to a tool's bytes is linear in them.

Measured as CPU time of this process, large against small; the bound in seconds is far above what any machine takes.
"""

from __future__ import annotations

import ast
import importlib
import io
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hostile_streams import NAMES, stream

import skill_magic
from skill_magic.carriage_returns import collapse, last_drawings
from skill_magic.events import Output
from skill_magic.output import OutputLog, saved
from skill_magic.result import RunResult
from skill_magic.text import LineLimit, Sanitizer, sanitize
from skill_magic.views import card
from skill_magic.views.panel_state import Pane
from skill_magic.views.stream import StreamView

pytestmark = pytest.mark.slow

SMALL, LARGE = 1 << 16, 1 << 19
CHUNK = 1 << 16


def chunks(data: bytes, size: int = CHUNK) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def cleaned(data: bytes) -> None:
    sanitizer = Sanitizer()
    for chunk in chunks(data):
        sanitizer.feed(chunk)


def logged(data: bytes) -> None:
    log = OutputLog(None)
    for chunk in chunks(data):
        log.write("stdout", chunk)
    log.close()


def drawn(data: bytes) -> None:
    text = sanitize(data)
    limit = LineLimit()
    limit.feed(collapse(last_drawings(text)))


def in_a_terminal(data: bytes) -> None:
    view = StreamView(io.StringIO(), io.StringIO())
    view._kinds = {"stdout": "terminal", "stderr": "terminal"}
    for chunk in chunks(data):
        view.event(Output("stdout", chunk))
        view.tick()
    view.error(RuntimeError())


def in_a_panel(data: bytes) -> None:
    pane = Pane()
    for number, chunk in enumerate(chunks(data)):
        pane.feed("stdout", chunk)
        if number % 2:
            pane.take()


def in_a_card(data: bytes) -> None:
    output = saved(data, data[::-1])
    result = RunResult("x", (), "image", "failed", 1, 1.0, 0.0, output)
    card.bundle(result)
    result.error()


PATHS = (cleaned, logged, drawn, in_a_terminal, in_a_panel, in_a_card)


def cost(work: Callable[[bytes], None], data: bytes) -> float:
    best = float("inf")
    for _ in range(2):
        began = time.process_time()
        work(data)
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize("work", PATHS, ids=lambda work: work.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_cost_grows_with_the_length(name: str, work: Callable[[bytes], None]) -> None:
    for _ in range(3):  # another process may take the processor in the middle of one
        small, large = cost(work, stream(name, SMALL)), cost(work, stream(name, LARGE))
        # Eight times the bytes: 64 times the time would be quadratic. What is below 50 ms says nothing of growth.
        if large < max(24 * small, 0.05):
            break
    assert large < max(24 * small, 0.05), (small, large)
    assert large < 5.0


def test_pieces_of_one_byte_cost_no_more_than_their_number() -> None:
    def bytewise(data: bytes) -> None:
        sanitizer = Sanitizer()
        for chunk in chunks(data, 1):
            sanitizer.feed(chunk)

    for name in ("ESC [", "unended OSC", "SGR without an end", "carriage return, then text"):
        small = cost(bytewise, stream(name, 1 << 13))
        assert cost(bytewise, stream(name, 1 << 16)) < max(24 * small, 0.05), name


def test_streams_by_turns_do_not_add_up() -> None:
    """A line of one stream in ever so many pieces, each between two of the other."""

    def turns(data: bytes) -> None:
        log = OutputLog(None)
        for _ in range(len(data)):
            log.write("stdout", b"x")
            log.write("stderr", b"y")
        result = RunResult("x", (), "image", "failed", 1, 1.0, 0.0, log.close())
        card.bundle(result)

    small, large = cost(turns, bytes(4000)), cost(turns, bytes(32_000))
    assert large < max(24 * small, 0.05)


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(skill_magic.__path__, "skill_magic."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def patterns() -> Iterator[tuple[str, str | bytes]]:
    """Every pattern that the package hands to :mod:`re`, with its place."""
    for module in modules():
        path = Path(module.__file__ or "")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr not in ("escape",)
            ):
                place = f"{path.name}:{node.lineno}"
                pattern = eval(
                    compile(ast.Expression(node.args[0]), place, "eval"), {**vars(module), "name": "x"}
                )
                yield place, pattern.pattern if isinstance(pattern, re.Pattern) else pattern


def operations(parsed: Any) -> Iterator[str]:
    """The operations of a pattern, nested ones included."""
    for operation, arguments in parsed:
        yield str(operation)
        for argument in arguments if isinstance(arguments, (tuple, list)) else (arguments,):
            for inner in argument if isinstance(argument, list) else (argument,):
                if type(inner).__name__ == "SubPattern":
                    yield from operations(inner)


def test_no_pattern_needs_what_the_oldest_python_gets_wrong() -> None:
    """The `re` of Python 3.11.2 puts its position wrong in possessive quantifiers and atomic groups."""
    found = dict(patterns())
    assert len(found) > 30  # the search sees them
    parse = re._parser.parse  # type: ignore[attr-defined]
    for place, pattern in found.items():
        used = set(operations(parse(pattern)))
        assert not used & {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}, place
    assert "POSSESSIVE_REPEAT" in set(operations(parse("(?:a++b|c)*")))
    assert "ATOMIC_GROUP" in set(operations(parse("x(?>a|b)")))
