"""Every row of the corpus gets the verdict it asks for, in the world that the fixture describes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parents[1] / "corpus"
FIXTURE: dict[str, Any] = json.loads((CORPUS / "policy_fixture.json").read_text())


def _rows() -> Iterator[dict[str, str]]:
    """The corpus, and rows of our own beside it: the neighbours of each case."""
    for name in ("policy_cases.tsv", "neighbours.tsv"):
        with (CORPUS / name).open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


ROWS = {row["id"]: row for row in _rows()}
DOOR = ["E004", "V011", "V119", "V144", "X110", "M038"]
"""Rows of every verdict that are also put to ``skill check --json`` itself."""

POLICY = [name for name, row in ROWS.items() if row["kind"] != "output"]


def expected(row: dict[str, str]) -> str:
    """The verdict a row asks for: a refusal that a grant lifts is "trust"."""
    return "trust" if row["expected"] == "deny" and row["reason"].startswith("[trust]") else row["expected"]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All rows decided in one child process inside the world."""
    root = tmp_path_factory.mktemp("world")
    rows = [[name, ROWS[name]["manifest_snippet_or_value"]] for name in POLICY]
    command = [
        sys.executable,
        str(CORPUS / "corpus_world.py"),
        str(root),
        str(CORPUS / "policy_fixture.json"),
    ]
    command += [os.path.abspath(sys.executable), str(CORPUS / "corpus_child.py")]
    door = [[name, ROWS[name]["manifest_snippet_or_value"]] for name in DOOR]
    job = json.dumps({"rows": rows, "door": door, "engine": FIXTURE["engine"]})
    done = subprocess.run(command, input=job, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("name", DOOR)
def test_the_command_says_the_same(name: str, verdicts: dict[str, dict[str, Any]]) -> None:
    answer, direct = verdicts[f"door {name}"], verdicts[name]
    (skill,) = answer["skills"]
    assert (skill["name"], skill["verdict"]) == ("t", expected(ROWS[name])), answer
    assert answer["code"] == (0 if skill["verdict"] == "allow" else 1)
    keys = ("code", "field", "value", "reason", "fix", "liftable", "file", "line")
    assert [[each[key] for key in keys] for each in skill["violations"]] == [
        [each[key] for key in keys] for each in direct["violations"]
    ]


def test_the_world_needs_no_root(tmp_path: Path) -> None:
    """An ordinary user can build and enter it as well: here, the one inside a world that root made."""
    python, world = os.path.abspath(sys.executable), str(CORPUS / "corpus_world.py")
    fixture = str(CORPUS / "policy_fixture.json")
    show = "import os; print(os.getuid(), os.getgid(), os.getcwd(), os.stat('.').st_uid)"
    inner = (
        f"import os, tempfile; os.execv({python!r}, {[python, world]!r} + [tempfile.mkdtemp(dir='/tmp')] + "
    )
    inner += f"{[fixture, python, '-c', show]!r})"
    command = [python, world, str(tmp_path), fixture, python, "-c", inner]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["1000", "1000", "/home/u/proj", "1000"], done.stderr


@pytest.mark.parametrize("name", POLICY)
def test_row(name: str, verdicts: dict[str, dict[str, Any]]) -> None:
    row, answer = ROWS[name], verdicts[name]
    assert answer["verdict"] == expected(row), (
        f"{row['manifest_snippet_or_value'][:300]}\n{row['reason']}\n{answer}"
    )


def test_every_code_that_was_given_is_documented(verdicts: dict[str, dict[str, Any]]) -> None:
    page = (CORPUS.parents[1] / "SECURITY.md").read_text(encoding="utf-8")
    given = {each["code"] for name in POLICY for each in verdicts[name]["violations"]}
    assert {code for code in given if f"| `{code}` |" not in page} == set()


def test_every_refusal_names_its_place_and_the_way_out(verdicts: dict[str, dict[str, Any]]) -> None:
    for name in POLICY:
        for each in verdicts[name]["violations"]:
            assert each["reason"].endswith("."), (name, each)
            assert each["fix"].endswith((".", "?")), (name, each)
            assert each["liftable"] is (each["grant"] is not None)


def test_no_secret_is_shown(verdicts: dict[str, dict[str, Any]]) -> None:
    for name, answer in verdicts.items():
        for secret in ("s3cr3t", "AKsecret"):
            assert secret not in json.dumps(answer), name
