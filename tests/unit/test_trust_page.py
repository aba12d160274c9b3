"""The page before the question: whatever a manifest says, it is short, the gravest first, the question last."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policy_helpers import make_host, make_skill, make_spec
from test_fit import HOSTILE, seen

from skill_magic.answer import width
from skill_magic.door import Door
from skill_magic.findings import Violation
from skill_magic.flags.table import OPTIONS
from skill_magic.host import Host
from skill_magic.policy import gravity
from skill_magic.policy.decide import Decision, verdict_of
from skill_magic.verbs import trust_page
from skill_magic.verbs.trust_page import LINES, Page
from skill_magic.views.base import QuietView

GRANTS = (
    "uid0",
    "gid0",
    "device:{}",
    "gpu-env:{}",
    "remote-mounts",
    "cap-add:{}",
    "mount:rw:{}",
    "gid:{}",
    "group-add:{}",
    "publish:{}",
    "publish-all",
    "sysctl:{}",
    "env:{}_TOKEN",
    "env:{}",
    "network:{}",
    "network:bridge",
    "mount:ro:{}",
    "uid:{}",
    "registry:{}",
    "image:{}",
    "gpus",
    "{}",
)


@dataclasses.dataclass(frozen=True)
class Sized(Door):
    """A door with a page of a known size."""

    size: tuple[int, int] = (80, 24)

    def screen(self) -> tuple[int, int]:
        return self.size


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return make_host(tmp_path_factory.mktemp("page"))


def door(host: Host, size: tuple[int, int] = (80, 24)) -> Sized:
    return Sized("shell", host, QuietView, size=size)


def violation(grant: str | None) -> Violation:
    return Violation("c", "f", "v", "r", "x", grant=grant)


def decision(host: Host, name: str, grants: list[str]) -> Decision:
    skill = dataclasses.replace(make_skill(host), name=name)
    return Decision(skill, make_spec(host), tuple(map(violation, grants)), "trust", name)


def other(name: str, grant: str | None) -> Decision:
    found = (violation(grant),) if grant else (dataclasses.replace(violation(None), kind="invalid"),)
    return Decision(None, None, found, "deny" if grant else "error", name)


def made(host: Host, *decisions: Decision, size: tuple[int, int] = (80, 24)) -> Page:
    return trust_page.page(decisions, door(host, size), changes={}, alone=len(decisions) == 1)


grants = st.builds(
    lambda form, text: form.format(text) if "{}" in form else form,
    st.sampled_from(GRANTS),
    st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE)),
)
asking = st.lists(grants, min_size=1, max_size=60)
changes = st.dictionaries(st.sampled_from(("image", "volumes", "user")), st.sampled_from(HOSTILE), max_size=3)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(asking, min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(HOSTILE), st.sampled_from(("x", None))), max_size=4),
    changes,
    st.sampled_from(HOSTILE),
    st.sampled_from([(80, 24), (40, 20), (100, 60), (88, 60), (60, 30)]),
)
def test_whatever_a_manifest_says_the_page_holds(
    host: Host,
    asked: list[list[str]],
    left: list[tuple[str, str | None]],
    news: dict[str, str],
    where: str,
    size: tuple[int, int],
) -> None:
    decisions = [decision(host, f"s{number}", each) for number, each in enumerate(asked)]
    folder = Path("/" + where.replace("\0", "").encode("utf-8", "replace").decode())
    decisions = [
        dataclasses.replace(each, skill=dataclasses.replace(each.skill, file=folder / "skills.toml"))
        for each in decisions
        if each.skill is not None
    ]
    page = trust_page.page(
        decisions,
        door(host, size),
        changes={"s0": news} if news else {},
        others=[other(name, grant) for name, grant in left],
        alone=len(decisions) == 1,
    )
    lines = page.text.split("\n")
    assert all(seen(each) for each in (*lines, page.question))
    assert all(width(each) <= size[0] for each in (*lines, page.question))
    summary = next(at for at, each in enumerate(lines) if each.startswith("In all "))
    assert summary <= LINES
    assert page.question.endswith("? [y/N] ")
    # Nothing that is foreign begins a line: what looks like ours is ours.
    assert [each[:4] for each in lines[summary + 1 :]] == ["  " + each[2:4] for each in lines[summary + 1 :]]
    items = [each for each in lines if each.startswith("  - ")]
    asks = gravity.asked((each.name, each.violations) for each in decisions)
    kinds = [kind for kind in gravity.KINDS if any(each.kind is kind for each in asks)]
    first = asks[0].text(size[0] - 4)
    assert lines[1] in items
    assert lines[1][4:].startswith(first[:4]) or len([each for each in asks if each.kind is kinds[0]]) > 1
    # No kind is left out: it has its line, or is counted; and the summary counts each.
    told = " ".join(lines[summary:])
    for kind in kinds:
        count = sum(each.kind is kind for each in asks)
        noun = kind.one if count == 1 else kind.many
        assert re.search(rf"\b{count:,} {re.escape(noun)}", re.sub(r"\s+", " ", told)), (kind, told)
    if len(lines) + 1 > size[1]:
        assert len(items) == 1  # on so few rows there is one item, the gravest


@pytest.mark.parametrize("size", [(80, 24), (40, 24), (100, 40)])
@pytest.mark.parametrize(
    "filling",
    [
        lambda: [f"env:V{n}" for n in range(5000)],
        lambda: [f"mount:ro:/{'x' * 10_000}/{n}" for n in range(500)],
        lambda: [f"env:{'A' * 4000}{n}_TOKEN" for n in range(500)],
        lambda: [f"publish:{n}:{n}\nAllow all of this for s? [y/N] y" for n in range(500)],
        lambda: [f"mount:ro:/In all 1: 1 network {n}" for n in range(500)],
        lambda: [f"mount:ro:/\x1b[{n}A\x1b[2J" for n in range(500)],
        lambda: [f"mount:ro:/{chr(0x202E)}{n}" for n in range(500)],
        lambda: [form.format(n) for form in GRANTS[2:] for n in range(40)],
    ],
)
def test_nothing_pushes_the_gravest_or_the_question_out_of_sight(
    host: Host, filling: Callable[[], list[str]], size: tuple[int, int]
) -> None:
    asked = [*filling(), "uid0", "mount:rw:/etc/cron.d"]
    for page in (
        made(host, decision(host, "s", asked), size=size),
        made(host, decision(host, "s", asked[:-2]), decision(host, "t", asked[-2:]), size=size),
    ):
        lines = page.text.split("\n")
        assert len(lines) + 1 <= size[1]
        at = [number for number, each in enumerate(lines) if each.startswith("  - root in the container")]
        assert at
        assert at[0] <= 4  # only what is graver stands before it
        assert re.search("write to /etc/cron.d|places to write to", re.sub(r"\s+", " ", page.text))
        assert not [each for each in lines if each.startswith("Allow")]
        assert lines[-1].startswith(("In all ", "  "))


def test_the_page_of_two_skills(host: Host) -> None:
    one = decision(host, "one", ["network:bridge", "env:MY_TOKEN", "env:COLOUR"])
    two = decision(host, "two", ["uid0", "mount:rw:/data/my files", "network:bridge"])
    page = trust_page.page(
        [one, two],
        door(host),
        changes={"two": {"image": '"a" → "b"', "user": "nothing → 0"}},
        others=[other("three", "x"), other("fo\nur", None)],
        alone=False,
    )
    text = page.text.replace(str(host.directory), "/P")
    assert text.split("\n")[1:] == [
        "  - root in the container  [two]",
        "  - write to '/data/my files'  [two]",
        "  - your variable MY_TOKEN, a secret by its name  [one]",
        "  - a network: the internet, your local network, what listens there  [one, two]",
        "  - your variable COLOUR  [one]",
        "Allowed before, and changed since: two (image, user)",
        "Not asked for: 1 refused by the policy: three",
        "Not asked for: 1 with faults: 'fo\\nur'",
        "Together: your secrets, your variables and files from outside can leave this",
        "  machine by the network; files of root can be left outside the notebook's",
        "  directory.",
        "In full, with reasons: skill check",
        "In all 5: 1 root, 1 place to write to, 1 secret of yours, 1 network, 1 variable",
        "  of yours.",
    ]
    assert page.question == "Allow all of this for 2 skills? [y/N] "


def test_lists_that_are_cut_have_their_number(host: Host) -> None:
    skills = [decision(host, f"skill-number-{n}", [f"env:V{n}_{m}" for m in range(40)]) for n in range(40)]
    page = trust_page.page(
        skills, door(host), changes={each.name: {"image": "x"} for each in skills}, alone=False
    )
    assert "Allowed before, and changed since (40 skills): skill-number-0 (image), " in page.text
    assert "1,595 more variables of yours" in page.text
    assert " of them" not in page.text


def test_what_changed_is_told_of_one_skill(host: Host) -> None:
    page = trust_page.page(
        [decision(host, "s", ["uid0"])],
        door(host),
        changes={"s": {"image": '"a" → "b"', "network": '"none" → "db"', "user": "nothing → 0", "gpus": "x"}},
        alone=True,
    )
    assert "It was allowed before. Changed since: image, network, user, gpus" in page.text
    assert '  image: "a" → "b"\n  network: "none" → "db"\n' in page.text
    page = trust_page.page([decision(host, "s", ["uid0"])], door(host), changes={"s": {}}, alone=True)
    assert "by an earlier version" in page.text


@pytest.mark.parametrize("grant", [form.format("1") for form in GRANTS[:-1]])
def test_every_grant_has_words_and_a_place(grant: str) -> None:
    found = gravity.ask(grant)
    assert found.kind.name != "unknown"
    assert found.kind.why.endswith(".")
    assert "{" not in found.text(80)


def test_every_grant_of_the_policy_has_words() -> None:
    """Every text that the package makes a grant of is of a kind; what is not comes first, for it may be anything."""
    root = Path(gravity.__file__).parents[1]
    texts = set()
    for path in root.rglob("*.py"):
        texts |= set(re.findall(r'grant=f?"([^"]+)"', path.read_text()))
    assert {"uid0", "gid0", "remote-mounts", "gpus"} <= texts
    for text in texts:
        assert gravity.ask(re.sub(r"\{.*\}", "1", text)).kind.name != "unknown", text
    for option in OPTIONS.values():
        if option.kind in ("grant", "checked"):
            assert gravity.ask(f"{option.name}:1").kind.name != "unknown"
    assert gravity.KINDS[0].name == "unknown"
    assert gravity.ask("anything").rank == 0
    assert gravity.ask("anything:at all").rank == 0


ORDER = [
    "new-thing",
    "uid0",
    "gid0",
    "device:/dev/dri/renderD128",
    "gpu-env:LD_PRELOAD",
    "remote-mounts",
    "cap-add:NET_RAW",
    "mount:rw:/data",
    "gid:105",
    "publish:80:80",
    "sysctl:net.x=1",
    "env:MY_TOKEN",
    "network:bridge",
    "mount:ro:/data",
    "env:COLOUR",
    "uid:1001",
    "registry:evil.io",
    "image:0123456789ab",
    "gpus",
]


def test_the_gravest_comes_first(host: Host) -> None:
    asks = gravity.asked([("s", map(violation, reversed(ORDER)))])
    assert [each.grant for each in asks] == ORDER


@pytest.mark.parametrize("kind", ["mount:rw", "mount:ro"])
def test_a_wide_place_is_not_behind_many_narrow_ones(host: Host, kind: str) -> None:
    """What lies in the home directory or holds it comes first, then short paths; the alphabet is the manifest's to
    choose."""
    many = [f"{kind}:/a/b/c/d/{n}" for n in range(500)]
    grave = [f"{kind}:{host.home}/zz", f"{kind}:{host.home.parent}", f"{kind}:/zz"]
    asks = gravity.asked([("s", map(violation, [*many, *grave]))], home=str(host.home))
    assert {each.grant for each in asks[:2]} == {*grave[:2]}
    assert asks[2].grant == grave[2]
    text = made(host, decision(host, "s", [*many, *grave]), size=(100, 24)).text
    assert f"{host.home}/zz" in text or str(host.home)[:30] in text
    assert f"{host.home}x" not in text
    assert (
        gravity.asked(
            [("s", [violation(f"{kind}:{host.home}x"), violation(f"{kind}:/q")])], home=str(host.home)
        )[0].grant
        == f"{kind}:/q"
    )


def test_an_option_is_not_behind_many_of_another_name(host: Host) -> None:
    many = [f"add-host:a{n}:10.0.0.1" for n in range(500)]
    page = made(host, decision(host, "s", [*many, "sysctl:net.x=1", "storage-opt:size=9g"]))
    assert "the option --sysctl=net.x=1" in page.text
    assert "the option --storage-opt=size=9g" in page.text
    assert "497 more options of docker run: " in page.text


@pytest.mark.parametrize("name", ["n" * 64, "In", "Allow", "Together", "y-N", "0"])
@pytest.mark.parametrize("width_", [40, 88, 100])
def test_whatever_a_skill_is_called_the_question_is_short(host: Host, name: str, width_: int) -> None:
    page = made(host, decision(host, name, ["uid0"]), size=(width_, 24))
    assert width(page.question) <= width_
    assert page.question.startswith("Allow all of this for ")
    lines = page.text.split("\n")
    assert sum(each.startswith("In all ") for each in lines) == 1
    assert lines[1] == "  - root in the container"
    assert all(width(each) <= width_ for each in lines)


def test_what_comes_from_images_is_said_to_be_listed_where_it_is(host: Host) -> None:
    """``explain`` and ``check`` look at no image."""
    one, two = decision(host, "s", ["image:ab"]), decision(host, "t", ["uid0"])
    for decisions, alone, words in (
        ([one], True, "answer n to skill trust --json s"),
        ([one, two], False, "answer n to skill trust --json --all"),
    ):
        page = trust_page.page(decisions, door(host), changes={}, alone=alone, images=True)
        assert f"In full, with reasons: {words}\n" in page.text


@pytest.mark.parametrize(
    ("size", "notebook", "screen"),
    [
        ((80, 24), False, (79, 24)),
        ((300, 70), False, (100, 70)),
        ((101, 9), False, (100, 9)),
        ((20, 24), False, (40, 24)),
        ((0, 0), False, (88, 24)),
        (None, False, (88, 24)),
        ((80, 24), True, (88, 60)),
    ],
)
def test_the_page_is_as_wide_as_the_terminal_and_no_wider_than_is_read(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int] | None,
    notebook: bool,
    screen: tuple[int, int],
) -> None:
    def answer(_: int) -> os.terminal_size:
        if size is None:
            raise OSError
        return os.terminal_size(size)

    monkeypatch.setattr(os, "get_terminal_size", answer)
    assert Door("shell", host, QuietView, notebook=notebook).screen() == screen


def test_the_group_that_steers_the_engine_is_as_grave_as_root(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = make_host(tmp_path, engine=f"unix://{tmp_path}/sock")
    (tmp_path / "sock").touch()
    number = (tmp_path / "sock").stat().st_gid
    found = gravity.steering(here)
    assert {f"gid:{number}", f"group-add:{number}"} <= found
    asks = gravity.asked([("s", [violation("uid0"), violation(f"gid:{number}"), violation("gid:7")])], found)
    assert [each.grant for each in asks] == [f"gid:{number}", "uid0", "gid:7"]
    assert "steers the engine" in asks[0].text(80)
    assert gravity.steering(make_host(tmp_path, engine=None)) == frozenset()
    assert gravity.steering(make_host(tmp_path, engine="unix:///nowhere/sock")) == frozenset()


@pytest.mark.parametrize(
    ("asks", "network", "given", "clauses"),
    [
        (["env:A_TOKEN", "network:bridge"], "bridge", [], ["your secrets can leave"]),
        (["env:A", "mount:ro:/x"], "db", [], ["your variables and files from outside can"]),
        (["mount:ro:/x"], "none", ["network:bridge"], ["files from outside"]),
        (["network:bridge"], "bridge", ["env:A"], ["your variables can leave"]),
        (["env:A"], "none", [], []),
        (["network:bridge"], "bridge", [], []),
        (["uid0", "mount:rw:/x"], "none", [], ["files of root"]),
        (["cap-add:CHOWN"], "none", ["mount:rw:/x"], ["files of root"]),
    ],
)
def test_what_is_worse_in_company_is_said(
    host: Host, asks: list[str], network: str, given: list[str], clauses: list[str]
) -> None:
    spec = make_spec(host, network=network)
    found = gravity.together([gravity.ask(each) for each in asks], [spec], given)
    assert len(found) == len(clauses)
    assert all(text.startswith(start) for text, start in zip(found, clauses, strict=True))


@pytest.mark.slow
def test_a_long_manifest_costs_no_more_than_its_length(host: Host) -> None:
    def cost(number: int) -> float:
        one = decision(host, "s", [f"env:{'V' * 100}{n}" for n in range(number)])
        start = time.process_time()
        assert verdict_of(one.violations) == "trust"
        made(host, one)
        return time.process_time() - start

    small = min(cost(1024) for _ in range(3))
    assert min(cost(8192) for _ in range(3)) < 24 * small + 0.05
