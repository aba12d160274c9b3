"""Where a path leads, by name, by link and by inode."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from policy_helpers import make_host

from skill_magic.host import Host
from skill_magic.mounts.guards import complete
from skill_magic.policy import paths as policy_paths
from skill_magic.policy import protected
from skill_magic.policy.paths import Judge, way
from skill_magic.spec import Mount


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path)
    (made.home / ".ssh").mkdir()
    (made.home / ".netrc").touch()
    return made


def kind(host: Host, path: str | Path, **options: bool) -> str | None:
    hit = Judge(host).hit(str(path), policy_paths.resolve(str(path)), **options)
    return hit.kind if hit is not None else None


def test_a_hard_link_to_a_credential(host: Host) -> None:
    os.link(host.home / ".netrc", host.directory / "notes.txt")
    assert kind(host, host.directory / "notes.txt") == "credential"


BOUND = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from policy_helpers import make_host
from skill_magic.policy.paths import Judge
host = make_host(Path({root!r}))
for name in ("", "/.ssh", "/.config", "/proj/data"):
    hit = Judge(host).hit({bound!r} + name, {bound!r} + name)
    print(hit.kind if hit else None)
"""


def test_a_bind_mount_is_no_disguise(host: Host, tmp_path: Path) -> None:
    """The home directory shown at another place, in a mount namespace of its own."""
    (host.home / ".config/gh").mkdir(parents=True)
    (host.directory / "data").mkdir()
    bound = tmp_path / "elsewhere"
    bound.mkdir()
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    code = BOUND.format(paths=paths, root=str(tmp_path), bound=str(bound))
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(host.home), str(bound)]
    done = subprocess.run(
        [*command, sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["home", "credential", "None", "None"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/etc", "/ETC"),
        ("/home/u/.ssh", "/home/u/.SSH"),
        ("/caf\u00e9", "/cafe\u0301"),
        ("/CAF\u00c9", "/cafe\u0301"),
        ("/home/u/.ssh", "/home/u/.s\u200dsh"),
        ("/home/u/.ssh", "/home/u/.\u017fsh"),
        ("/stra\u00dfe", "/STRASSE"),
        ("/users/u", "/System/Volumes/Data/Users/u"),
        ("/", "//"),
        ("/a/c", "/a/./b/../c/"),
    ],
)
def test_what_a_forgiving_file_system_takes_for_the_same(one: str, other: str) -> None:
    assert protected.fold(one) == protected.fold(other)


@pytest.mark.parametrize(("one", "other"), [("/etc", "/etcetera"), ("/a b", "/ab"), ("/data", "/date")])
def test_what_differs_stays_different(one: str, other: str) -> None:
    assert protected.fold(one) != protected.fold(other)


def test_the_way_tells_every_place_that_is_passed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").symlink_to("../two")
    (tmp_path / "two").symlink_to("/proc")
    found = list(way(str(tmp_path / "a/one/self/cwd")))
    assert str(tmp_path / "two") in found
    assert "/proc/self" in found


def test_the_way_ends_where_the_path_does(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/b/..")
    for path in ("link/./b/../new", "a//b", "link/..", "nowhere/../a"):
        assert list(way(f"{tmp_path}/{path}"))[-1] == os.path.realpath(f"{tmp_path}/{path}")


def test_a_way_in_a_circle_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert len(list(way(str(tmp_path / "a/x")))) < 100


def test_a_link_through_proc_has_no_meaning(host: Host) -> None:
    # In our process it leads to the project; in the engine's, somewhere else.
    (host.directory / "link").symlink_to("/proc/self/cwd")
    assert kind(host, host.directory / "link") == "kernel"
    (host.directory / "up").symlink_to(os.path.relpath("/", host.directory))
    (host.directory / "twice").symlink_to("up/proc")
    assert kind(host, host.directory / "twice/1/root") == "kernel"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/run/media/u/disk", None),
        ("/run/media/u", "system"),
        ("/run/media", "system"),
        ("/media/u/disk", None),
        ("/mnt/x", None),
        ("/data", None),
        ("/tmp/x", None),
        ("/var/tmp/x", None),
        ("/private/var/folders/ab/x", None),
        ("/private/tmp/x", None),
        ("/Volumes/Disk/x", None),
        ("/mnt/c/Users/u/Documents", None),
        ("/home/other/shared", None),
        ("/srv/data", None),
        ("/opt/data", None),
        ("/workspaces/x", None),
        ("/content", None),
    ],
)
def test_near_and_allowed(host: Host, path: str, expected: str | None) -> None:
    found = Judge(host).hit(path, path)
    kinds = {"system": ("system", "exact")}.get(expected or "", (None,))
    assert (found.kind if found else None) in kinds


def test_somebody_elses_home_may_be_the_notebooks_directory(host: Host) -> None:
    # /home/jovyan with HOME elsewhere, /home/workspace: only what is one's own home is known to be one.
    assert kind(host, "/home/workspace") == "home"
    assert kind(host, "/home/workspace", notebook=True) is None
    assert kind(host, "/home/workspace/.ssh", notebook=True) == "credential"


@pytest.mark.parametrize("home", ["/root", "/var/lib/jenkins", "/var/lib/jupyterhub/u"])
def test_a_home_in_a_system_tree(tmp_path: Path, home: str) -> None:
    here = make_host(tmp_path, home=Path(home))
    assert kind(here, f"{home}/proj") is None
    assert kind(here, f"{home}/.ssh") == "credential"
    assert kind(here, home) == "home"
    assert kind(here, "/var/lib/other") == "system"


