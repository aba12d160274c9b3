"""The panel where nobody looks: a notebook that a program executes gets its cards, and nothing else."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine

# Without types of their own.
nbclient: Any = importlib.import_module("nbclient")
nbformat: Any = importlib.import_module("nbformat")


def executed(folder: Path, *cells: str, **options: Any) -> Any:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, kernel_name="python3", resources=resources, **options)
    client.execute()
    return notebook


LONG = "%skill python-runner -- -c 'import time; print(6 * 7); time.sleep(1.2); print(\"end\")'"


def test_executed_notebook_holds_the_card_and_no_widget(tmp_path: Path) -> None:
    notebook = executed(tmp_path, "%load_ext skill_magic", LONG, LONG)
    for cell in notebook.cells[1:]:
        [output] = cell.outputs
        assert sorted(output.data) == ["application/vnd.skill-magic.run+json", "text/html", "text/plain"]
        assert "42\nend" in output.data["text/plain"]
    state = json.dumps(notebook.metadata.get("widgets", {}))
    assert len(state) < 5000
    assert "skill-magic-panel" not in state


def test_pull_that_fails_leaves_a_line_and_no_widget(tmp_path: Path) -> None:
    (tmp_path / "skills.toml").write_text('[skills.none.docker]\nimage = "python:0.0-none"\n')
    run = (
        "try:\n    get_ipython().run_line_magic('skill', 'none')\nexcept Exception as e:\n    print(type(e))"
    )
    notebook = executed(tmp_path, "%load_ext skill_magic", run)
    assert "ImageError" in json.dumps(notebook.cells[1].outputs)
    assert "widget-view" not in json.dumps(notebook.cells[1].outputs)
