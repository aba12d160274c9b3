"""Live probes: images made to get out, or to cheat."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from pace import pace

import skill_magic
from skill_magic.engine import Engine, Run
from skill_magic.engine.images import ensure
from skill_magic.host import Host
from skill_magic.policy.rules import check_image
from skill_magic.spec import Gpus, RunSpec

from .probes import UID, Person, Project, codes, commit, docker, drop, left_volumes, volumes

pytestmark = pytest.mark.engine

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
nobody:x:0:0:not nobody:/:/bin/sh
app:x:1234:1234:app:/:/bin/sh
wheel:x:1235:0:in root's group:/:/bin/sh
"""
GROUP = b"root:x:0:\nplain:x:1234:\nsneaky:x:0:\n"


@pytest.fixture
def image() -> Iterator[Callable[..., str]]:
    """Makes images that are gone after the test."""
    with contextlib.ExitStack() as stack:

        def make(*changes: str, files: dict[str, bytes | str] | None = None, run: str = "true") -> str:
            name = commit(*changes, files=files, run=run)
            stack.callback(drop, name)
            return name

        yield make


@pytest.mark.parametrize(
    "place", ["/proc/self/fd/8", "/proc/self/fd/8/../..", "/sys/fs", "/dev", "//proc/1/cwd"]
)
def test_an_image_that_starts_in_the_kernels_directories(
    project: Project, image: Callable[..., str], place: str
) -> None:
    """CVE-2024-21626, whether or not the manifest says where it starts."""
    name = image(f"WORKDIR {place}")
    if (
        docker("image", "inspect", "-f", "{{.Config.WorkingDir}}", name)
        .lstrip("/")
        .startswith(("proc", "sys", "dev"))
    ):
        for line in ("", 'working_dir = "/"'):
            project.write(line, image=name)
            error = project.refusal("import os; print(os.listdir('.'))")
            assert codes(error) == {"image-workdir"}
            assert not error.liftable
    else:
        pytest.fail("the engine changed the working directory")


def test_a_link_as_working_directory_leads_nowhere(project: Project, image: Callable[..., str]) -> None:
    """The control for what can be seen: a link in the image is resolved in the container."""
    name = image("WORKDIR /here", files={"/here": "/proc/self/fd"})
    project.write('working_dir = "/here"', image=name)
    try:
        result = project.run(
            "import os; print(os.path.realpath('/'), os.path.exists('/etc/debian_version'))\n"
            "print([os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
            " if os.path.isdir(f'/proc/self/fd/{n}') and n not in '012'])"
        )
    except skill_magic.SkillError:
        return
    assert "/var/lib" not in result.stdout, result.stdout


def test_a_loader_variable_and_a_gpu(engine: Engine, host: Host, image: Callable[..., str]) -> None:
    """What a GPU's hook on the host would inherit (CVE-2025-23266); without a GPU it stays inside."""
    name = image("ENV LD_PRELOAD=/workdir/evil.so")
    facts = ensure(engine, name)
    spec = RunSpec(skill="x", image=name, gpus=Gpus(count=-1), user="1:1", directory=host.directory)
    assert [each.code for each in check_image(spec, facts, host)] == ["gpu-loader"]


def test_a_loader_variable_alone_stays_inside(project: Project, image: Callable[..., str]) -> None:
    name = image("ENV LD_PRELOAD=/workdir/evil.so")
    project.write(image=name)
    result = project.run("import os; print(os.environ['LD_PRELOAD'])")
    assert "/workdir/evil.so" in result.stdout


def test_the_images_volumes_are_gone_with_the_container(project: Project, image: Callable[..., str]) -> None:
    name = image('VOLUME ["/data", "/other"]')
    before = volumes()
    project.write(image=name)
    during = project.run("open('/data/x', 'w').close() if __import__('os').access('/data', 2) else None")
    assert during.ok
    assert left_volumes(before) == set()


@pytest.mark.parametrize(
    "volume", ["/workdir/a/b/c", "/workdir/.idea", "/workdir/.git/hooks", "/x/../workdir/d", "workdir/e"]
)
def test_no_volume_of_an_image_makes_a_folder_of_roots(
    project: Project, image: Callable[..., str], volume: str
) -> None:
    name = image(f'VOLUME ["{volume}"]')
    project.write(image=name)
    before = sorted(project.path.rglob("*"))
    assert codes(project.refusal("print(1)")) == {"image-volume-missing"}
    assert sorted(project.path.rglob("*")) == before


def test_a_volume_of_an_image_over_a_folder_that_is_there(
    project: Project, image: Callable[..., str]
) -> None:
    name = image('VOLUME ["/workdir/there"]')
    (project.path / "there").mkdir()
    project.write(image=name)
    assert project.run("import os; print(os.listdir('/workdir/there'))").stdout == "[]\n"


