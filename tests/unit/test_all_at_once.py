"""Every fault of a skill at once, each said once, and each value as it stands in the file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from policy_helpers import codes, make_host

from skill_magic import road
from skill_magic.answer import Findings
from skill_magic.command.parse import Command, Request
from skill_magic.door import Door
from skill_magic.errors import ManifestError, PolicyError, SpecError
from skill_magic.findings import Violation, offer, without_offer
from skill_magic.host import Host
from skill_magic.manifest import layers
from skill_magic.policy import settings
from skill_magic.policy.decide import Decision, check_all
from skill_magic.verbs import check as verb
from skill_magic.verbs import doctor, explain, trust
from skill_magic.views.base import QuietView

SKILL = '[skills.t.docker]\nimage = "debian:12"\n'


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path, uid=os.getuid(), gid=os.getgid())


def decided(host: Host, text: str) -> Decision:
    """The one decision of ``check`` on a project's manifest."""
    (host.directory / "skills.toml").write_text(text)
    (decision,) = check_all(host)
    return decision


def found(decision: Decision) -> list[tuple[str, str]]:
    return [(each.field, each.code) for each in decision.violations]


def said(decision: Decision) -> list[str]:
    return [each.said for each in decision.violations]


# --- faults of the reader and of the policy -----------------------------------------------------------------


def test_faults_of_the_manifest_hide_none_of_the_plan_and_the_policy(host: Host) -> None:
    text = """
memory = 512
volumes = [5, "/etc:/x", "./missing:/y"]
environment = ["A=1", "B C", "C=${NOPE}"]
extra_args = ["--pid=host"]
"""
    decision = decided(host, SKILL + text)
    assert sorted(found(decision)) == [
        ("environment[1]", "environment-invalid"),
        ("environment[2]", "variable"),
        ("extra_args[0]", "host-namespace"),
        ("memory", "manifest-type"),
        ("volumes[0]", "manifest-type"),
        ("volumes[1]", "mount-system"),
        ("volumes[2]", "mount-missing"),
    ]
    assert decision.verdict == "deny"
    assert (decision.skill, decision.spec) == (None, None)


def test_places_stay_those_of_the_file(host: Host) -> None:
    text = 'volumes = [\n  5,\n  "/etc:/x",\n]\nenvironment = [\n  "B C",\n  true,\n  "C=${NOPE}",\n]\n'
    lines = {each.field: each.line for each in decided(host, SKILL + text).violations}
    assert lines == {
        "volumes[0]": 4,
        "volumes[1]": 5,
        "environment[0]": 8,
        "environment[1]": 9,
        "environment[2]": 10,
    }


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('[skills.t.docker]\nmemory = "1g"\n', ["image"]),
        ('[skills.t.docker]\nimage = "Debian"\n', ["image"]),
        ("[skills.t.docker]\nimage = 5\n", ["image"]),
        (f'{SKILL}network = 5\nuser = ""\nworking_dir = "x"\n', ["network", "user", "working_dir"]),
        (f'{SKILL}environment = ["A=1", "A=2"]\n', ["environment[1]"]),
        (f"{SKILL}environment = {{A = 1}}\n", ["environment"]),
        (f'{SKILL}extra_args = ["--memory", 512]\n', ["extra_args[1]"]),
        (f'{SKILL}extra_args = ["--privileged", "--cpu-shares", 5]\n', ["extra_args[0]", "extra_args[2]"]),
        (f'{SKILL}extra_args = [true, "--privileged"]\n', ["extra_args[0]", "extra_args[1]"]),
        (f"{SKILL}command = [5]\n", ["command[0]"]),
        ('[skills.t]\nruntime = "wasm"\n[skills.t.docker]\nimage = "Debian"\n', ["image", "runtime"]),
    ],
)
def test_one_slip_is_one_fault(host: Host, text: str, fields: list[str]) -> None:
    assert sorted(each.field for each in decided(host, text).violations) == fields


def test_only_a_refusal_that_nothing_lifts_is_worse_than_a_fault(host: Host) -> None:
    assert decided(host, SKILL + 'memory = 5\nextra_args = ["--publish=80:80"]\n').verdict == "error"
    assert decided(host, SKILL + 'memory = 5\nextra_args = ["--privileged"]\n').verdict == "deny"


def test_a_skill_with_faults_is_never_handed_out(host: Host) -> None:
    (host.directory / "skills.toml").write_text(SKILL + "memory = 5\n")
    manifests = layers.load(host)
    assert manifests.partial["t"].docker.image == "debian:12"
    with pytest.raises(ManifestError):
        manifests.find("t")


@pytest.mark.parametrize(("option", "error"), [("--privileged", PolicyError), ("--init", ManifestError)])
def test_a_run_raises_all_of_it(host: Host, option: str, error: type[SpecError | PolicyError]) -> None:
    (host.directory / "skills.toml").write_text(
        SKILL + f'memory = 5\nvolumes = ["./no:/y"]\nextra_args = ["{option}"]\n'
    )
    decision = road.decide(Request("t"), host)
    with pytest.raises(error) as caught:
        decision.raise_for_verdict()
    assert {"manifest-type", "mount-missing"} <= set(codes(caught.value.violations))
    answer = explain.explain(Command("explain", request=Request("t")), Door("shell", host, QuietView))
    assert "mount-missing" in answer.text()
    assert "manifest-type" in answer.text()
    with pytest.raises(error):
        trust.trust(Command("trust", names=("t",)), Door("shell", host, QuietView))


