"""The order of names with numbers in them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from test_files import a_host, a_spec

from skill_magic.completion import _files
from skill_magic.files import Watch
from skill_magic.natural import order


@pytest.mark.parametrize(
    "names",
    [
        ["x-1", "x-2", "x-10"],
        ["1.png", "2.png", "10.png"],
        ["a", "a/b", "a/b2", "a/b10", "a b"],
        ["d2/x", "d10/x"],
        ["x", "x0", "x1", "x01b", "x1b1", "x2"],
        ["v1.2.9", "v1.2.10", "v1.10.1"],
        ["é2", "é10"],
        ["x" + "9" * 5000, "x1" + "0" * 5000],
    ],
)
def test_numbers_count_as_numbers(names: list[str]) -> None:
    shuffled = names[::-1]
    assert sorted(shuffled, key=order) == names


def test_names_that_differ_in_zeros_alone_have_an_order() -> None:
    assert sorted(["x01", "x1", "x001"], key=order) == sorted(["x1", "x001", "x01"], key=order)


def test_a_long_name_costs_little() -> None:
    start = time.perf_counter()
    order("1a" * 500_000 + "9" * 1_000_000)
    assert time.perf_counter() - start < 5


def test_a_run_lists_its_files_so(tmp_path: Path) -> None:
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    (tmp_path / "d").mkdir()
    for number in (1, 10, 2, 9):
        (tmp_path / f"x-{number}").write_text("")
        (tmp_path / "d" / f"{number}.csv").write_text("")
    found = [change.path for change in watch.changes()[0]]
    assert found == [f"d/{n}.csv" for n in (1, 2, 9, 10)] + [f"x-{n}" for n in (1, 2, 9, 10)]


def test_a_warning_names_them_so(tmp_path: Path) -> None:
    watch = Watch(a_spec(tmp_path), a_host(tmp_path))
    for number in (10, 2, 1):
        path = tmp_path / f"x-{number}"
        path.write_text("")
        os.chmod(path, 0o666)
    [note] = watch.changes()[1]
    assert "x-1, x-2, x-10" in note


def test_a_completion_offers_them_so(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        (tmp_path / f"x-{number}").touch()
    assert _files("x", tmp_path, raw=True) == ["x-1", "x-2", "x-10"]
