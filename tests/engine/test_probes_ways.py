"""Live probes: links that would have the engine write into the notebook's directory, as root."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .probes import Project, codes, commit, docker, drop, named_volumes

pytestmark = pytest.mark.engine


@pytest.fixture
def image() -> Iterator[Callable[..., str]]:
    """Makes images that are gone after the test."""
    with contextlib.ExitStack() as stack:

        def make(*changes: str, **options: Any) -> str:
            name = commit(*changes, **options)
            stack.callback(drop, name)
            return name

        yield make


def tree(folder: Path) -> set[tuple[str, int]]:
    """What is in a folder, and whose."""
    return {
        (os.path.relpath(os.path.join(top, name), folder), os.lstat(os.path.join(top, name)).st_uid)
        for top, folders, files in os.walk(folder)
        for name in (*folders, *files)
    }


def refused(project: Project, *wanted: str) -> None:
    """The run is refused with one of the codes, and nothing has been made in the directory."""
    before = tree(project.path)
    error = project.refusal()
    assert codes(error) & set(wanted), codes(error)
    assert not error.liftable
    assert tree(project.path) == before


@pytest.mark.parametrize(
    ("lines", "change"),
    [
        ((), 'VOLUME ["/alias/x"]'),
        ((), 'VOLUME ["/hidden/x"]'),
        (('volumes = ["./data:/alias/x"]',), ""),
        (('volumes = ["/alias/x"]',), ""),
        (('volumes = ["kept:/twice/x"]',), ""),
        (('extra_args = ["--tmpfs", "/alias/x"]',), ""),
        (('working_dir = "/alias/x"',), ""),
    ],
)
def test_an_image_whose_links_lead_into_it(
    project: Project, image: Callable[..., str], lines: tuple[str, ...], change: str
) -> None:
    (project.path / "data").mkdir()
    links: dict[str, bytes | str] = {
        "/alias": "/workdir", "/twice": "alias", "/hidden": "/workdir/data", "/workdir/data": "/usr",
    }  # fmt: skip
    project.write(*lines, image=image(*([change] if change else []), files=links))
    refused(project, "target-link", "target-missing", "workdir-missing")


@pytest.mark.parametrize(
    "line",
    [
        'volumes = ["./data:/workdir/dangling"]',
        'volumes = ["./data:/workdir/lib/deeper"]',
        'volumes = ["/workdir/lib/deeper"]',
        'working_dir = "/workdir/lib/deeper"',
    ],
)
def test_ways_through_links_of_the_project(
    project: Project, image: Callable[..., str], tmp_path: Path, line: str
) -> None:
    """``lib/deeper`` exists here, and in the container, where ``lib`` leads back into the directory, it does not."""
    (project.path / "data").mkdir()
    (tmp_path / "lib" / "deeper").mkdir(parents=True)
    (project.path / "dangling").symlink_to("made-by-root")
    (project.path / "lib").symlink_to(tmp_path / "lib")
    project.write(line, image=image(files={str(tmp_path / "lib"): "/workdir"}))
    refused(project, "target-way")


def test_a_link_that_an_earlier_run_left_in_a_volume(project: Project) -> None:
    """Past the policy the second run has a folder made in the notebook's directory."""
    (project.path / "data").mkdir()
    project.write('volumes = ["stash:/v"]')
    try:
        done = project.run("import os; os.access('/v', os.W_OK) and os.symlink('/workdir', '/v/link')")
        assert done.ok, done.stderr
        for line in ("./data:/v/link/x", "other:/v/link/x", "/v/link/x"):
            project.write(f'volumes = ["stash:/v", "{line}"]')
            refused(project, "target-volume")
        project.write('volumes = ["stash:/v"]', 'working_dir = "/v/link/x"')
        refused(project, "target-volume")
    finally:
        for name in named_volumes(project.path):
            docker("volume", "rm", name)


@pytest.mark.parametrize("code", [126, 127])
def test_the_engine_is_asked_for_no_file_of_a_container_that_has_run(
    project: Project, image: Callable[..., str], code: int
) -> None:
    """For that it mounts the run's folders anew, as root, wherever the tool has made their places lead."""
    name = image(run="mkdir -m 777 /b")
    for folder in ("data", "sub/deep"):
        (project.path / folder).mkdir(parents=True)
        os.chmod(project.path / folder, 0o777)
    project.write('volumes = ["./data:/b/a/new"]', image=name)
    before = tree(project.path / "sub")
    done = project.run(
        "import os, sys\n"
        f"try: os.rename('/b/a', '/b/other'); os.symlink('/workdir/sub/deep', '/b/a')\n"
        f"finally: sys.exit({code})"
    )
    assert done.exit_code == code
    assert tree(project.path / "sub") == before
