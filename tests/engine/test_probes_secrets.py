"""Live probes: secrets of the host, and who may say yes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import skill_magic
from skill_magic.views import card

from . import people
from .kernels import Kernel
from .probes import Person, Project, codes

pytestmark = pytest.mark.engine

SECRET = "hunter2-Zq9_xyzzy"
"""Nothing else in a test's files has these letters."""


def kept(folder: Path) -> str:
    """All that lies in files below a folder."""
    return "".join(
        path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    )


def shell(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "skill_magic", *words],
        cwd=project.path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


# --- 11. secrets ----------------------------------------------------------------------------------

MAKES = [
    'volumes = ["./${PGPASSWORD}:/x"]',
    'volumes = ["./data:/x/${PGPASSWORD}"]',
    'environment = ["PGPASSWORD=${PGPASSWORD}"]',
    'environment = ["URL=postgres://joe:${PGPASSWORD}@db/x"]',
    'environment = ["MY_TOKEN=prefix-${PGPASSWORD}-suffix"]',
    'extra_args = ["-e", "PGPASSWORD=${PGPASSWORD}"]',
]


@pytest.mark.parametrize("line", MAKES)
def test_a_secret_reaches_the_tool_and_nobody_else(
    project: Project, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    project.write(line)
    (project.path / "data").mkdir()
    if "./${" in line:
        (project.path / SECRET / ".git").mkdir(parents=True)
    project.trust("env:PGPASSWORD")
    code = "import os; print('hunter2' in str(os.environ) + open('/proc/self/mountinfo').read())"
    result = project.run(code)
    assert result.stdout == "True\n"
    failed = project.run("import sys; sys.exit(3)")
    error = failed.error()
    assert error is not None
    shown = [
        repr(result), str(result), result.command_line, card.html(result), card.text(result),
        json.dumps(result.as_dict()), json.dumps(result._repr_mimebundle_()), repr(failed), card.html(failed),
        "\n".join(error.lines()), repr(error),
    ]  # fmt: skip
    for words in (
        ["explain", "x"],
        ["explain", "x", "--json"],
        ["check"],
        ["list"],
        ["doctor"],
    ):
        done = shell(project, *words)
        shown += [done.stdout, done.stderr]
    done = shell(project, "x", "--", "-c", "import sys; sys.exit(3)")
    shown += [done.stdout, done.stderr, kept(project.path.parent)]
    for text in shown:
        assert SECRET not in text


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('volumes = ["/no/such/${PGPASSWORD}:/x"]', "mount-missing"),
        ('volumes = ["/etc/${PGPASSWORD}:/x"]', "mount-system"),
        ('network = "bridge"\nenvironment = ["PGPASSWORD=${PGPASSWORD}"]', None),
        ('environment = ["BAD NAME=${PGPASSWORD}"]', None),
        ('extra_args = ["--mount", "type=bind,src=/srv/${PGPASSWORD},dst=/x"]', "mount-missing"),
    ],
)
def test_a_refusal_does_not_tell_the_secret(
    project: Project, monkeypatch: pytest.MonkeyPatch, line: str, code: str | None
) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    project.write(line)
    with pytest.raises(skill_magic.SkillError) as caught:
        project.run("print('must not run')")
    shown = ["\n".join(caught.value.lines()), repr(caught.value), str(caught.value)]
    if code is not None:
        assert code in codes(caught.value)
    for words in (["x"], ["explain", "x", "--json"], ["trust", "x"]):
        done = shell(project, *words)
        shown += [done.stdout, done.stderr]
    for text in shown:
        assert SECRET not in text


