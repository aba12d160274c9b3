"""``trust`` and ``trust --all``: what is asked, of whom, what a yes has granted, and that it is what was shown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from policy_helpers import make_host, make_spec

from skill_magic.command.parse import Command, Options, parse
from skill_magic.door import Door
from skill_magic.errors import CommandError, ManifestError, PolicyError, SpecError
from skill_magic.host import Host
from skill_magic.policy import trust as grants
from skill_magic.policy.decide import check_all, check_image
from skill_magic.spec import Gpus, ImageFacts
from skill_magic.verbs.trust import trust
from skill_magic.views.base import QuietView

MANIFEST = """
[skills.image.docker]
image = "registry.example/x"
[skills.net.docker]
image = "debian:12"
network = "db"
[skills.both.docker]
image = "registry.example/x"
network = "db"
[skills.plain.docker]
image = "debian:12"
[skills.bad.docker]
image = "debian:12"
extra_args = ["--privileged"]
[skills.worse.docker]
image = 5
"""
ALL = Command("trust", options=Options(all=True))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path, uid=os.getuid(), gid=os.getgid(), engine=None)
    (made.directory / "skills.toml").write_text(MANIFEST)
    return made


class Person:
    """Somebody who is asked; ``before`` happens while they read."""

    def __init__(self, answer: str = "y", before: Callable[[], object] = lambda: None) -> None:
        self.answer, self.before = answer, before
        self.shown: list[str] = []
        self.questions: list[str] = []

    def __call__(self, text: str, question: str) -> str:
        self.shown.append(text)
        self.questions.append(question)
        self.before()
        return self.answer


def shell(host: Host, person: Person | None = None) -> Door:
    return Door("shell", host, QuietView, person)


def verdicts(host: Host) -> dict[str, str]:
    return {each.name: each.verdict for each in check_all(host)}


def test_all_is_asked_once_and_stored_by_skill(host: Host) -> None:
    person = Person()
    answer = trust(ALL, shell(host, person))
    assert person.questions == ["Allow all of this for 3 skills? [y/N] "]
    (page,) = person.shown
    assert "the network db  [both, net]" in page
    assert "Not asked for: 1 refused by the policy: bad" in page
    assert "Not asked for: 1 with faults: worse" in page
    assert "plain" not in page
    assert answer.code == 0
    assert isinstance(answer.data, dict)
    assert {name: [one["grant"] for one in each] for name, each in answer.data["asked"].items()} == {
        "both": ["registry:registry.example", "network:db"],
        "image": ["registry:registry.example"],
        "net": ["network:db"],
    }
    assert {name: each for name, each in answer.data.items() if name != "asked"} == {
        "granted": {
            "both": ["registry:registry.example", "network:db"],
            "image": ["registry:registry.example"],
            "net": ["network:db"],
        },
        "refused": ["bad"],
        "faulty": ["worse"],
    }
    assert json.loads(answer.json()) == answer.data
    assert "granted to 3 skills: 1 network, 1 registry" in answer.text()
    assert "bad" in answer.text()
    assert verdicts(host) == {
        "bad": "deny",
        "both": "allow",
        "image": "allow",
        "net": "allow",
        "plain": "allow",
        "worse": "error",
    }
    assert grants.of_project(host.directory, host)["net"] == {"network:db"}
    again = trust(ALL, shell(host, person))
    assert len(person.questions) == 1
    assert "no skill of this project waits" in again.text()


@pytest.mark.parametrize("answer", ["n", "", "no", "Y E S", "yess", "all"])
def test_anything_but_yes_grants_nothing(host: Host, answer: str) -> None:
    before = verdicts(host)
    done = trust(ALL, shell(host, Person(answer)))
    assert (done.code, verdicts(host)) == (1, before)
    assert grants.of_project(host.directory, host) == {}


def test_what_is_granted_is_what_was_shown(host: Host) -> None:
    """A manifest that changes while a person reads has none of it; what did not change has its grants."""
    file = host.directory / "skills.toml"
    changed = MANIFEST.replace(
        '[skills.net.docker]\nimage = "debian:12"', '[skills.net.docker]\nimage = "debian:13"'
    )
    assert changed != MANIFEST
    answer = trust(ALL, shell(host, Person(before=lambda: file.write_text(changed))))
    assert answer.code == 1
    assert isinstance(answer.data, dict)
    assert answer.data["still"] == ["net"]
    assert "still not allowed: net" in answer.text()
    assert {name: each for name, each in verdicts(host).items() if name in ("both", "image", "net")} == {
        "both": "allow",
        "image": "allow",
        "net": "trust",
    }


@pytest.mark.parametrize(
    "after",
    [
        MANIFEST.replace(
            'network = "db"\n[skills.both', 'network = "db"\nvolumes = ["/srv:/x"]\n[skills.both'
        ),
        MANIFEST.replace('network = "db"\n[skills.both', 'network = "other"\n[skills.both'),
        MANIFEST.replace('network = "db"\n[skills.both', 'network = "db"\ncommand = ["x"]\n[skills.both'),
        MANIFEST.replace("[skills.net.docker]", "[skills.other.docker]"),
        "",
    ],
)
def test_one_skill_that_changes_in_between_has_nothing(host: Host, after: str) -> None:
    file = host.directory / "skills.toml"
    command = Command("trust", ("net",))
    person = Person(before=lambda: file.write_text(after))
    if "skills.net." in after:
        answer = trust(command, shell(host, person))
        assert answer.code == 1
        assert "still not allowed" in answer.text()
        assert verdicts(host)["net"] in ("trust", "deny", "error")
    else:
        with pytest.raises(Exception, match="net"):
            trust(command, shell(host, person))


def test_a_limit_that_changes_in_between_does_not_matter(host: Host) -> None:
    file = host.directory / "skills.toml"
    after = MANIFEST.replace('network = "db"\n', 'network = "db"\nmemory = "64m"\n')
    assert trust(ALL, shell(host, Person(before=lambda: file.write_text(after)))).code == 0


def test_yes_in_a_shell_needs_nobody(host: Host) -> None:
    command = replace(ALL, options=Options(all=True, yes=True))
    assert trust(command, shell(host)).code == 0
    assert verdicts(host)["both"] == "allow"


@pytest.mark.parametrize("person", [None, Person()])
def test_a_cell_that_says_yes_is_no_person(host: Host, person: Person | None) -> None:
    command = replace(ALL, options=Options(all=True, yes=True))
    with pytest.raises(PolicyError, match="the notebook's word") as caught:
        trust(command, Door("magic", host, QuietView, person, notebook=True))
    assert f"cd {host.directory} && skill trust --all" in caught.value.hint
    assert len(caught.value.lines()) == 3
    assert grants.of_project(host.directory, host) == {}


def test_where_nobody_is_nobody_is_asked(host: Host) -> None:
    with pytest.raises(PolicyError, match="nobody can be asked") as caught:
        trust(ALL, shell(host))
    assert len(caught.value.violations) == 4
    assert caught.value.liftable
    assert len(caught.value.lines()) == 3


def test_all_of_it_is_taken_back(host: Host) -> None:
    trust(ALL, shell(host, Person()))
    command = replace(ALL, options=Options(all=True, revoke=True))
    (host.directory / "skills.toml").write_text("[broken")  # also of what cannot be read any more
    answer = trust(command, shell(host))
    assert answer.data == {"granted": {}, "revoked": ["both", "image", "net"]}
    (host.directory / "skills.toml").write_text(MANIFEST)
    assert verdicts(host)["net"] == "trust"
    assert "no skill of this project had grants" in trust(command, shell(host)).text()


def test_only_the_project_is_asked_about(host: Host) -> None:
    """Neither the bundled skills nor the person's own; of them there is nothing to allow."""
    host.config_dir.mkdir(parents=True, mode=0o700)
    own = host.config_dir / "skills.toml"
    own.write_text('[skills.mine.docker]\nimage = "registry.example/x"\n')
    own.chmod(0o600)
    person = Person("n")
    trust(ALL, shell(host, person))
    assert "mine" not in person.shown[0]
    (host.directory / "skills.toml").unlink()
    for options in (Options(all=True), Options(all=True, revoke=True)):
        with pytest.raises(CommandError, match="no project"):
            trust(Command("trust", options=options), shell(host, person))


