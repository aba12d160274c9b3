"""Ways to what lies inside a mount: the same in the container as on the host, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_helpers import codes, make_host, make_spec

from skill_magic.engine.image_links import _real
from skill_magic.errors import EngineError
from skill_magic.host import Host
from skill_magic.mounts import mounts
from skill_magic.policy.rules import check, check_image
from skill_magic.spec import ImageFacts, Mount, RunSpec


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = make_host(tmp_path)
    (host.directory / "data" / "inner").mkdir(parents=True)
    (host.directory / "file").touch()
    return host


def bind(host: Host, text: str) -> Mount:
    return mounts.parse_volume(text, field="volumes[0]", host=host, base_dir=host.directory)


def spec_of(host: Host, *texts: str, **fields: object) -> RunSpec:
    return make_spec(
        host, mounts=(mounts.project_mount(host), *(bind(host, text) for text in texts)), **fields
    )


@pytest.mark.parametrize(
    ("name", "leads"),
    [
        ("absolute", "/usr"),  # another /usr in the container
        ("back", "{project}/data"),  # the same folder here, nothing there
        ("out", "../proj/data"),
        ("far", "../../u/proj/data"),
        ("chain", "absolute"),
    ],
)
def test_a_way_through_a_link_that_the_container_reads_otherwise(host: Host, name: str, leads: str) -> None:
    (host.directory / "absolute").symlink_to("/usr")
    if name != "absolute":
        (host.directory / name).symlink_to(leads.format(project=host.directory))
    there = "inner" if "data" in leads else "bin"
    for text in (
        f"./data:/workdir/{name}",
        f"./data:/workdir/{name}/{there}",
        f"named:/workdir/{name}/{there}",
    ):
        assert codes(check(spec_of(host, text), host)) == ["target-way"], text
    found = check(spec_of(host, working_dir=f"/workdir/{name}/{there}"), host)
    assert [(each.code, each.field) for each in found] == [("target-way", "working_dir")]


def test_a_link_that_stays_inside_is_the_same_in_both(host: Host) -> None:
    (host.directory / "current").symlink_to("data")
    (host.directory / "data" / "up").symlink_to("../data/./inner")
    for text in ("./data:/workdir/current", "./data:/workdir/current/inner", "./data:/workdir/data/up"):
        assert check(spec_of(host, text), host) == (), text
    assert check(spec_of(host, working_dir="/workdir/current/up"), host) == ()


def test_a_link_to_nothing(host: Host) -> None:
    """The engine would make what it names, as root."""
    (host.directory / "dangling").symlink_to("nothing-yet")
    assert codes(check(spec_of(host, "./data:/workdir/dangling"), host)) == ["target-way"]
    (host.directory / "circle").symlink_to("circle")
    assert codes(check(spec_of(host, "./data:/workdir/circle"), host)) == ["target-way"]


@pytest.mark.parametrize("text", ["./data:/v/x", "other:/v/x/y", "/v/x"])
def test_what_an_earlier_run_wrote_into_a_volume_decides_nothing(host: Host, text: str) -> None:
    assert codes(check(spec_of(host, "kept:/v", text), host)) == ["target-volume"]


def test_a_working_directory_in_a_volume(host: Host) -> None:
    assert check(spec_of(host, "kept:/v", working_dir="/v"), host) == ()
    (found,) = check(spec_of(host, "kept:/v", working_dir="/v/x"), host)
    assert (found.code, found.field) == ("target-volume", "working_dir")


def test_a_volume_of_the_image_in_a_named_volume(host: Host) -> None:
    image = ImageFacts("i", volumes=("/v/x", "/other"))
    spec = spec_of(host, "kept:/v")
    assert codes(check_image(spec, image, host)) == ["target-volume"]
    assert codes(check_image(spec_of(host, "kept:/v/x"), image, host)) == []
    assert codes(check_image(spec_of(host), image, host)) == []


LINKS = {
    "/var/run": "/run", "/bin": "usr/bin", "/alias": "/workdir", "/up": "/var/../workdir/x", "/a/b": "../alias",
    "/hidden": "/workdir/inner", "/workdir/inner": "/etc", "/round": "/round", "/ab": "/abc", "/abc": "/d",
}  # fmt: skip


def links(path: str) -> str:
    return LINKS.get(path, "")


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/workdir", "/workdir"),
        ("/var/run/x", "/run/x"),
        ("/bin/a/b", "/usr/bin/a/b"),
        ("/alias/x", "/workdir/x"),
        ("/up", "/workdir/x"),
        ("/a/b/c", "/workdir/c"),
        ("/ab/x", "/d/x"),
        ("/bin2", "/bin2"),
    ],
)
def test_ways_through_an_image(path: str, end: str) -> None:
    assert _real(path, (), links) == _real(path, {"/workdir"}, links) == end


def test_a_link_that_a_mount_hides() -> None:
    """The image's own link in the mounted folder is not there any more; the host's folder is."""
    assert _real("/hidden/x", (), links) == "/etc/x"
    assert _real("/hidden/x", {"/workdir"}, links) == "/workdir/inner/x"


def test_a_circle_in_an_image() -> None:
    with pytest.raises(EngineError, match="links"):
        _real("/round/x", (), links)