def test_no_proxy_and_no_variable_of_the_host_leaks_in(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"http://joe:{SECRET}@proxy.example:3128"
    folder = tmp_path / "docker"
    folder.mkdir()
    settings = {"proxies": {"default": {"httpProxy": proxy, "httpsProxy": proxy, "noProxy": "*.example"}}}
    (folder / "config.json").write_text(json.dumps({**settings, "HttpHeaders": {"X-Own": SECRET}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    for name in ("HTTP_PROXY", "https_proxy", "AWS_SECRET_ACCESS_KEY", "SOMETHING"):
        monkeypatch.setenv(name, proxy)
    project.write('network = "bridge"')
    project.trust("network:bridge")
    result = project.run("import os; print(sorted(os.environ.items()))")
    assert result.ok, result.stderr
    assert SECRET not in result.stdout
    assert "proxy" not in result.stdout.lower()


def test_a_secret_and_the_network_take_a_grant(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    project.write('network = "bridge"', 'environment = ["X=${PGPASSWORD}"]')
    error = project.refusal()
    assert error.liftable
    assert any("PGPASSWORD" in each.value + each.reason + str(each.grant) for each in error.violations)


# --- 12. trust ------------------------------------------------------------------------------------

ASKS = ['network = "bridge"', 'environment = ["PGPASSWORD=${PGPASSWORD}"]']


def test_nobody_is_asked_through_a_pipe_and_a_grant_is_for_this_manifest(person: Person) -> None:
    person.project.write(*ASKS)
    person.own()
    run = ["x", "--", "-c", "import os; print(len(os.environ['PGPASSWORD']))"]
    secret = {"PGPASSWORD": SECRET}

    refused = person.skill(*run, **secret)
    assert (refused.returncode, refused.stdout) == (125, "")
    assert "skill trust x" in refused.stderr
    asked = person.skill("trust", "x", **secret)
    assert asked.returncode == 125
    assert "skill trust x" in asked.stderr
    assert person.skill(*run, **secret).returncode == 125

    granted = person.skill("trust", "x", "--yes", **secret)
    assert granted.returncode == 0, granted.stderr
    done = person.skill(*run, **secret)
    assert done.stdout == f"{len(SECRET)}\n", done.stderr

    file = person.home / ".local/share/skill_magic/trust.json"
    assert SECRET not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0

    # Another manifest, by one key: the grant is not for it, and what changed is told.
    person.project.write(*ASKS, 'working_dir = "/tmp"')
    assert person.skill(*run, **secret).returncode == 125
    again = person.skill("trust", "x", **secret)
    assert again.returncode == 125
    person.project.write(*ASKS)
    assert person.skill(*run, **secret).returncode == 0

    # Another project with the very same manifest.
    other = person.home / "other"
    other.mkdir()
    (other / "skills.toml").write_text((person.project.path / "skills.toml").read_text())
    person.own()
    elsewhere = person.run(
        ["sh", "-c", f"cd {other} && exec {people.python()} -m skill_magic x -- -c 'print(1)'"], secret
    )
    assert elsewhere.returncode == 125, elsewhere.stdout

    # A file that others can write is nobody's word.
    file.chmod(0o666)
    loose = person.skill(*run, **secret)
    assert loose.returncode == 125
    assert "trust-unsafe" in loose.stderr
    file.chmod(0o600)
    assert person.skill(*run, **secret).returncode == 0
    os.chown(file, 12345, 12345)
    assert "trust-unsafe" in person.skill(*run, **secret).stderr
    os.chown(file, os.stat(person.home).st_uid, -1)

    assert person.skill("trust", "x", "--revoke").returncode == 0
    assert person.skill(*run, **secret).returncode == 125


def test_a_manifest_cannot_grant_itself_anything(person: Person) -> None:
    """Neither in the project nor through files that the project brings along."""
    project = person.project
    project.write(*ASKS)
    for text in ('[trust]\nx = ["*"]\n', "[policy]\nallow_home_project = true\n"):
        manifest = (project.path / "skills.toml").read_text()
        (project.path / "skills.toml").write_text(manifest + text)
        person.own()
        done = person.skill("x", PGPASSWORD=SECRET)
        assert done.returncode == 125
        (project.path / "skills.toml").write_text(manifest)
    (project.path / "policy.toml").write_text('registries = ["evil.example"]\n')
    (project.path / "trust.json").write_text("{}")
    person.own()
    done = person.skill("x", PGPASSWORD=SECRET, XDG_DATA_HOME=".", XDG_CONFIG_HOME=".")
    assert done.returncode == 125
    inside = str(project.path)
    (project.path / "skill_magic").mkdir()
    (project.path / "skill_magic/trust.json").write_text('{"version": 1, "projects": {}}')
    person.own()
    done = person.run(
        [people.python(), "-P", "-m", "skill_magic", "x"], {"XDG_DATA_HOME": inside, "PGPASSWORD": SECRET}
    )
    assert done.returncode == 125
    assert "trust-unsafe" in done.stderr


def test_a_cell_that_says_yes_is_no_person(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    project.write(*ASKS)
    kernel = Kernel(project.path)
    try:
        for line in ("%skill trust x --yes", "%skill trust x", "%skill x"):
            cell = kernel.run(line)
            assert not cell.ok, cell.outputs
            assert SECRET not in str(cell.outputs)
        assert "skill trust x" in cell.error
    finally:
        kernel.close()
    assert not (project.path.parent / ".local/share/skill_magic/trust.json").exists()
