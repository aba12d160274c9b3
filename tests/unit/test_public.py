"""The public names, and what importing and loading the package costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pace import pace

import skill_magic

HEAVY = (
    "docker",
    "ipywidgets",
    "anywidget",
    "pydantic",
    "rich",
    "requests",
    "urllib3",
    "nbformat",
    "platformdirs",
)

LOAD = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("1")
before = set(sys.modules)
start = time.perf_counter()
shell.extension_manager.load_extension("skill_magic")
cost = time.perf_counter() - start
found = [kind for kind in ("line", "cell") if "skill" in shell.magics_manager.magics[kind]]
print(json.dumps({"cost": cost, "new": sorted(set(sys.modules) - before), "magics": found}))
"""


def fresh(code: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_all_is_sorted_and_complete() -> None:
    assert sorted(skill_magic.__all__) == skill_magic.__all__
    for name in skill_magic.__all__:
        assert getattr(skill_magic, name) is not None
    assert set(skill_magic.__all__) <= set(dir(skill_magic))


def test_every_error_is_public() -> None:
    from skill_magic import errors

    assert set(errors.__all__) <= set(skill_magic.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = skill_magic.nothing_of_the_kind


def test_public_names_have_docstrings() -> None:
    for name in skill_magic.__all__:
        value = getattr(skill_magic, name)
        if callable(value):
            assert value.__doc__, name


@pytest.mark.parametrize("code", ["import skill_magic", "import skill_magic.cli", "import skill_magic.api"])
def test_importing_brings_nothing_heavy(code: str) -> None:
    probe = f"import json, sys\n{code}\nprint(json.dumps({{'modules': sorted(sys.modules)}}))"
    modules = fresh(probe)["modules"]
    assert isinstance(modules, list)
    assert [name for name in modules if name.split(".")[0] in (*HEAVY, "IPython")] == []


def test_loading_the_extension_is_cheap_and_brings_nothing_heavy() -> None:
    costs: list[float] = []
    # The best of five is what it costs on a machine that is busy with something else.
    while len(costs) < 5 and min(costs, default=1.0) >= 0.030:
        each = fresh(LOAD)
        costs.append(float(str(each["cost"])))
        assert each["magics"] == ["line", "cell"]
        new = each["new"]
        assert isinstance(new, list)
        assert [name for name in new if name.split(".")[0] in HEAVY] == []
    assert min(costs) < 0.030 * pace()


def test_an_argument_that_is_no_text_is_named() -> None:
    for wrong in (3, None, b"x", ["a"]):
        with pytest.raises(TypeError, match=r"args\[1\] is "):
            skill_magic.explain("ffmpeg", [Path("x y"), wrong])  # type: ignore[list-item]
