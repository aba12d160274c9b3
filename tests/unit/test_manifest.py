"""Manifests: found, layered and read from real directories; what a bad file gets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pace import pace

from skill_magic import host as host_module
from skill_magic.errors import ManifestError, SkillNotFound
from skill_magic.findings import Violation
from skill_magic.host import Host
from skill_magic.manifest.layers import BUNDLED, NAMES, Docker, Manifests, load

GOOD = '[skills.{}.docker]\nimage = "debian:12"\n'


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A person with an empty home, and a notebook in ~/project/notes."""
    home = tmp_path / "home"
    (home / "project" / "notes").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return host_module.discover(home / "project" / "notes")


def write(file: Path, text: str | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(0o644)
    return file


def broken(host: Host, text: str | bytes) -> Violation:
    """The one fault of a project manifest that cannot be read as a whole."""
    file = write(host.directory / "skills.toml", text)
    found = load(host)
    (violation,) = found.broken
    assert (violation.file, violation.kind) == (file, "invalid")
    assert violation.fix
    # Fail closed: the bundled skill might have been replaced in that file.
    with pytest.raises(ManifestError) as caught:
        found.find("ffmpeg")
    assert str(file) in caught.value.message
    assert not found.skills
    return violation


# --- where they are found ---------------------------------------------------------------------------------


def test_without_any_manifest_the_bundled_skills_are_there(host: Host) -> None:
    found = load(host)
    assert found.files == (BUNDLED,)
    assert found.find("ffmpeg").origin == "bundled"
    assert not found.faults
    assert found.searched[:3] == tuple(host.directory / name for name in NAMES)
    assert Path("/skill-engine.toml") in found.searched
    assert found.searched[-1] == host.config_dir / "skills.toml"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("up", [0, 1, 2])
def test_each_name_is_found_here_and_above(host: Host, name: str, up: int) -> None:
    place = [host.directory, *host.directory.parents][up]
    file = write(place / name, GOOD.format("own"))
    skill = load(host).find("own")
    assert (skill.origin, skill.file, skill.base_dir) == ("project", file, place)
    assert skill.docker == Docker(image="debian:12")


def test_the_first_name_and_the_nearest_directory_win(host: Host) -> None:
    for number, place in enumerate((host.directory.parent, host.directory)):
        for name in reversed(NAMES):
            write(place / name, GOOD.format(f"s{number}-{NAMES.index(name)}"))
    found = load(host)
    assert found.files == (host.directory / NAMES[0], BUNDLED)
    assert "s1-0" in found.skills
    assert not {"s1-1", "s1-2", "s0-0"} & set(found.skills)


def test_layers_the_nearest_wins_for_each_skill(host: Host) -> None:
    write(host.directory / "skills.toml", GOOD.format("a") + GOOD.format("ffmpeg"))
    write(host.config_dir / "skills.toml", GOOD.format("a") + GOOD.format("b") + GOOD.format("redis"))
    found = load(host)
    origins = {name: found.find(name).origin for name in ("a", "b", "ffmpeg", "redis", "postgres")}
    assert origins == {
        "a": "project",
        "b": "user",
        "ffmpeg": "project",
        "redis": "user",
        "postgres": "bundled",
    }


def test_a_faulty_skill_hides_the_good_one_behind_it_and_no_other(host: Host) -> None:
    write(host.directory / "skills.toml", '[skills.ffmpeg.docker]\nimge = "x"\n' + GOOD.format("own"))
    found = load(host)
    assert found.find("own").origin == "project"
    assert found.find("redis").origin == "bundled"
    with pytest.raises(ManifestError) as caught:
        found.find("ffmpeg")
    assert [violation.code for violation in caught.value.violations] == [
        "manifest-unknown-key",
        "image-missing",
    ]
    assert set(found.faults) == {"ffmpeg"}


def test_an_explicit_manifest_takes_the_projects_place(host: Host) -> None:
    write(host.directory / "skills.toml", GOOD.format("nearest"))
    other = write(host.directory.parent / "other.toml", GOOD.format("other"))
    for path in (Path("../other.toml"), other):
        found = load(host, explicit=path)
        assert "nearest" not in found.skills
        assert found.find("other").origin == "project"
    assert "nearest" in load(host, explicit=Path(".")).skills
    assert "redis" in load(host, explicit=other).skills


@pytest.mark.parametrize("path", ["nope.toml", "../empty"])
def test_an_explicit_manifest_that_is_not_there(host: Host, path: str) -> None:
    (host.directory.parent / "empty").mkdir()
    with pytest.raises(ManifestError, match="no manifest"):
        load(host, explicit=Path(path))


def test_in_the_configuration_directory_ones_own_manifest_is_ones_own(host: Host) -> None:
    write(host.config_dir / "skills.toml", GOOD.format("mine"))
    here = host_module.discover(host.config_dir)
    assert load(here).find("mine").origin == "user"


# --- what is not found ------------------------------------------------------------------------------------


def test_an_unknown_skill_gets_the_near_miss_and_where_we_looked(host: Host) -> None:
    write(host.directory / "skills.toml", GOOD.format("transcode"))
    found = load(host)
    with pytest.raises(SkillNotFound) as caught:
        found.find("ffmpg")
    assert "'ffmpg'" in caught.value.message
    assert "did you mean ffmpeg?" in caught.value.message
    assert (
        caught.value.hint == "`skill list` shows all"
    )  # where it was looked is of interest where nothing is near
    with pytest.raises(SkillNotFound, match="did you mean transcode"):
        found.find("transcoder")
    with pytest.raises(SkillNotFound) as caught:
        found.find("zzzzzz")
    assert caught.value.message == "no skill is called 'zzzzzz'"
    looked = f"looked in {host.directory / 'skills.toml'} and the bundled skills"
    assert caught.value.hint == f"`skill list` shows all; {looked}"


def test_without_a_manifest_the_error_says_where_one_would_be(host: Host) -> None:
    with pytest.raises(SkillNotFound) as caught:
        load(host).find("mine")
    assert (
        f"no skills.toml, .skill-engine.toml or skill-engine.toml in {host.directory} or above"
        in caught.value.hint
    )


# --- files that cannot be read ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("[skills.x\n", 1, 10),
        ('[skills.x.docker]\nimage = "a\n', 2, 11),
        ('version = "1"\n\n  image "x"\n', 3, 9),
        ("[skills.x]\n[skills.x]\n", 2, 10),
        ("a = 1\r\nb = 2\r\na = 3\r\n", 3, 6),
        ("x = 1 y = 2\n", 1, 7),
        ('x = "\\q"\n', 1, 8),
        ('x = "\\ud800"\n', 1, 12),
        ("x = 1\0\n", 1, 6),
    ],
)
def test_broken_toml_has_file_line_and_column(host: Host, text: str, line: int, column: int) -> None:
    violation = broken(host, text)
    assert (violation.code, violation.line) == ("manifest-toml", line)
    assert f"line {line}, column {column}" in violation.reason