@pytest.mark.parametrize(
    ("links", "changes"),
    [
        ({"/workdir": "/etc"}, ()),
        ({"/workdir": "/proc"}, ()),
        ({"/data": "/workdir"}, ('VOLUME ["/data/x"]',)),
        ({"/deep/data": "../workdir"}, ('VOLUME ["/deep/data/x"]',)),
        ({"/one": "/two", "/two": "/workdir"}, ('VOLUME ["/one/x"]',)),
        ({"/sbin": "/workdir"}, ()),
    ],
    ids=str,
)
def test_no_link_of_an_image_leads_a_mount_elsewhere(
    project: Project, image: Callable[..., str], links: dict[str, str], changes: tuple[str, ...]
) -> None:
    name = image(*changes, files=dict(links))
    project.write(image=name)
    before = sorted(project.path.rglob("*"))
    assert codes(project.refusal("print(1)")) == {"target-link"}
    assert sorted(project.path.rglob("*")) == before


def test_a_harmless_link_of_an_image_is_followed(project: Project, image: Callable[..., str]) -> None:
    name = image(files={"/workdir": "/srv/elsewhere"})
    project.write(image=name)
    assert project.run("import os; print(os.getcwd())").ok


def test_no_folder_of_the_host_takes_the_place_of_etc(project: Project) -> None:
    (project.path / "d").mkdir()
    project.write('volumes = ["./d:/etc"]')
    assert codes(project.refusal("print(1)")) == {"target-system"}
    assert list((project.path / "d").iterdir()) == []


def test_labels_are_not_configuration(project: Project, image: Callable[..., str]) -> None:
    labels = {
        "skill-magic.keep": "true", "skill-magic.rm": "false", "skill-magic.session": "another",
        "io.whalebrew.config.volumes": '["/etc:/etc"]', "com.docker.compose.project": "theirs",
    }  # fmt: skip
    name = image(*(f"LABEL {key}='{value}'" for key, value in labels.items()))
    project.write(image=name)
    result = project.run("print(open('/proc/self/mountinfo').read())")
    assert result.ok
    assert " /etc " not in result.stdout
    assert docker("ps", "-aq", "--filter", f"ancestor={name}") == ""  # keep=true of the image had no effect


def test_a_health_check_does_not_run(project: Project, image: Callable[..., str]) -> None:
    name = image("HEALTHCHECK --interval=1s CMD touch /workdir/checked")
    project.write(image=name)
    assert project.run("import time; time.sleep(2.2)").ok
    assert not (project.path / "checked").exists()


def test_an_entrypoint_that_is_not_there(project: Project, image: Callable[..., str]) -> None:
    name = image('ENTRYPOINT ["/no/such/program"]')
    (project.path / "skills.toml").write_text(f'[skills.x.docker]\nimage = "{name}"\n')
    result = skill_magic.run("x", directory=project.path, check=False)
    assert result.exit_code == 127
    assert "/no/such/program" in (result.error_text + result.stderr)


