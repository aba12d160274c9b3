"""What is kept from a container inside an allowed mount."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from policy_helpers import make_host, make_spec

from skill_magic.host import Host
from skill_magic.mounts import mounts
from skill_magic.spec import Mount


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


def guards(host: Host, *given: Mount) -> dict[str, Mount]:
    """Container path → guard."""
    made = mounts.complete(given, host, files=(host.directory / "skills.toml",))
    return {mount.target: mount for mount in made if mount not in given}


def bind(host: Host, text: str) -> Mount:
    return mounts.parse_volume(text, field="volumes[0]", host=host, base_dir=host.directory)


def test_nothing_to_guard(host: Host) -> None:
    assert guards(host, mounts.project_mount(host)) == {}


@pytest.mark.parametrize(
    "name", [".git", ".vscode", ".idea", ".envrc", ".venv", "skills.toml", ".skill-engine.toml"]
)
def test_what_the_host_runs_later_is_read_only(host: Host, name: str) -> None:
    path = host.directory / name
    path.mkdir() if name in (".git", ".vscode", ".idea", ".venv") else path.touch()
    (guard,) = guards(host, mounts.project_mount(host)).values()
    assert (guard.kind, guard.target, guard.read_only, guard.ours) == ("bind", f"/workdir/{name}", True, True)
    assert guard.source == str(path)
    assert guard.identity is not None


def test_the_open_notebook_is_read_only(tmp_path: Path) -> None:
    host = make_host(tmp_path, notebook=tmp_path / "home/u/proj/a.ipynb")
    (host.directory / "a.ipynb").touch()
    (host.directory / "b.ipynb").touch()
    assert list(guards(host, mounts.project_mount(host))) == ["/workdir/a.ipynb"]


def test_a_virtual_environment_by_any_name(host: Host) -> None:
    (host.directory / "env").mkdir()
    (host.directory / "env/pyvenv.cfg").touch()
    assert list(guards(host, mounts.project_mount(host))) == ["/workdir/env"]


def test_a_read_only_mount_needs_no_guard(host: Host) -> None:
    (host.directory / ".git").mkdir()
    assert guards(host, bind(host, ".:/w:ro")) == {}


def test_every_read_write_mount_is_guarded(host: Host) -> None:
    (host.directory / ".git").mkdir()
    (host.directory / "sub/.git").mkdir(parents=True)
    found = guards(host, mounts.project_mount(host), bind(host, ".:/w"), bind(host, "./sub:/s"))
    # A clone in a folder below is one too, under each name that the folder has in the container.
    assert {target for target, guard in found.items() if guard.read_only} == {
        "/workdir/.git",
        "/workdir/sub/.git",
        "/w/.git",
        "/w/sub/.git",
        "/s/.git",
    }


def test_a_mount_above_the_project_guards_the_project(host: Host) -> None:
    (host.directory / ".git").mkdir()
    above = Mount("bind", "/all", str(host.directory.parent), declared=str(host.directory.parent))
    assert "/all/proj/.git" in guards(host, above)


def test_guards_come_right_after_their_mount(host: Host) -> None:
    (host.directory / ".git").mkdir()
    own, other = mounts.project_mount(host), bind(host, "/data:/data:ro")
    assert [each.target for each in mounts.complete((own, other), host)] == [
        "/workdir",
        "/workdir/.git",
        "/data",
    ]


def test_a_mount_of_the_manifest_at_the_same_place_stays(host: Host) -> None:
    (host.directory / ".git").mkdir()
    (host.directory / "data").mkdir()
    assert guards(host, mounts.project_mount(host), bind(host, "./data:/workdir/.git")) == {}


def test_worktree_pointer_and_its_target(host: Host) -> None:
    (host.directory / "repo.git/worktrees/w").mkdir(parents=True)
    (host.directory / ".git").write_text("gitdir: repo.git/worktrees/w\n")
    found = guards(host, mounts.project_mount(host))
    assert {target for target, mount in found.items() if mount.read_only} == {
        "/workdir/.git",
        "/workdir/repo.git/worktrees/w",
    }
    # What lies above it cannot be moved away: each is a mount point itself.
    assert {target for target, mount in found.items() if not mount.read_only} == {
        "/workdir/repo.git",
        "/workdir/repo.git/worktrees",
    }


def test_worktree_beside_its_repository(host: Host) -> None:
    (host.directory / "repo.git/worktrees/w").mkdir(parents=True)
    (host.directory / "repo.git/worktrees/w/commondir").write_text("../..\n")
    (host.directory / ".git").write_text("gitdir: repo.git/worktrees/w\n")
    # The hooks are in the repository, not in the worktree's own directory.
    assert set(guards(host, mounts.project_mount(host))) == {"/workdir/.git", "/workdir/repo.git"}


@pytest.mark.timeout(20)
def test_a_pipe_in_the_place_of_a_file_holds_nothing_up(host: Host) -> None:
    for name in (".gitmodules", ".git"):
        os.mkfifo(host.directory / name)
    found = guards(host, mounts.project_mount(host))
    assert {target: guard.source for target, guard in found.items()} == {
        "/workdir/.git": "/dev/null",
        "/workdir/.gitmodules": "/dev/null",
    }


def test_hooks_that_are_kept_elsewhere(host: Host) -> None:
    (host.directory / ".git").mkdir()
    (host.directory / "tools/hooks").mkdir(parents=True)
    (host.directory / "linked").mkdir()
    (host.directory / ".git/hooks").symlink_to("../linked")
    (host.directory / ".git/config").write_text("[core]\n\thooksPath = tools/hooks\n")
    found = guards(host, mounts.project_mount(host))
    read_only = {target for target, guard in found.items() if guard.read_only}
    assert read_only == {"/workdir/.git", "/workdir/tools/hooks", "/workdir/linked"}


def test_hooks_outside_are_not_ours_to_guard(host: Host) -> None:
    (host.directory / ".git").mkdir()
    (host.directory / ".git/config").write_text("[core]\n\thookspath = ~/hooks\n\thookspath = /etc\n")
    assert set(guards(host, mounts.project_mount(host))) == {"/workdir/.git"}


def test_pointer_to_a_directory_outside(host: Host) -> None:
    (host.directory / ".git").write_text("gitdir: /nowhere/.git/worktrees/w\n")
    assert set(guards(host, mounts.project_mount(host))) == {"/workdir/.git"}


def test_submodules(host: Host) -> None:
    (host.directory / ".gitmodules").write_text(
        '[submodule "a"]\n\tpath = lib/a\n[submodule "b"]\n\tpath = ../../b\n'
    )
    (host.directory / "lib/a").mkdir(parents=True)
    (host.directory / "lib/a/.git").write_text("gitdir: ../../.git/modules/a\n")
    found = guards(host, mounts.project_mount(host))
    assert {target: mount.read_only for target, mount in found.items()} == {
        "/workdir/lib": False,
        "/workdir/lib/a": False,
        "/workdir/lib/a/.git": True,
        "/workdir/.gitmodules": True,
    }


def test_a_link_guards_what_it_leads_to(host: Host) -> None:
    (host.directory / "dotgit").mkdir()
    (host.directory / ".git").symlink_to("dotgit")
    spec = make_spec(host)
    assert set(guards(host, *spec.mounts)) == {"/workdir/dotgit"}
    assert host.directory / ".git" in mounts.watched(spec, host)


def test_watched_are_the_absent_ones(host: Host) -> None:
    (host.directory / ".git").mkdir()
    found = mounts.watched(make_spec(host), host)
    assert host.directory / ".git" not in found
    assert {host.directory / ".vscode", host.directory / ".envrc", host.directory / "skills.toml"} <= set(
        found
    )


def test_what_a_run_plants_is_found(host: Host) -> None:
    (host.directory / "dotgit").mkdir()
    (host.directory / ".git").symlink_to("dotgit")
    (host.directory / ".idea").symlink_to("nowhere")
    before = mounts.absent(make_spec(host), host)
    assert mounts.planted(before) == ()
    (host.directory / ".vscode").mkdir()
    (host.directory / ".vscode/tasks.json").touch()
    (host.directory / ".git").unlink()
    (host.directory / ".git").mkdir()
    (host.directory / "result.txt").touch()
    assert set(mounts.planted(before)) == {host.directory / ".git", host.directory / ".vscode"}


def test_nothing_is_watched_where_nothing_can_be_written(host: Host) -> None:
    assert mounts.watched(make_spec(host, mounts=(bind(host, ".:/w:ro"),)), host) == ()


def test_credentials_below_an_allowed_parent_are_hidden(host: Host) -> None:
    config = host.home / ".config"
    for name in ("gh", "gcloud", "plain"):
        (config / name).mkdir(parents=True)
    (config / "git").mkdir()
    (config / "git/credentials").touch()
    found = guards(host, bind(host, "${HOME}/.config:/config:ro"))
    assert set(found) == {"/config/gh", "/config/gcloud", "/config/git/credentials"}
    assert all(mask.kind == "mask" and mask.read_only and mask.ours for mask in found.values())
    assert found["/config/gh"].source is None
    assert found["/config/git/credentials"].source == "/dev/null"


def test_a_link_to_credentials_hides_what_it_leads_to(host: Host) -> None:
    config = host.home / ".config"
    (config / "real-gh").mkdir(parents=True)
    (config / "gh").symlink_to("real-gh")
    assert set(guards(host, bind(host, "${HOME}/.config:/c:ro"))) == {"/c/real-gh"}


def test_a_credential_that_a_variable_names_is_hidden(tmp_path: Path) -> None:
    key = tmp_path / "home/u/proj/key.json"
    host = make_host(tmp_path, environment={"GOOGLE_APPLICATION_CREDENTIALS": str(key)})
    key.touch()
    found = guards(host, mounts.project_mount(host))
    assert found["/workdir/key.json"].kind == "mask"


def test_read_write_on_a_parent_also_protects_code(host: Host) -> None:
    (host.home / ".config/nvim").mkdir(parents=True)
    (host.home / ".config/gh").mkdir()
    found = guards(host, bind(host, "${HOME}/.config:/c"))
    assert found["/c/nvim"].kind == "bind"
    assert found["/c/nvim"].read_only
    assert found["/c/gh"].kind == "mask"


def test_the_parent_of_what_is_hidden_cannot_be_moved_away(tmp_path: Path) -> None:
    # Else a tool could put another ~/.config/autostart in its place.
    host = make_host(tmp_path, directory=tmp_path / "home/u")
    (host.home / ".config/autostart").mkdir(parents=True)
    found = guards(host, mounts.project_mount(host))
    assert (found["/workdir/.config"].kind, found["/workdir/.config"].read_only) == ("bind", False)
    assert found["/workdir/.config/autostart"].kind == "mask"
    assert list(found).index("/workdir/.config") < list(found).index("/workdir/.config/autostart")
    assert "/w/.config" not in guards(host, bind(host, "${HOME}:/w:ro"))


def test_the_home_directory_as_project(tmp_path: Path) -> None:
    host = make_host(tmp_path, directory=tmp_path / "home/u")
    for name in (".ssh", ".config/gh", ".git"):
        (host.home / name).mkdir(parents=True)
    (host.home / ".gitconfig").touch()
    (host.home / ".bashrc").touch()
    found = guards(host, mounts.project_mount(host))
    assert {target: mount.kind for target, mount in found.items()} == {
        "/workdir/.ssh": "mask",
        "/workdir/.config": "bind",
        "/workdir/.config/gh": "mask",
        "/workdir/.bashrc": "mask",
        "/workdir/.gitconfig": "bind",
        "/workdir/.git": "bind",
    }