def test_broken_toml_at_the_end(host: Host) -> None:
    violation = broken(host, '[skills.x]\nx = """\nab\n')
    assert violation.code == "manifest-toml"
    assert "end of the file" in violation.reason


def test_broken_toml_never_shows_the_line(host: Host) -> None:
    violation = broken(host, '[skills.x.docker]\nenvironment = ["PW=hunter2]\n')
    assert "hunter2" not in str(violation)


def test_skills_of_a_broken_file_are_named_as_far_as_they_were_seen(host: Host) -> None:
    broken(host, GOOD.format("a") + GOOD.format("b") + "[skills.c\n" + GOOD.format("d"))
    found = load(host)
    assert set(found.faults) == {"a", "b"}
    assert found.faults["a"] == found.broken
    broken(host, "[[[")
    assert set(load(host).faults) == {""}


def test_a_whole_number_without_end(host: Host) -> None:
    violation = broken(host, "version = " + "9" * 5000)
    assert violation.code == "manifest-toml"


@pytest.mark.parametrize(
    "text", ["x = " + "[" * 200_000, "x = " + "[" * 501 + "]" * 501, "a." * 200_000 + "b = 1"]
)
def test_deep_nesting(host: Host, text: str) -> None:
    violation = broken(host, "\n[skills.t.docker]\n" + text)
    assert (violation.code, violation.line) == ("manifest-too-deep", 3)
    assert "t" in load(host).faults


