"""A manifest above the notebook's directory: whoever could have put it there is no stranger."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from policy_helpers import make_host

from skill_magic.errors import ManifestError
from skill_magic.host import Host
from skill_magic.manifest.layers import load

TEXT = '[skills.x.docker]\nimage = "debian:12"\n'


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A notebook in ``shared/work``, with a manifest in ``shared``."""
    place = tmp_path / "shared/work"
    made = make_host(tmp_path, directory=place, uid=os.getuid(), gid=os.getgid())
    place.chmod(0o755)
    place.parent.chmod(0o755)
    (place.parent / "skills.toml").write_text(TEXT)
    (place.parent / "skills.toml").chmod(0o644)
    return made


def verdict(host: Host) -> list[str]:
    """The codes of the broken manifest; empty where it counts."""
    found = load(host)
    if not found.broken:
        assert found.find("x").file == host.directory.parent / "skills.toml"
        return []
    # Nothing behind it counts: it could have described whatever is asked for.
    with pytest.raises(ManifestError) as caught:
        found.find("ffmpeg")
    assert str(host.directory.parent / "skills.toml") in str(caught.value)
    assert found.broken[0].kind == "invalid"
    return [each.code for each in found.broken]


def test_ones_own(host: Host) -> None:
    assert verdict(host) == []


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o757])
def test_a_directory_that_anybody_can_write(host: Host, mode: int) -> None:
    host.directory.parent.chmod(mode)
    assert verdict(host) == ["manifest-not-private"]


@pytest.mark.parametrize("mode", [0o646, 0o666])
def test_a_file_that_anybody_can_write(host: Host, mode: int) -> None:
    (host.directory.parent / "skills.toml").chmod(mode)
    assert verdict(host) == ["manifest-not-private"]


def test_a_link_to_what_anybody_can_write(host: Host, tmp_path: Path) -> None:
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose").chmod(0o777)
    file = host.directory.parent / "skills.toml"
    file.rename(tmp_path / "loose/skills.toml")
    file.symlink_to(tmp_path / "loose/skills.toml")
    assert verdict(host) == ["manifest-not-private"]


def test_the_callers_own_group_may_write(host: Host) -> None:
    host.directory.parent.chmod(0o2775)
    (host.directory.parent / "skills.toml").chmod(0o664)
    assert verdict(host) == []
    assert verdict(replace(host, gid=host.gid + 1)) == ["manifest-not-private"]


def test_a_group_that_may_write_beside_the_notebook_may_write_above_it(host: Host) -> None:
    host.directory.parent.chmod(0o2775)
    host.directory.chmod(0o2775)
    assert verdict(replace(host, gid=host.gid + 1)) == []


def test_file_systems_without_rights(host: Host) -> None:
    """Where everything is 0777 (a Windows disk in WSL), the notebook's directory is no better."""
    for place in (host.directory, host.directory.parent, host.directory.parent / "skills.toml"):
        place.chmod(0o777)
    assert verdict(host) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", [".", "skills.toml"])
def test_somebody_elses(host: Host, name: str) -> None:
    os.chown(host.directory.parent / name, 54321, -1)
    assert verdict(host) == ["manifest-not-private"]
    # Who owns the notebook's directory could put one beside it.
    os.chown(host.directory, 54321, -1)
    assert verdict(host) == []


def test_the_ways_out(host: Host) -> None:
    host.directory.parent.chmod(0o1777)
    assert not load(host, explicit=Path("../skills.toml")).broken
    (host.directory / "skills.toml").write_text("")
    assert not load(host).broken
