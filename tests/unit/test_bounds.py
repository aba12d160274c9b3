"""However many faults there are, a person is shown fifty and the number of the others, and a machine all of them."""

from __future__ import annotations

import dataclasses
import html
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from policy_helpers import make_host

from skill_magic.answer import Answer, Findings
from skill_magic.command.parse import Command, Options, Request
from skill_magic.door import Door, in_notebook
from skill_magic.errors import ManifestError, PolicyError, SpecError
from skill_magic.findings import SHOWN, Violation, first, told
from skill_magic.host import Host
from skill_magic.policy.decide import Decision, check_all
from skill_magic.verbs import check, doctor, explain
from skill_magic.verbs.trust import trust
from skill_magic.views.base import QuietView


def faults(number: int, *, grant: str | None = None, value: str = "v") -> list[Violation]:
    return [Violation(f"c{n}", f"volumes[{n}]", value, "r.", "x.", grant=grant) for n in range(number)]


def count(lines: Sequence[str]) -> int:
    return sum("volumes[" in each for each in lines)


FORMS: dict[str, Callable[[list[Violation]], list[str]]] = {
    "spec": lambda found: SpecError("m", found, "h").lines(),
    "manifest": lambda found: ManifestError("m", found).lines(),
    "policy": lambda found: PolicyError("m", found, "h").lines(),
    "text": lambda found: Findings(found).as_text().splitlines(),
    "html": lambda found: (
        html.unescape(Findings(found).as_html())
        .replace("<tr>", "\n<tr>")
        .replace("<div", "\n<div")
        .splitlines()
    ),
    "told": told,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("number", "left"), [(1, ""), (50, ""), (51, "and 1 more"), (8192, "and 8,142 more")]
)
def test_fifty_and_a_count(form: str, number: int, left: str) -> None:
    lines = FORMS[form](faults(number))
    assert count(lines) == min(number, SHOWN)
    said = [each for each in lines if "more: `skill check --json` lists all" in each]
    assert len(said) == (1 if left else 0)
    assert all(left in each for each in said)
    assert not left or len(lines) < 2 * SHOWN + 6
    assert left or "more:" not in "".join(lines)


@pytest.mark.parametrize("form", FORMS)
def test_a_long_value_is_cut_and_the_end_of_it_stays(form: str) -> None:
    value = "/" + "x" * 100_000 + "/end"
    lines = FORMS[form](faults(60, value=value))
    assert sum(map(len, lines)) < SHOWN * 1000 + 4000
    assert "…" in "".join(lines)
    assert "/end" in "".join(lines)
    assert Violation("c", "f", value, "r", "x").as_dict()["value"] == value


def test_a_long_reason_is_cut() -> None:
    found = [Violation("c", "f", "v", "r" * 100_000, "x.")]
    assert all(sum(map(len, form(found))) < 4000 for form in FORMS.values())


def test_the_error_itself_keeps_all() -> None:
    found = faults(8192)
    assert PolicyError("m", found).violations == tuple(found)


def test_an_error_with_a_hint_says_its_command_once() -> None:
    offered = [
        Violation("c", "f", "v", "r.", "Leave it out, or allow it: `skill trust t`.", "g") for _ in range(3)
    ]
    for words in (offered, [Violation("c", "f", "v", "r.", in_notebook(offered[0].fix), "g")] * 3):
        lines = PolicyError("m", words, "look at it and decide: `skill trust t`").lines()
        assert sum("skill trust" in each for each in lines) == 1
        assert sum("Leave it out." in each for each in lines) == 3


# --- a whole manifest ------------------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path, uid=os.getuid(), gid=os.getgid(), engine=None)


def written(host: Host, skills: int, items: int, item: str) -> None:
    """``skills`` skills, each with ``items`` faults in lists that a manifest may have."""
    text = []
    for number in range(skills):
        text.append(f'[skills.s{number}.docker]\nimage = "debian:12"\n')
        for key in ("volumes", "environment", "command", "extra_args"):
            take, items_left = min(items, 1024), items
            text.append(f"{key} = [{', '.join([item] * take)}]\n")
            items = items_left - take if key != "extra_args" else items_left
            if items <= 0:
                break
    (host.directory / "skills.toml").write_text("".join(text))