def test_not_utf_8(host: Host) -> None:
    violation = broken(host, b'[skills.x]\ndescription = "\xff"\n')
    assert (violation.code, violation.line) == ("manifest-encoding", 2)


def test_too_large(host: Host) -> None:
    violation = broken(host, "#" * ((1 << 20) + 1))
    assert violation.code == "manifest-too-large"
    write(host.directory / "skills.toml", GOOD.format("x") + "#" * ((1 << 20) - len(GOOD.format("x"))))
    assert "x" in load(host).skills


def test_byte_order_mark_and_windows_line_ends_are_read(host: Host) -> None:
    text = GOOD.format("x").replace("\n", "\r\n") + 'user = "0x0"\r\n'
    write(host.directory / "skills.toml", b"\xef\xbb\xbf" + text.encode())
    (violation,) = load(host).faults["x"]
    assert (violation.code, violation.line) == ("user-invalid", 3)


def test_a_fifo_does_not_hang(host: Host) -> None:
    os.mkfifo(host.directory / "skills.toml")
    start = time.monotonic()
    found = load(host)
    assert time.monotonic() - start < 5 * pace()
    assert found.broken[0].code == "manifest-unreadable"
    assert "regular file" in found.broken[0].reason


def test_a_directory_a_device_and_a_dangling_link_are_no_manifests(host: Host) -> None:
    file = host.directory / "skills.toml"
    file.mkdir()
    assert load(host).broken[0].code == "manifest-unreadable"
    file.rmdir()
    for target in ("nowhere", "skills.toml"):
        file.symlink_to(target)
        assert load(host).broken[0].code == "manifest-unreadable", target
        file.unlink()
    file.symlink_to("/dev/zero")
    assert load(host).broken[0].code == "manifest-link"
    assert load(host, explicit=file).broken[0].code == "manifest-unreadable"


def test_a_file_that_may_not_be_read(host: Host) -> None:
    file = write(host.directory / "skills.toml", GOOD.format("x"))
    file.chmod(0)
    code = """
import os, sys, tomli, platformdirs.unix, pwd, stat, difflib
from pathlib import Path
from skill_magic import host
from skill_magic.manifest import file, layers as manifest
found = host.discover(Path(sys.argv[1]))
if os.getuid() == 0:
    for path in [found.directory, *found.directory.parents]:
        path.chmod(path.stat().st_mode | 0o055)
    os.setgroups([]); os.setgid(54321); os.setuid(54321)
print(manifest.load(found).broken[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, host.directory], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "manifest-unreadable" in done.stdout
    assert "Permission denied" in done.stdout


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_ones_own_manifest_must_not_be_writable_by_others(host: Host, mode: int) -> None:
    """It is trusted, so whoever can write it could run anything. A project's manifest is not."""
    file = write(host.config_dir / "skills.toml", GOOD.format("mine"))
    project = write(host.directory / "skills.toml", GOOD.format("theirs"))
    project.chmod(0o666)
    file.chmod(mode)
    found = load(host)
    assert found.find("theirs").origin == "project"
    with pytest.raises(ManifestError) as caught:
        found.find("ffmpeg")
    assert caught.value.violations[0].code == "manifest-not-private"
    assert "chmod go-w" in caught.value.violations[0].fix


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_ones_own_manifest_must_be_ones_own(host: Host) -> None:
    file = write(host.config_dir / "skills.toml", GOOD.format("mine"))
    os.chown(file, 54321, 54321)
    assert load(host).broken[0].code == "manifest-not-private"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