def test_a_manifest_that_was_named_takes_the_projects_place(host: Host) -> None:
    other = host.directory / "other"
    other.mkdir()
    (other / "skills.toml").write_text('[skills.far.docker]\nimage = "registry.example/x"\n')
    person = Person()
    trust(Command("trust", options=Options(all=True, manifest=other)), shell(host, person))
    assert "far asks for" in person.shown[0]
    assert grants.of_project(other, host) == {"far": {"registry:registry.example"}}
    assert grants.of_project(host.directory, host) == {}


@pytest.mark.parametrize("text", ["[broken", "x = 1\n" + MANIFEST])
def test_a_broken_file_is_an_error(host: Host, text: str) -> None:
    (host.directory / "skills.toml").write_text(text)
    person = Person()
    if text == "[broken":
        with pytest.raises(SpecError):
            trust(ALL, shell(host, person))
    else:
        answer = trust(ALL, shell(host, person))
        assert answer.code == 1
        assert "with faults" in answer.text()
    assert not person.questions


def test_settings_that_cannot_be_relied_on_are_an_error(host: Host) -> None:
    host.config_dir.mkdir(parents=True, mode=0o700)
    (host.config_dir / "policy.toml").write_text("nonsense")
    (host.config_dir / "policy.toml").chmod(0o600)
    with pytest.raises(SpecError):
        trust(ALL, shell(host, Person()))


