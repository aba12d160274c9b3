"""No disguise of a path, no value of a variable and no order of options turns a refusal into anything better.

Few examples by default; ``--nightly`` runs the same properties on 10,000 each.
"""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policy_helpers import make_host, make_skill

from skill_magic.command.parse import Request
from skill_magic.host import Host
from skill_magic.manifest import expand
from skill_magic.mounts import mounts
from skill_magic.policy.decide import Decision, evaluate
from skill_magic.policy.redact import standard_name
from skill_magic.policy.settings import Settings
from skill_magic.spec import Mount

FEW, MANY = 25, 10_000
WORST = {"deny": 0, "error": 1, "trust": 2, "allow": 3}


def _examples(count: int) -> Callable[[Any], Any]:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A home with credentials, some reached by links; accents, so that Unicode forms matter."""
    made = make_host(tmp_path_factory.mktemp("prôperties"), environment={"SUB": "../..", "COLON": "/etc:/x"})
    for name in (".ssh", ".aws", ".config/gh", ".config/gcloud", "Vidéos", "proj/data", "proj/.git/hooks"):
        (made.home / name).mkdir(parents=True, exist_ok=True)
    (made.home / ".netrc").touch()
    (made.directory / "link_etc").symlink_to("/etc")
    (made.directory / "link_home").symlink_to("..")
    (made.directory / "link_root").symlink_to("/")
    (made.directory / "link_data").symlink_to("data")
    return made


def decide(host: Host, *volumes: str, extra_args: tuple[str, ...] = ()) -> Decision:
    skill = make_skill(host, volumes=volumes, extra_args=extra_args)
    return evaluate(skill, Request("t"), host, settings=Settings(), grants=frozenset())


# --- paths -----------------------------------------------------------------------------------------------

REFUSED = (
    "/", "/etc", "/etc/passwd", "/etc/shadow", "/usr/local/bin", "/proc/1/root", "/proc/self/root", "/dev",
    "/sys/fs",
    "/run/docker.sock", "/var/run/docker.sock", "/var/run", "/var", "/root", "/home", "/tmp",
    "/var/lib/docker",
    "/run/user/1000/bus", "/boot", "/private/etc", "/System/Volumes/Data/Users/u/.ssh",
    "/mnt/c/Users/u/AppData",
    "/home/other", "/home/other/.ssh", "{home}", "{home}/.ssh", "{home}/.ssh/id_rsa", "{home}/.aws",
    "{home}/.netrc",
    "{home}/.config/gh", "{home}/.config/gcloud/x", "{home}/.docker/config.json", "{home}/.bashrc",
    "{home}/.jupyter",
    "{proj}/link_etc", "{proj}/link_etc/passwd", "{proj}/link_home", "{proj}/link_home/.ssh",
    "{proj}/link_root/etc",
)  # fmt: skip
"""Refused whatever the mode; nothing lifts it."""

CONFINED = ("{home}/Vidéos", "{home}/.config", "{proj}/.git", "{proj}/.git/hooks")
"""Read-write only with a grant."""


def _slashes(path: str, at: int, host: Host) -> str:
    parts = path.split("/")
    index = 1 + at % (len(parts) - 1)
    return "/".join(parts[:index]) + "/" * (1 + at % 3) + "/".join(parts[index:])


def _dots(path: str, at: int, host: Host) -> str:
    parts = path.split("/")
    index = 1 + at % (len(parts) - 1)
    return "/".join([*parts[:index], *["."] * (1 + at % 2), *parts[index:]])


def _there_and_back(path: str, at: int, host: Host) -> str:
    parts = path.split("/")
    index = 1 + at % (len(parts) - 1)
    name = ("x", "data", "nope nope", ".ssh", "é")[at % 5]
    return "/".join([*parts[:index], name, "..", *parts[index:]])


def _through_a_child(path: str, at: int, host: Host) -> str:
    """``P`` → ``P/CHILD/..``, the child a real one, which may be a link."""
    try:
        children = sorted(os.listdir(path))
    except OSError:
        children = []
    return f"{path}/{children[at % len(children)]}/.." if children else f"{path}/x/.."


def _trailing(path: str, at: int, host: Host) -> str:
    return path + ("/", "/.", "//", "/./")[at % 4]


def _case(path: str, at: int, host: Host) -> str:
    return "".join(char.swapcase() if (at >> (index % 16)) & 1 else char for index, char in enumerate(path))


def _form(path: str, at: int, host: Host) -> str:
    return unicodedata.normalize(("NFC", "NFD")[at % 2], path)


def _ignorable(path: str, at: int, host: Host) -> str:
    index = 1 + at % len(path)
    return path[:index] + "\u200d\u200b\ufeff\u00ad"[at % 4] + path[index:]


def _hop(path: str, at: int, host: Host) -> str:
    """Through a new link in the project to the path or to a parent of it."""
    parts = path.rstrip("/").split("/")
    index = 1 + at % len(parts)
    prefix, rest = "/".join(parts[:index]) or "/", parts[index:]
    folder = tempfile.mkdtemp(dir=host.directory / "data")
    link = os.path.join(folder, "l")
    up = "../" * (len(Path(folder).parts) - 1)
    os.symlink(prefix if at % 2 else f"{up}{prefix.lstrip('/')}", link)
    return "/".join([link, *rest])


def _from_the_project(path: str, at: int, host: Host) -> str:
    return f"{host.directory}/{'../' * (len(host.directory.parts) - 1)}{path.lstrip('/')}"


DISGUISES = (
    _slashes, _dots, _there_and_back, _through_a_child, _trailing, _case, _form, _ignorable, _hop,
    _from_the_project,
)  # fmt: skip

steps = st.lists(st.tuples(st.sampled_from(DISGUISES), st.integers(0, 1 << 16)), max_size=4)


def _disguised(path: str, host: Host, applied: list[tuple[Any, int]]) -> str:
    for disguise, at in applied:
        path = disguise(path, at, host)
    return path


def _no_disguise_helps(host: Host, template: str, applied: list[tuple[Any, int]], mode: str) -> None:
    path = _disguised(template.format(home=host.home, proj=host.directory), host, applied)
    decision = decide(host, f"{path}:/x{mode}")
    # On this file system a name in another case or form is another name: it may lead nowhere.
    renamed = any(disguise in (_case, _form, _ignorable) for disguise, _ in applied)
    assert decision.verdict in (("deny", "error") if renamed else ("deny",)), (path, decision)


OUTSIDE = ("{home}/Vidéos", "{home}/.config")
"""Not even read-only without a grant."""


def _no_disguise_needs_less(host: Host, template: str, applied: list[tuple[Any, int]]) -> None:
    path = _disguised(template.format(home=host.home, proj=host.directory), host, applied)
    assert decide(host, f"{path}:/x").verdict != "allow", path
    if template in OUTSIDE:
        decision = decide(host, f"{path}:/x:ro")
        assert decision.verdict != "allow", path
        # Whatever it is called, what is granted is the path itself.
        grants = {each.grant for each in decision.violations if each.code == "mount-outside-ro"}
        assert grants <= {f"mount:ro:{template.format(home=host.home)}"}, path


@_examples(FEW)
@given(st.sampled_from(REFUSED), steps, st.sampled_from(("", ":ro", ":rw", ":ro,z")))
def test_no_disguise_turns_a_refusal_into_less(
    host: Host, template: str, applied: list[tuple[Any, int]], mode: str
) -> None:
    _no_disguise_helps(host, template, applied, mode)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_examples(MANY)
@given(st.sampled_from(REFUSED), steps, st.sampled_from(("", ":ro", ":rw", ":ro,z")))
def test_no_disguise_turns_a_refusal_into_less_nightly(
    host: Host, template: str, applied: list[tuple[Any, int]], mode: str
) -> None:
    _no_disguise_helps(host, template, applied, mode)


@_examples(FEW)
@given(st.sampled_from(CONFINED), steps)
def test_no_disguise_saves_a_grant(host: Host, template: str, applied: list[tuple[Any, int]]) -> None:
    _no_disguise_needs_less(host, template, applied)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_examples(MANY)
@given(st.sampled_from(CONFINED), steps)
def test_no_disguise_saves_a_grant_nightly(host: Host, template: str, applied: list[tuple[Any, int]]) -> None:
    _no_disguise_needs_less(host, template, applied)


@pytest.mark.parametrize("template", REFUSED)
def test_the_undisguised_are_refused(host: Host, template: str) -> None:
    path = template.format(home=host.home, proj=host.directory)
    assert decide(host, f"{path}:/x:ro").verdict == "deny"
    assert decide(host, f"{path}:/x").verdict == "deny"


# --- expansion -------------------------------------------------------------------------------------------

values = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


def _read(parse: Callable[..., Mount], text: str, host: Host) -> Mount | None:
    """The mount, ``None`` where the text is invalid (a control character or a backslash in a value)."""
    try:
        return parse(text, field="f", host=host, base_dir=host.directory)
    except mounts.Invalid:
        return None


def _expansion_keeps_its_fields(host: Host, value: str, other: str) -> None:
    environment = {**host.environment, "V": value, "W": other}
    here = Host(**{**host.__dict__, "environment": environment})
    text = "${PWD}/${V:-x}:/target/${W:-y}:ro"
    assert len(expand.split(text)) == 3
    mount = _read(mounts.parse_volume, text, here)
    if mount is None:
        return
    assert (mount.kind, mount.read_only, mount.propagation, mount.relabel) == ("bind", True, "", "")
    assert mount.declared == f"{here.directory}/{value or 'x'}"
    assert mount.target == "/" + os.path.normpath(f"/target/{other or 'y'}").lstrip("/")


@_examples(FEW)
@given(values, values)
def test_expansion_never_changes_the_number_of_fields(host: Host, value: str, other: str) -> None:
    _expansion_keeps_its_fields(host, value, other)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_examples(MANY)
@given(values, values)
def test_expansion_never_changes_the_number_of_fields_nightly(host: Host, value: str, other: str) -> None:
    _expansion_keeps_its_fields(host, value, other)


def _csv_keeps_its_fields(host: Host, value: str) -> None:
    here = Host(**{**host.__dict__, "environment": {**host.environment, "V": value}})
    text = "type=bind,src=${PWD}/${V:-x},dst=/target,ro"
    mount = _read(mounts.parse_mount_option, text, here)
    if mount is None:
        return
    assert (mount.kind, mount.target, mount.read_only) == ("bind", "/target", True)
    assert mount.declared == f"{here.directory}/{value or 'x'}"


@_examples(FEW)
@given(values)
def test_expansion_never_adds_an_option(host: Host, value: str) -> None:
    _csv_keeps_its_fields(host, value)


# --- what is asked for -----------------------------------------------------------------------------------

variable_names = st.from_regex(r"[A-Z][A-Z_]{0,8}[0-9]?", fullmatch=True)

FORMS = ("${%s}", "${%s:-x}", "${%s:?m}", "${ABSENT:-${%s}}", "${TZ:-}a${%s}")
PLACES: tuple[dict[str, tuple[str, ...]], ...] = (
    {"environment": ("A=@",)},
    {"extra_args": ("-e", "A=@")},
    {"volumes": ("/w/@",)},
    {"volumes": ("./data:/w/@:ro",)},
    {"volumes": ("vol@:/w",)},
    {"volumes": ("./data:/a", "vol:/w/@")},
    {"extra_args": ("-v", "/w/@")},
    {"extra_args": ("--mount", "type=bind,src=./data,dst=/w/@")},
    {"extra_args": ("--mount", "type=volume,dst=/w/@")},
    {"extra_args": ("--mount", "type=tmpfs,dst=/w/@")},
)


def _asked(host: Host, **keys: Any) -> tuple[str, set[str | None]]:
    found = evaluate(make_skill(host, **keys), Request("t"), host, settings=Settings(), grants=frozenset())
    return found.verdict, {each.grant for each in found.violations}


def _each_variable_is_asked_for(
    host: Host, name: str, form: str, place: dict[str, Any], network: str
) -> None:
    here = Host(**{**host.__dict__, "environment": {**host.environment, name: "value"}})
    text = form.replace("%s", name)
    keys = {key: tuple(item.replace("@", text) for item in items) for key, items in place.items()}
    verdict, asked = _asked(here, network=network, **keys)
    harmless = {None if network == "none" else "network:bridge"} - {None}
    assert asked == harmless | (set() if standard_name(name) else {f"env:{name}"}), (name, text, place)
    assert verdict == ("trust" if asked else "allow")


@_examples(FEW)
@given(variable_names, st.sampled_from(FORMS), st.sampled_from(PLACES), st.sampled_from(("none", "bridge")))
def test_each_variable_is_asked_for_wherever_it_stands(
    host: Host, name: str, form: str, place: dict[str, Any], network: str
) -> None:
    _each_variable_is_asked_for(host, name, form, place, network)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_examples(MANY)
@given(variable_names, st.sampled_from(FORMS), st.sampled_from(PLACES), st.sampled_from(("none", "bridge")))
def test_each_variable_is_asked_for_wherever_it_stands_nightly(
    host: Host, name: str, form: str, place: dict[str, Any], network: str
) -> None:
    _each_variable_is_asked_for(host, name, form, place, network)


ids = st.one_of(st.sampled_from((0, 1000, 1001, 105, 4)), st.integers(0, (1 << 31) - 1))
zeros = st.integers(0, 4).map(lambda count: "0" * count)


def _each_identity_is_asked_for(
    host: Host, uid: int, gid: int | None, padding: tuple[str, str], groups: tuple[int, ...], option: bool
) -> None:
    here = Host(**{**host.__dict__, "groups": groups, "engine": None})
    user = f"{padding[0]}{uid}" + ("" if gid is None else f":{padding[1]}{gid}")
    if any(len(part) > 10 for part in user.split(":")):
        return  # no id by the grammar
    keys: dict[str, Any] = {"extra_args": ("--user", user)} if option else {"user": user}
    _, asked = _asked(here, **keys)
    expected = {"uid0"} if uid == 0 else set() if uid == 1000 else {f"uid:{uid}"}
    if gid is not None and gid not in (1000, *groups):
        expected |= {f"gid:{gid}"} if gid else set() if uid == 0 else {"gid0"}
    assert asked == expected, user


_identities = given(
    ids,
    st.one_of(st.none(), ids),
    st.tuples(zeros, zeros),
    st.lists(st.sampled_from((0, 4, 105, 1001)), max_size=3).map(tuple),
    st.booleans(),
)


@_examples(FEW)
@_identities
def test_each_identity_that_is_not_the_callers_is_asked_for(
    host: Host, uid: int, gid: int | None, padding: tuple[str, str], groups: tuple[int, ...], option: bool
) -> None:
    _each_identity_is_asked_for(host, uid, gid, padding, groups, option)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_examples(MANY)
@_identities
def test_each_identity_that_is_not_the_callers_is_asked_for_nightly(
    host: Host, uid: int, gid: int | None, padding: tuple[str, str], groups: tuple[int, ...], option: bool
) -> None:
    _each_identity_is_asked_for(host, uid, gid, padding, groups, option)


# --- order -----------------------------------------------------------------------------------------------

OPTIONS = (
    ("--privileged",), ("--privileged=false",), ("-v", "/etc:/e"), ("-v=/data:/d",), ("--network", "host"),
    ("--net=bridge",),
    ("-p", "80:80"), ("--cap-add", "SYS_ADMIN"), ("--cap-add=CHOWN",), ("-e", "A=1"), ("-eB=2",), ("--rm",),
    ("-it",),
    ("--init",), ("-m", "512m"), ("--pids-limit", "0"), ("--user", "0"), ("--user=1000",), ("--label", "a=b"),
    ("--security-opt", "no-new-privileges:false"), ("--security-opt=no-new-privileges",), ("--nonsense",),
    ("--ulimit", "nofile"),
    ("--tmpfs", "/t"), ("--read-only",), ("--mount", "type=bind,src=/etc,dst=/m"), ("-w", "/proc/self"),
    ("--group-add", "0"), ("--user=1001",), ("-u", "1000:105"), ("-e", "C=${SUB}"), ("-v", "/w/${SUB}"),
    ("-v", "${HOME}/Vidéos:/v:ro"), ("--mount", "type=tmpfs,dst=/t/${COLON}"), ("--network", "some_net"),
)  # fmt: skip


def _order_is_nothing(host: Host, chosen: list[tuple[str, ...]], data: Any) -> None:
    shuffled = data.draw(st.permutations(chosen))
    one = decide(host, extra_args=tuple(word for option in chosen for word in option))
    two = decide(host, extra_args=tuple(word for option in shuffled for word in option))
    assert one.verdict == two.verdict, (chosen, shuffled)


@_examples(FEW)
@given(st.lists(st.sampled_from(OPTIONS), max_size=6), st.data())
def test_the_order_of_options_is_nothing_to_the_verdict(
    host: Host, chosen: list[tuple[str, ...]], data: Any
) -> None:
    _order_is_nothing(host, chosen, data)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_examples(MANY)
@given(st.lists(st.sampled_from(OPTIONS), max_size=6), st.data())
def test_the_order_of_options_is_nothing_to_the_verdict_nightly(
    host: Host, chosen: list[tuple[str, ...]], data: Any
) -> None:
    _order_is_nothing(host, chosen, data)


@_examples(FEW)
@given(st.permutations(["${PWD}/data:/a:ro", "/etc:/b", "vol:/c", "/cache", "${HOME}/Vidéos:/d"]))
def test_the_order_of_volumes_is_nothing_to_the_verdict(host: Host, order: list[str]) -> None:
    decision = decide(host, *order)
    assert decision.verdict == "deny"
    assert sorted(each.code for each in decision.violations) == ["mount-outside-rw", "mount-system"]


def _more_never_helps(host: Host, chosen: list[tuple[str, ...]], more: tuple[str, ...]) -> None:
    before = decide(host, extra_args=tuple(word for option in chosen for word in option))
    after = decide(host, extra_args=tuple(word for option in [*chosen, more] for word in option))
    assert WORST[after.verdict] <= WORST[before.verdict]


@_examples(FEW)
@given(st.lists(st.sampled_from(OPTIONS), max_size=4), st.sampled_from(OPTIONS))
def test_one_more_option_never_helps(
    host: Host, chosen: list[tuple[str, ...]], more: tuple[str, ...]
) -> None:
    _more_never_helps(host, chosen, more)


def test_the_tree_is_what_the_properties_need(host: Host) -> None:
    assert Path(host.home / "Vidéos").is_dir()
    assert decide(host, "${HOME}/Vidéos:/v:ro").verdict == "trust"
    assert decide(host, "${PWD}/data:/v:ro").verdict == "allow"