@pytest.mark.parametrize("way", ["beside", "link"])
def test_nobody_else_can_put_another_in_place_of_ones_own_manifest(
    host: Host, tmp_path: Path, mode: int, way: str
) -> None:
    """Also of one that the configuration directory has a link to."""
    file = write(host.config_dir / "skills.toml", GOOD.format("mine"))
    if way == "link":
        (tmp_path / "dotfiles").mkdir()
        file = file.rename(tmp_path / "dotfiles/skills.toml")
        (host.config_dir / "skills.toml").symlink_to(file)
    file.parent.chmod(0o755)
    assert load(host).find("mine").origin == "user"
    file.parent.chmod(mode)
    if file.parent.stat().st_gid == host.uid:  # else that group is one of the person alone
        others = [group for group in os.getgroups() if group != host.uid] + [54321] * (os.getuid() == 0)
        if not others:
            pytest.skip("this person is in no other group")
        os.chown(file.parent, -1, others[0])
    (fault,) = load(host).broken
    assert fault.code == "manifest-not-private"
    assert fault.fix.endswith(f"`chmod go-w {file.parent}`.")
    file.parent.chmod(mode | 0o1000)
    assert load(host).find("mine").origin == "user", "in such a directory nobody can replace it"


def test_a_group_of_ones_own_number_is_nobody_else(host: Host) -> None:
    write(host.config_dir / "skills.toml", GOOD.format("mine"))
    os.chown(host.config_dir, -1, os.getuid())
    host.config_dir.chmod(0o775)
    assert load(host).find("mine").origin == "user"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_the_directory_of_ones_own_manifest_must_be_ones_own(host: Host) -> None:
    write(host.config_dir / "skills.toml", GOOD.format("mine"))
    os.chown(host.config_dir, 54321, 54321)
    assert load(host).broken[0].code == "manifest-not-private"


def test_reading_is_fast_enough_to_do_for_every_line(host: Host) -> None:
    write(host.directory / "skills.toml", "".join(GOOD.format(f"s{number}") for number in range(20)))
    load(host)
    start = time.process_time()
    for _ in range(10):
        load(host)
    assert (time.process_time() - start) / 10 < 0.05 * pace()


def test_a_megabyte_of_skills_is_read_in_seconds(host: Host) -> None:
    items = ", ".join(['"/data:/data"'] * 32)
    text = "".join(
        GOOD.format(f"s{number}") + f"volumes = [{items}]\n#{'x' * 3400}\n" for number in range(256)
    )
    assert len(text) > 1_000_000
    write(host.directory / "skills.toml", text)
    start = time.process_time()
    found = load(host)
    assert len(found.skills) >= 256
    assert time.process_time() - start < 5 * pace()


def test_more_skills_than_a_person_writes(host: Host) -> None:
    violation = broken(host, "".join(GOOD.format(f"s{number}") for number in range(257)))
    assert (violation.code, violation.line) == ("manifest-too-many", 513)
    assert "257 skills; 256" in violation.reason


def test_more_items_than_a_person_writes(host: Host) -> None:
    def file(items: int) -> str:
        return GOOD.format("x") + f"extra_args = {['-p', '80'] * (items // 2)}\n" + GOOD.format("y")

    write(host.directory / "skills.toml", file(1024))
    assert {"x", "y"} <= set(load(host).skills)
    write(host.directory / "skills.toml", file(1026))
    found = load(host)
    (violation,) = found.faults["x"]
    assert (violation.code, violation.field, violation.line) == ("manifest-too-many", "extra_args", 3)
    assert "1,026 items; 1024" in violation.reason
    assert "y" in found.skills


def test_more_items_in_all_lists_than_a_person_writes(host: Host) -> None:
    skills = [GOOD.format(f"s{number}") + f"command = {['x'] * 1024}\n" for number in range(8)]
    write(host.directory / "skills.toml", "".join(skills))
    assert "s7" in load(host).skills
    violation = broken(host, "".join([*skills, GOOD.format("z") + "command = ['x']\n"]))
    assert violation.code == "manifest-too-many"
    assert "8,193 items together; 8,192" in violation.reason


def test_manifests_by_hand() -> None:
    """The value itself: an empty one finds nothing and says so."""
    with pytest.raises(SkillNotFound):
        Manifests({}, {}, (), ()).find("x")