def test_grants_that_cannot_be_relied_on_are_no_silence(host: Host) -> None:
    trust(ALL, shell(host, Person()))
    (host.data_dir / "trust.json").chmod(0o666)
    answer = trust(ALL, shell(host, Person()))
    assert answer.code == 1
    assert "with faults" in answer.text()


def test_a_network_that_another_skill_has_counts(host: Host) -> None:
    """What one reads it can leave where the other one finds it."""
    (host.home / "data").mkdir()
    file = host.directory / "skills.toml"
    trust(Command("trust", ("net",)), shell(host, Person()))
    file.write_text(MANIFEST + f'[skills.r.docker]\nimage = "debian:12"\nvolumes = ["{host.home}/data:/d"]\n')
    person = Person("n")
    trust(Command("trust", ("r",)), shell(host, person))
    assert "Together: files from outside can leave this machine by the network." in person.shown[0]
    trust(Command("trust", ("net",), options=Options(revoke=True)), shell(host))
    trust(Command("trust", ("r",)), shell(host, person))
    assert "Together" not in person.shown[1]


def test_a_skill_with_faults_or_refused_is_not_asked_for(host: Host) -> None:
    person = Person()
    with pytest.raises(PolicyError):
        trust(Command("trust", ("bad",)), shell(host, person))
    with pytest.raises(ManifestError):
        trust(Command("trust", ("worse",)), shell(host, person))
    assert not person.questions


def test_a_change_after_a_grant_is_on_the_page(host: Host) -> None:
    trust(ALL, shell(host, Person()))
    (host.directory / "skills.toml").write_text(
        MANIFEST.replace('"debian:12"\nnetwork', '"debian:13"\nnetwork')
    )
    person = Person("n")
    trust(ALL, shell(host, person))
    assert "Allowed before, and changed since: net (image)" in person.shown[0]
    trust(Command("trust", ("net",)), shell(host, person))
    assert '  image: "debian:12" → "debian:13"' in person.shown[1]