def test_a_home_that_is_the_root_opens_nothing(tmp_path: Path) -> None:
    here = make_host(tmp_path, home=Path("/"))
    for path in ("/", "/etc", "/root", "/.ssh", "/var/lib/x"):
        assert kind(here, path) is not None, path
    assert kind(here, "/work") is None


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("SSH_AUTH_SOCK", "/data/agent.sock", "/data/agent.sock"),
        ("SSH_AUTH_SOCK", "/data/agent.sock", "/data"),
        ("XDG_RUNTIME_DIR", "/data/run", "/data/run/bus"),
        ("KUBECONFIG", "/data/a:/data/b", "/data/b"),
        ("DOCKER_CONFIG", "/data/docker", "/data/docker/config.json"),
        ("DOCKER_HOST", "unix:///data/d.sock", "/data/d.sock"),
        ("DOCKER_HOST", "unix:///data/d.sock", "/data"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/data/key.json", "/data/key.json"),
    ],
)
def test_what_a_variable_names_is_protected(tmp_path: Path, name: str, value: str, path: str) -> None:
    assert kind(make_host(tmp_path), path) is None
    assert kind(make_host(tmp_path, environment={name: value}), path) in ("socket", "credential")


@pytest.mark.parametrize("value", ["", "/", "/tmp", "relative", "{home}", "{home}/proj"])
def test_a_variable_cannot_take_the_project_away(tmp_path: Path, value: str) -> None:
    text = value.format(home=tmp_path / "home/u")
    here = make_host(tmp_path, environment={"XDG_RUNTIME_DIR": text, "IPYTHONDIR": text})
    assert kind(here, here.directory) is None


# --- dot files kept elsewhere, and places of sessions ---------------------------------------------


@pytest.fixture
def kept_elsewhere(host: Host) -> Host:
    """A person whose dot files are links into a folder, as stow and chezmoi make them."""
    dot = host.home / "dot"
    (host.home / ".ssh").rmdir()
    for name in ("ssh", "config/gh", "colima", "plain"):
        (dot / name).mkdir(parents=True)
    (dot / "vimrc").touch()
    for link, name in ((".ssh", "ssh"), (".config", "config"), (".vimrc", "vimrc"), (".lima", "colima")):
        (host.home / link).symlink_to(dot / name)
    return host


def test_credentials_behind_links_are_hidden(kept_elsewhere: Host) -> None:
    dot = kept_elsewhere.home / "dot"
    (dot / "colima").rmdir()
    (kept_elsewhere.home / ".lima").unlink()
    assert kind(kept_elsewhere, dot) is None
    mounts = complete((Mount("bind", "/x", str(dot), read_only=True),), kept_elsewhere)
    masked = {mount.declared for mount in mounts if mount.kind == "mask"}
    assert masked == {str(dot / "ssh"), str(dot / "config/gh")}
    mounts = complete((Mount("bind", "/x", str(dot)),), kept_elsewhere)
    assert str(dot / "vimrc") in {mount.source for mount in mounts if mount.ours and mount.read_only}


def test_a_link_made_later_counts(host: Host) -> None:
    dot = host.home / "dot"
    (dot / "aws").mkdir(parents=True)
    assert list(Judge(host).contained(str(dot), ("credential",))) == []
    (host.home / ".aws").symlink_to(dot / "aws")
    assert [entry.path for entry in Judge(host).contained(str(dot), ("credential",))] == [str(dot / "aws")]


def test_sockets_behind_links_are_not_mounted(kept_elsewhere: Host) -> None:
    assert kind(kept_elsewhere, kept_elsewhere.home / "dot") == "socket"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/tmp/krb5cc_1000", "credential"),
        ("/tmp/krb5cc_1000_x/tkt", "credential"),
        ("/var/tmp/krb5cc", "credential"),
        ("/tmp/x509up_u1000", "credential"),
        ("/tmp/emacs1000", "socket"),
        ("/tmp/emacs1000/server", "socket"),
        ("/tmp/runtime-u", "socket"),
        ("/tmp/runtime-u/bus.d", "socket"),
        ("/tmp/gpg-AbC", "socket"),
        ("/tmp/pulse-Xy", "socket"),
        ("/tmp/emacs-data", None),
        ("/tmp/x509", None),
        ("/tmp/runtime", None),
        ("/tmp/data/krb5cc_1000", None),
    ],
)
def test_sessions_and_tickets_below_tmp(host: Host, path: str, expected: str | None) -> None:
    assert kind(host, path, read_only=True) == expected


HIDDEN = """
.curlrc .wgetrc .hgrc .condarc .cdsapirc .config/jupyter .config/google-chrome-beta .config/VSCodium
.config/Cursor .var .config/composer .composer .nuget .globus .config/earthengine .config/hcloud .gsutil
.modal.toml .openai .dbt .streamlit .ngc .ansible .local/share/fish .local/share/atuin .bundle .sbt .ivy2
.nextflow .irssi .weechat .android
"""


@pytest.mark.parametrize("name", HIDDEN.split())
def test_more_places_of_credentials(host: Host, name: str) -> None:
    assert kind(host, host.home / name, read_only=True) == "credential"


def test_our_own_directories(host: Host) -> None:
    """Files in the cache are mounted into containers."""
    for place in (host.config_dir, host.data_dir, host.cache_dir):
        assert kind(host, place, read_only=True) == "credential"
