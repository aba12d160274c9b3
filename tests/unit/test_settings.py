"""policy.toml: the narrower of two files counts, and a file that cannot be relied on stops everything."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from policy_helpers import make_host, make_skill, make_spec

from skill_magic.errors import SpecError
from skill_magic.host import Host
from skill_magic.policy import settings
from skill_magic.policy.settings import REGISTRIES, Settings
from skill_magic.spec import Limits, Mount


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path, uid=os.getuid(), gid=os.getgid())


def write(directory: Path, text: str, mode: int = 0o600) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    path = directory / "policy.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def fault(host: Host) -> tuple[str, str, Path | None]:
    with pytest.raises(SpecError) as caught:
        settings.load(host)
    (found,) = caught.value.violations
    assert found.kind == "invalid"
    return found.code, found.field, found.file


def test_no_file_means_the_defaults(host: Host) -> None:
    found = settings.load(host)
    assert found == Settings()
    assert found.registries == frozenset(REGISTRIES)


def test_every_key(host: Host) -> None:
    path = write(
        host.config_dir,
        'profile = "strict"\nmax_memory = "8g"\nmax_cpus = 2.5\nmax_pids = 100\nregistries = ["a.io"]\n'
        'networks = ["n"]\nallow_home_project = true\nforbid_grants = ["uid0"]\n',
    )
    assert settings.load(host) == Settings(
        profile="strict",
        max_memory=8 << 30,
        max_cpus=2.5,
        max_pids=100,
        registries=frozenset({"a.io"}),
        networks=frozenset({"n"}),
        allow_home_project=True,
        forbid_grants=frozenset({"uid0"}),
        files=(path,),
    )


NARROWER: list[tuple[str, str, str, Any]] = [
    ('profile = "strict"', 'profile = "default"', "profile", "strict"),
    ('profile = "default"', 'profile = "strict"', "profile", "strict"),
    ('max_memory = "1g"', 'max_memory = "2g"', "max_memory", 1 << 30),
    ("max_pids = 10", "max_pids = 5", "max_pids", 5),
    ('registries = ["a.io", "b.io"]', 'registries = ["b.io", "c.io"]', "registries", frozenset({"b.io"})),
    ('registries = ["a.io"]', "", "registries", frozenset({"a.io"})),
    ('networks = ["a"]', 'networks = ["b"]', "networks", frozenset()),
    ("allow_home_project = true", "", "allow_home_project", True),
    ("allow_home_project = false", "allow_home_project = true", "allow_home_project", False),
    ("allow_home_project = true", "allow_home_project = false", "allow_home_project", False),
    ('forbid_grants = ["uid0"]', 'forbid_grants = ["gid0"]', "forbid_grants", frozenset({"uid0", "gid0"})),
]


@pytest.mark.parametrize(("system", "own", "name", "expected"), NARROWER)
def test_the_narrower_counts(host: Host, system: str, own: str, name: str, expected: Any) -> None:
    write(host.system_dir, system)
    write(host.config_dir, own)
    assert getattr(settings.load(host), name) == expected


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("x = [", "settings-syntax", "policy.toml"),
        ("\xff = 1", "settings-syntax", "policy.toml"),
        ("maxmemory = 1", "settings-key", "maxmemory"),
        ("[policy]\nprofile = 'strict'", "settings-key", "policy"),
        ('profile = "lax"', "settings-value", "profile"),
        ("max_memory = true", "settings-value", "max_memory"),
        ('max_memory = "0"', "settings-value", "max_memory"),
        ("max_cpus = 0", "settings-value", "max_cpus"),
        ("max_cpus = nan", "settings-value", "max_cpus"),
        ("max_pids = 1.5", "settings-value", "max_pids"),
        ('registries = "ghcr.io"', "settings-value", "registries"),
        ("registries = [1]", "settings-value", "registries"),
        ('allow_home_project = "yes"', "settings-value", "allow_home_project"),
    ],
)
def test_a_fault_stops_everything(host: Host, text: str, code: str, field: str) -> None:
    path = write(host.config_dir, text)
    assert fault(host) == (code, field, path)


def test_a_misspelt_key_gets_a_suggestion(host: Host) -> None:
    write(host.config_dir, "maxmemory = 1")
    with pytest.raises(SpecError) as caught:
        settings.load(host)
    assert "max_memory" in caught.value.violations[0].fix


def test_all_faults_at_once(host: Host) -> None:
    write(host.config_dir, "x = 1")
    write(host.system_dir, "y = 1")
    with pytest.raises(SpecError) as caught:
        settings.load(host)
    assert len(caught.value.violations) == 2


@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_a_file_that_others_can_write(host: Host, mode: int) -> None:
    write(host.config_dir, "", mode)
    assert fault(host)[0] == "settings-unsafe"


def test_a_file_that_a_group_can_write(host: Host) -> None:
    write(host.config_dir, "", 0o660)
    assert fault(replace(host, gid=host.gid + 1))[0] == "settings-unsafe"


def test_a_group_of_ones_own_is_nobody_else(host: Host) -> None:
    # Where every user has a group of the same number, umask 002 is usual.
    path = write(host.config_dir, "", 0o660)
    own = path.stat().st_uid == path.stat().st_gid
    assert (settings.unsafe_file(path, host) is None) is own


def test_a_directory_that_others_can_write(host: Host) -> None:
    write(host.config_dir, "")
    host.config_dir.chmod(0o777)
    assert fault(host)[0] == "settings-unsafe"


def test_a_file_of_somebody_else(host: Host) -> None:
    path = write(host.config_dir, "")
    here = replace(host, uid=host.uid + 1)
    if os.getuid() == 0:
        os.chown(path, 4242, -1)
        here = host
    assert fault(here)[0] == "settings-unsafe"


def test_a_link_is_judged_by_what_it_leads_to(host: Host, tmp_path: Path) -> None:
    path = write(host.config_dir, "")
    target = tmp_path / "elsewhere"
    target.write_text('profile = "strict"')
    target.chmod(0o666)
    path.unlink()
    path.symlink_to(target)
    assert fault(host)[0] == "settings-unsafe"


def test_a_file_in_the_project(host: Host) -> None:
    here = replace(host, config_dir=host.directory / ".config")
    write(here.config_dir, "")
    assert fault(here)[0] == "settings-unsafe"


def test_a_notebook_in_the_home_directory_does_not_taint_it(host: Host) -> None:
    write(host.config_dir, 'profile = "strict"')
    assert settings.load(replace(host, directory=host.home)).strict
    assert settings.load(replace(host, directory=Path("/"))).strict


def test_a_file_that_is_none(host: Host) -> None:
    (host.config_dir / "policy.toml").mkdir(parents=True)
    assert fault(host)[0] == "settings-unsafe"


def test_a_huge_file(host: Host) -> None:
    write(host.config_dir, "# " + "x" * (1 << 20))
    assert fault(host)[0] == "settings-syntax"


def test_strict_makes_the_root_read_only(host: Host) -> None:
    skill = make_skill(host, read_only=False)
    assert settings.tightened(skill, Settings()) is skill
    assert settings.tightened(skill, Settings(profile="strict")).docker.read_only


def test_limits_are_lowered_with_a_note(host: Host) -> None:
    limits = Limits(memory=4 << 30, memory_swap=8 << 30, shm_size=4 << 30, nano_cpus=4 * 10**9, pids=1024)
    spec = make_spec(host, limits=limits, mounts=(Mount("tmpfs", "/tmp", size=4 << 30),))
    found = settings.bounded(spec, Settings(max_memory=1 << 30, max_cpus=1, max_pids=10))
    assert (found.limits.memory, found.limits.memory_swap, found.limits.shm_size) == (
        1 << 30,
        2 << 30,
        1 << 30,
    )
    assert (found.limits.nano_cpus, found.limits.pids) == (10**9, 10)
    assert found.mounts[0].size == 1 << 30
    assert len(found.notes) == 2


def test_limits_below_the_bound_stay(host: Host) -> None:
    spec = make_spec(host, limits=Limits(memory=1 << 30, nano_cpus=10**9, pids=5))
    assert settings.bounded(spec, Settings(max_memory=2 << 30, max_cpus=2, max_pids=10)) == spec


def test_bounds_hold_where_the_manifest_says_nothing(host: Host) -> None:
    found = settings.bounded(make_spec(host), Settings(max_memory=1 << 30, max_cpus=1.5))
    assert (found.limits.memory, found.limits.nano_cpus) == (1 << 30, 1_500_000_000)


def test_no_file_in_a_configuration_directory_of_the_project(host: Host) -> None:
    inside = replace(host, config_dir=host.directory / ".config/skill_magic")
    assert settings.load(inside) == Settings()
    write(inside.config_dir, "")
    assert fault(inside)[0] == "settings-unsafe"


@pytest.mark.parametrize(
    "pattern",
    [
        "uid0",
        "uid*",
        "*",
        "mount:*",
        "mount:rw:*",
        "m*",
        "*:rw:*",
        "env:HF_TOKEN",
        "network:b?",
        "[gu]id0",
        "gid:4",
        "shm-size:*",
    ],
)
def test_a_pattern_of_grants_that_fits_some_is_taken(host: Host, pattern: str) -> None:
    write(host.config_dir, f'forbid_grants = ["{pattern}"]\n')
    assert settings.load(host).forbid_grants == {pattern}


@pytest.mark.parametrize(
    ("pattern", "fix"),
    [
        ("uid-0", "Did you mean uid0?"),
        ("mount-rw:*", "Did you mean mount:rw:*?"),
        ("mounts:*", "Did you mean mount:*?"),
        ("netwrk:bridge", "Did you mean network:*?"),
        ("uid0x", "Did you mean uid0?"),
        ("xyz", "SECURITY.md lists the grants."),
        ("MOUNT:*", "Did you mean mount:*?"),
    ],
)
def test_a_pattern_of_grants_that_fits_none_is_a_fault(host: Host, pattern: str, fix: str) -> None:
    write(host.config_dir, f'forbid_grants = ["uid0", "{pattern}"]\n')
    with pytest.raises(SpecError) as caught:
        settings.load(host)
    (found,) = caught.value.violations
    assert (found.code, found.said) == ("settings-value", f"forbid_grants = '{pattern}'")
    assert (found.reason, found.fix) == ("No grant has such a name.", fix)