# --- what several skills share -------------------------------------------------------------------------------


def checked(host: Host, text: str) -> str:
    (host.directory / "skills.toml").write_text(text)
    return verb.check(Command("check"), Door("shell", host, QuietView)).text()


def test_a_fault_of_the_file_is_said_once(host: Host) -> None:
    text = checked(host, f'x = 1\n{SKILL}[skills.u.docker]\nimage = "Debian"\n')
    assert text.count("manifest-unknown-key") == 1
    assert "all skills:\n" in text
    assert "t: faulty, see above\n" in text
    assert "image-invalid" in text
    (host.directory / "skills.toml").write_text(f"x = 1\n{SKILL}[skills.u.docker]\nimage = 5\n")
    assert all(
        "manifest-unknown-key" in codes(each.violations) for each in check_all(host)
    )  # a machine reads each


def test_doctor_says_a_fault_of_the_file_once(host: Host) -> None:
    (host.directory / "skills.toml").write_text(f"x = 1\n{SKILL}{SKILL.replace('.t.', '.u.')}")
    answer = doctor.doctor(Command("doctor"), Door("shell", replace(host, engine=None), QuietView))
    assert answer.text().count("manifest-unknown-key") == 1


def test_a_broken_file_is_called_by_its_name(host: Host) -> None:
    text = checked(host, "[skills.t\n")
    assert text.startswith(f"{host.directory / 'skills.toml'}: faulty\n")
    assert "skills," not in text


def test_one_is_not_plural(host: Host) -> None:
    assert checked(host, SKILL).endswith("1 skill, allowed")
    assert checked(host, SKILL + "memory = 5\n").endswith("1 skill, 1 not allowed")
    assert checked(host, SKILL + SKILL.replace(".t.", ".u.")).endswith("2 skills, all allowed")


# --- values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("memory = 512", "memory = 512"),
        ('memory = "512"', "memory = '512'"),
        ("environment = {A = 1}", "environment = a table"),
        ('working_dir = ""', "working_dir = ''"),
        ('extra_args = ["--privileged"]', "extra_args[0] = '--privileged'"),
        ('extra_args = ["-p", "80:80"]', "extra_args[0] = '--publish 80:80'"),
    ],
)
def test_a_value_is_shown_as_what_it_is(host: Host, text: str, shown: str) -> None:
    decision = decided(host, f"{SKILL}{text}\n")
    assert said(decision) == [shown]
    assert f"{shown} [" in Findings(decision.violations).as_text()
    assert f"{shown} [" in "\n".join(ManifestError("m", decision.violations).lines())


def test_what_is_missing_has_no_value(host: Host) -> None:
    assert said(decided(host, "[skills.t.docker]\n")) == ["image"]


@pytest.mark.parametrize(
    ("text", "shown"), [("max_memry = 5", "max_memry = 5"), ('max_cpus = "x"', "max_cpus = 'x'")]
)
def test_a_setting_is_shown_with_its_value(host: Host, text: str, shown: str) -> None:
    host.config_dir.mkdir(parents=True)
    (host.config_dir / "policy.toml").write_text(f"{text}\n")
    (host.config_dir / "policy.toml").chmod(0o600)
    with pytest.raises(SpecError) as caught:
        settings.load(host)
    assert [each.said for each in caught.value.violations] == [shown]


# --- ways out ------------------------------------------------------------------------------------------------


def test_a_docker_key_one_table_too_high_is_told_its_place(host: Host) -> None:
    decision = decided(host, '[skills.t]\nimage = "debian:12"\nmemory = "1g"\n')
    assert [(each.field, each.fix) for each in decision.violations] == [
        ("image", "Put it into [skills.t.docker]."),
        ("memory", "Put it into [skills.t.docker]."),
    ]
    (fault,) = decided(host, '[skills.t]\nimage = "debian:12"\n[skills.t.docker]\nmemory = "1g"\n').violations
    assert fault.fix == "Put it into [skills.t.docker]."


def test_trust_is_offered_where_it_helps(host: Host) -> None:
    image = '[skills.t.docker]\nimage = "registry.example/x"\n'
    (alone,) = decided(host, image).violations
    assert alone.fix.endswith("in policy.toml, or allow it: `skill trust t`.")
    refused = decided(host, image + 'extra_args = ["--privileged", "--publish=80:80"]\n')
    assert len(refused.violations) == 3
    assert not [each.fix for each in refused.violations if "skill trust" in each.fix]
    assert refused.violations[0].fix.endswith("in policy.toml.")


@pytest.mark.parametrize("fix", ["Write one, or", "Write one."])
def test_an_offer_is_a_sentence_and_can_be_taken_back(fix: str) -> None:
    offered = offer(fix, "t")
    assert offered in ("Write one, or allow it: `skill trust t`.", "Write one. Or allow it: `skill trust t`.")
    (plain,) = without_offer([Violation("c", "f", "v", "r", offered, "g")])
    assert plain.fix == "Write one."