def shell(host: Host) -> Door:
    return Door("shell", host, QuietView)


def checked(host: Host, **options: Any) -> Answer:
    return check.check(Command("check", options=Options(**options)), shell(host))


def test_check_shows_fifty_of_all_skills_together(host: Host) -> None:
    volumes = "volumes = ['/no/{0}/a:/a', '/no/{0}/b:/b']"
    body = "".join(f'[skills.s{n}.docker]\nimage = "debian:12"\n{volumes.format(n)}\n' for n in range(100))
    (host.directory / "skills.toml").write_text(body)
    answer = checked(host)
    text = answer.text()
    assert text.count("[mount-missing]") == SHOWN
    assert answer.html().count("mount-missing") == SHOWN
    assert "and 150 more: `skill check --json` lists all" in text
    assert all(f"s{n}: faulty" in text for n in range(100))
    assert isinstance(answer.data, list)
    assert sum(len(each["violations"]) for each in answer.data) == 200
    assert answer.json().count('"mount-missing"') == 200


def test_check_shows_fifty_of_a_fault_that_all_share(host: Host) -> None:
    body = "".join(f"unknown{n} = 1\n" for n in range(80))
    body += "".join(f'[skills.s{n}.docker]\nimage = "debian:12"\n' for n in range(20))
    (host.directory / "skills.toml").write_text(body)
    text = checked(host).text()
    assert text.count("[manifest-unknown-key]") == SHOWN
    assert "and 30 more: `skill check --json` lists all" in text
    assert "all skills:" in text


def test_a_fault_that_many_share_does_not_name_them_all(host: Host) -> None:
    (fault,) = faults(1)
    decisions = [Decision(None, None, (fault,), "deny", f"s{n:03}") for n in range(200)]
    decisions.append(Decision(None, None, (), "allow", "t"))
    text = Answer(list(check._told(decisions, shell(host)))).text()
    assert "s000, s001, s002, s003, s004, s005, s006, s007, s008, s009 and 190 more:" in text
    assert text.count("volumes[0]") == 1


def test_a_broken_file_that_names_thousands_of_skills_is_shown_in_part(host: Host) -> None:
    body = "".join(f"[skills.s{n}.docker]\n" for n in range(5000))
    (host.directory / "skills.toml").write_text(body + "[broken")
    assert len(checked(host).text().splitlines()) < 300


def test_explain_and_trust_are_bounded_too(host: Host) -> None:
    items = ", ".join(f"'/no/{n}:/{n}'" for n in range(200))
    (host.directory / "skills.toml").write_text(
        f'[skills.t.docker]\nimage = "debian:12"\nvolumes = [{items}]\n'
    )
    text = explain.explain(Command("explain", request=Request("t")), shell(host)).text()
    assert text.count("[mount-missing]") == SHOWN
    assert "and 150 more" in text
    with pytest.raises(SpecError) as caught:
        trust(Command("trust", ("t",)), shell(host))
    assert len(caught.value.lines()) == 2 * SHOWN + 2


def test_doctor_is_bounded_too(host: Host) -> None:
    body = "".join(f"[skills.s{n}.docker]\nimage = 5\n" for n in range(120))
    (host.directory / "skills.toml").write_text(body)
    answer = doctor.doctor(Command("doctor"), shell(host))
    assert answer.text().count("[manifest-type]") == SHOWN
    assert "and 70 more" in answer.text()


def spent(work: Callable[[], object]) -> float:
    """CPU seconds that ``work`` takes, the best of three."""

    def once() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize("form", FORMS)
def test_formatting_costs_what_is_shown(form: str) -> None:
    few, many = faults(100, value="v" * 5000), faults(8192, value="v" * 5000)
    assert spent(lambda: FORMS[form](many)) < 4 * spent(lambda: FORMS[form](few)) + 0.05


@pytest.mark.parametrize("item", ['"BAD NAME"', "5", '"/no/such/${NOPE}:/x"', '"--privileged"'])
def test_a_manifest_with_faults_everywhere_is_told_in_linear_time(host: Host, item: str) -> None:
    def telling(items: int) -> float:
        written(host, 1, items, item)
        decisions = check_all(host)
        assert sum(len(each.violations) for each in decisions) >= items // 2
        return spent(lambda: list(check._told(decisions, shell(host))))

    assert telling(4096) < 16 * telling(512) + 0.05