# --- the words on the line -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "trust --all",
        "trust --all --yes",
        "trust -y --all --json",
        "--all trust",
        "trust --all --revoke",
        "trust x --json",
    ],
)
def test_the_words_are_known(line: str) -> None:
    assert parse(line.split(), door="shell").verb == "trust"
    assert parse(line.split(), door="magic").options.all is ("--all" in line)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("trust", "needs the name of a skill, or --all"),
        ("trust --all x", "takes no name"),
        ("trust x --all", "takes no name"),
        ("trust x y", "does not take"),
        ("check --all", "has no option --all"),
        ("run --all x", "has no option --all"),
        ("trust --all=x", "takes no value"),
    ],
)
def test_what_has_no_meaning_is_said(line: str, fault: str) -> None:
    with pytest.raises(CommandError, match=fault):
        parse(line.split(), door="shell")


# --- the error of a skill without its grants -----------------------------------------------------------------


def refusal(host: Host, name: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        next(each for each in check_all(host) if each.name == name).raise_for_verdict()
    return caught.value


def test_it_is_three_lines_that_say_each_command_once(host: Host) -> None:
    error = refusal(host, "both")
    assert error.lines() == [
        (
            "PolicyError: both asks for more than its confinement: the network db [network-name]; an image from "
            "registry.example [image-registry]"
        ),
        "hint: look at it and decide: `skill trust both`",
        "each with its reason: `skill explain both`",
    ]
    assert len(error.violations) == 2
    assert all("skill trust both" in each.fix for each in error.violations)


def test_what_an_image_asks_for_is_three_lines_too(host: Host) -> None:
    """At the gates of a run; ``explain`` looks at no image, so it is not named."""
    host = replace(host, uid=1000, gid=1000)
    spec = make_spec(host, gpus=Gpus(count=1), user=None, user_field="user")
    facts = ImageFacts(id="sha256:0", environment=("LD_PRELOAD=/x", "LD_AUDIT=/x", "A=1"), user="0")
    with pytest.raises(PolicyError) as caught:
        check_image(spec, facts, host)
    first, *rest = caught.value.lines()
    assert first == (
        f"PolicyError: t: the policy refuses the image {spec.image}: root in the container [user-root]; the GPU "
        "variable LD_AUDIT, which root reads on the host [gpu-loader]; the GPU variable LD_PRELOAD, which root "
        "reads on the host [gpu-loader]"
    )
    assert rest == [
        "hint: look at it and decide: `skill trust t`",
        (
            "Root in the container can leave setuid-root files in a folder of the host. Leave user out to run as "
            "yourself. Grants are explained in SECURITY.md."
        ),
    ]
    assert len(caught.value.violations) == 3


@pytest.mark.parametrize("folder", ["/proc/self/fd/8", "/sys", "/proc"])
def test_what_no_grant_lifts_is_told_with_its_reason(host: Host, folder: str) -> None:
    facts = ImageFacts(id="sha256:0", working_dir=folder, user="0")
    with pytest.raises(PolicyError) as caught:
        check_image(make_spec(host, user=None, user_field="user"), facts, host)
    text = "\n".join(caught.value.lines())
    assert "[image-workdir]" in text
    assert "skill trust" not in text


def test_it_stays_short_and_has_the_gravest_first(tmp_path: Path) -> None:
    host = make_host(tmp_path, environment={f"V{n}": "x" for n in range(900)}, uid=1000)
    names = ", ".join(f'"V{n}=${{V{n}}}"' for n in range(900))
    (host.directory / "skills.toml").write_text(
        f'[skills.t.docker]\nimage = "debian:12"\nnetwork = "db"\nenvironment = [{names}]\nuser = "0"\n'
    )
    error = refusal(host, "t")
    first, *rest = error.lines()
    assert len(rest) == 2
    assert "confinement: root in the container [user-root]; the network db [network-name]" in first
    assert first.endswith(" more")
    assert len(first) < 300
    assert len(error.violations) == 902