STRANGE: dict[str, tuple[dict[str, bytes | str], str]] = {
    "link": ({"/etc/passwd": "/proc/1/root/etc/shadow"}, "true"),
    "huge": ({"/etc/passwd": b"x" * (2 << 20)}, "true"),
    "directory": ({"/etc/passwd": "/etc"}, "true"),
    "device-like": ({"/etc/passwd": "/dev/zero"}, "true"),
    "pipe": ({}, "rm /etc/passwd && mkfifo /etc/passwd"),
    "pipe of groups": ({}, "rm /etc/group && mkfifo /etc/group"),
    "pipe by a link": (
        {},
        "mkdir -p /p/q && mkfifo /p/pw && ln -s /p/q /etc/d && cp /etc/passwd /etc/pw && ln -sf d/../pw /etc/passwd",
    ),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_passwd_file(person: Person, image: Callable[..., str], kind: str) -> None:
    """It neither holds a run up nor is followed out of the image. The engine itself would wait for a pipe's writer."""
    files, run = STRANGE[kind]
    name = image(files=files, run=run)
    person.project.write(image=name)
    person.own()
    begun = time.monotonic()
    done = person.tool("import os; print(os.getuid()); print(open('/etc/passwd').read(9))")
    assert time.monotonic() - begun < 20 * pace()
    if done.returncode == 125:
        assert "the image's /" in done.stderr or "user-unknown" in done.stderr
    else:
        assert done.stdout.split()[0] == str(os.stat(person.home).st_uid), done.stderr
    assert done.returncode == 125 or "pipe" not in kind
    assert "$" not in done.stdout  # no hash of a password


NAMED = [
    ("nobody", "user-root"),
    ("app:sneaky", "user-root-group"),
    ("nobody:plain", "user-root"),
    (f"{UID}:sneaky", "user-root-group"),
    ("missing", "user-unknown"),
]


@pytest.mark.parametrize("links", [False, True], ids=["file", "link"])
def test_an_image_that_calls_root_nobody(person: Person, image: Callable[..., str], links: bool) -> None:
    """A name in ``user`` means what the image's own files say; by them it is root, and needs root's grant."""
    files: dict[str, bytes | str] = {"/etc/passwd": PASSWD, "/etc/group": GROUP}
    if links:
        files = {"/opt/p": PASSWD, "/opt/g": GROUP, "/etc/passwd": "../opt/p", "/etc/group": "/opt/g"}
    name = image(files=files)
    plant = "import os; open('planted', 'w').close(); os.chmod('planted', 0o4755); print(os.getuid())"
    for user, code in NAMED:
        person.project.write(f'user = "{user}"', 'extra_args = ["--cap-add=DAC_OVERRIDE"]', image=name)
        person.own()
        done = person.tool(plant)
        assert done.returncode == 125, (user, done.stdout, done.stderr)
        assert code in done.stderr, (user, done.stderr)
        assert not (person.home / "project/planted").exists()
    person.project.write('user = "app:plain"', image=name)
    person.own()
    person.trust("uid:1234", "gid:1234")
    done = person.tool("import os; print(os.getuid(), os.getgid())")
    assert done.stdout == "1234 1234\n", done.stderr


@pytest.mark.parametrize(
    "line", [b"nobody:x:evil:65534::/:", b" nobody:x:0:0", b"nobody", b"a\x0bnobody:x:9:9\nnobody:x:0:0"]
)
def test_a_line_that_only_the_engine_reads_as_root(
    person: Person, image: Callable[..., str], line: bytes
) -> None:
    passwd = b"root:x:0:0::/:\n" + line + b"\nnobody:x:65534:65534::/:\n"
    name = image(files={"/etc/passwd": passwd, "/etc/group": GROUP})
    assert docker("run", "--rm", "--user=nobody", "--entrypoint=id", name, "-u") == "0"
    person.project.write('user = "nobody"', image=name)
    person.own()
    done = person.tool("import os; print(os.getuid())")
    assert done.returncode == 125, done.stdout
    assert "user-root" in done.stderr


def test_a_name_brings_no_groups_of_the_image(person: Person, image: Callable[..., str]) -> None:
    files: dict[str, bytes | str] = {
        "/etc/passwd": b"root:x:0:0::/:\nnobody:x:65534:65534::/:\n",
        "/etc/group": b"sneak:x:999:nobody\nnogroup:x:65534:\n",
    }
    name = image(files=files)
    assert "999" in docker("run", "--rm", "--user=nobody", "--entrypoint=id", name)
    person.project.write('user = "nobody"', image=name)
    person.own()
    person.trust("uid:65534", "gid:65534")
    done = person.tool("import os; print(os.getuid(), os.getgid(), os.getgroups())")
    assert done.stdout == "65534 65534 [65534]\n", done.stderr


def test_a_mounted_passwd_file_names_nobody(person: Person, image: Callable[..., str]) -> None:
    """The engine looks a name up in the image, whatever is mounted over its file."""
    name = image(files={"/etc/passwd": PASSWD})
    person.project.write('user = "nobody"', 'volumes = ["./mine:/etc/passwd:ro"]', image=name)
    (person.home / "project/mine").write_text("nobody:x:65534:65534::/:\n")
    person.own()
    done = person.tool("import os; print(os.getuid())")
    assert done.returncode == 125, done.stdout
    assert "user-root" in done.stderr


def test_a_number_alone_keeps_the_callers_group(person: Person, image: Callable[..., str]) -> None:
    name = image(files={"/etc/passwd": PASSWD})
    person.project.write('user = "4321"', image=name)
    person.own()
    person.trust("uid:4321")
    done = person.tool("import os; print(os.getuid(), os.getgid(), os.getgroups())")
    gid = os.stat(person.home).st_gid
    assert done.stdout == f"4321 {gid} [{gid}]\n", done.stderr


def test_the_images_own_user_is_root_in_disguise(person: Person, image: Callable[..., str]) -> None:
    """``user = "image"`` needs the grant whatever the image says its user is."""
    name = image("USER nobody", files={"/etc/passwd": PASSWD})
    person.project.write('user = "image"', image=name)
    person.own()
    done = person.tool("print('must not run')")
    assert done.returncode == 125
    assert "user-image" in done.stderr


def test_the_callers_uid_wins_over_the_images_user(person: Person, image: Callable[..., str]) -> None:
    name = image("USER nobody", files={"/etc/passwd": PASSWD})
    person.project.write(image=name)
    person.own()
    uid = os.stat(person.home).st_uid
    done = person.tool("import os; print(os.getuid(), os.getgid())")
    assert done.stdout == f"{uid} {uid}\n", done.stderr


def test_another_image_under_the_same_tag(
    project: Project, image: Callable[..., str], engine: Engine, host: Host, make_spec: Callable[..., RunSpec]
) -> None:
    """The container is made from the image that was looked at, not from what the tag names by then."""
    name = image("ENV WHICH=good")
    other = image("ENV WHICH=evil")

    def move(facts: object) -> None:
        docker("tag", other, name)

    spec = make_spec("sh", "-c", "echo $WHICH", image=name)
    with Run(engine, spec, host, check_image=move) as run:
        said = b"".join(getattr(event, "data", b"") for event in run)
    assert said == b"good\n"
    left = subprocess.run(["docker", "image", "inspect", name], capture_output=True)
    assert left.returncode == 0