def test_faults_of_the_file_are_not_multiplied_by_its_skills_without_end(host: Host) -> None:
    body = "".join(f"unknown{n} = 1\n" for n in range(20_000))
    body += "".join(f'[skills.s{n}.docker]\nimage = "debian:12"\n' for n in range(256))
    (host.directory / "skills.toml").write_text(body)
    decisions = check_all(host)
    assert len(decisions) == 256
    assert sum(len(each.violations) for each in decisions) <= 256 * 256
    assert all(each.verdict == "error" for each in decisions)
    assert "Of such faults 19,744 more are not listed." in decisions[0].violations[-1].reason


@pytest.mark.parametrize("number", [255, 256])
def test_faults_of_the_file_are_listed_without_a_word_where_they_are_few(host: Host, number: int) -> None:
    (host.directory / "skills.toml").write_text(
        "".join(f"unknown{n} = 1\n" for n in range(number)) + '[skills.s.docker]\nimage = "debian:12"\n'
    )
    (decision,) = check_all(host)
    assert len(decision.violations) == number
    assert not [each for each in decision.violations if "not listed" in each.reason]


# --- what is shown where not all is ------------------------------------------------------------------------------


def mixed(cause: Violation) -> list[Violation]:
    """A cause behind more faults than are shown, with as many after it."""
    many = faults(60, grant="env:V")
    return [*many, cause, *many]


REFUSAL = Violation("deny-it", "user", "v", "r.", "x.")
INVALID = Violation("bad-it", "user", "v", "r.", "x.", kind="invalid")


@pytest.mark.parametrize("cause", [REFUSAL, INVALID], ids=["refused", "invalid"])
@pytest.mark.parametrize("form", FORMS)
def test_what_decides_is_not_hidden_behind_what_a_grant_lifts(form: str, cause: Violation) -> None:
    text = "\n".join(FORMS[form](mixed(cause)))
    assert cause.code in text
    assert text.count("volumes[") == SHOWN - 1
    assert "and 71 more" in text


def test_a_refusal_is_not_hidden_behind_what_is_invalid() -> None:
    many = [Violation(f"c{n}", "f", "v", "r.", "x.", kind="invalid") for n in range(60)]
    assert REFUSAL in first([*many, REFUSAL])
    assert first([*many, REFUSAL], 0) == []


def test_the_order_stays_that_of_the_manifest() -> None:
    found = mixed(REFUSAL)
    shown = first(found)
    at = [next(n for n, each in enumerate(found) if each is one) for one in shown]
    assert at == sorted(at)
    assert first(found[:50]) == found[:50]


@pytest.mark.parametrize("option", ["--privileged", "--pid=host"])
def test_check_shows_why_a_skill_is_refused(host: Host, option: str) -> None:
    variables = {f"V{n}": "x" for n in range(80)}
    host = dataclasses.replace(host, environment={**host.environment, **variables})
    items = ", ".join(f'"V{n}=${{V{n}}}"' for n in range(80))
    (host.directory / "skills.toml").write_text(
        f'[skills.t.docker]\nimage = "debian:12"\nenvironment = [{items}]\nextra_args = ["{option}"]\n'
    )
    (decision,) = check_all(host)
    assert decision.verdict == "deny"
    (cause,) = [each for each in decision.violations if not each.liftable]
    assert f"[{cause.code}]" in checked(host).text()
    assert cause.code in checked(host).html()
    with pytest.raises(PolicyError) as caught:
        decision.raise_for_verdict()
    assert f"[{cause.code}]" in "\n".join(caught.value.lines())


def test_the_command_that_lists_all_is_that_of_the_place() -> None:
    assert (
        "and 10 more: `%skill check --json` lists all"
        in Findings(faults(60), "%skill check --json").as_text()
    )
    assert "and 10 more: `%skill check --json` lists all" in html.unescape(
        Findings(faults(60), "%skill check --json").as_html()
    )
    error = SpecError("m", faults(60))
    error.listing = in_notebook(error.listing)
    assert error.lines()[-1] == "  and 10 more: `%skill check --json` lists all"
