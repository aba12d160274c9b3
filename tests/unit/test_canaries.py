"""A value of a host variable, in every position of every field and form: it is asked for by name, and nothing that
people or files get to see holds it."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from policy_helpers import codes, make_host

from skill_magic.answer import Answer
from skill_magic.command.parse import Command, Options, Request
from skill_magic.door import Door
from skill_magic.engine import passwd
from skill_magic.engine.arguments import create_body
from skill_magic.engine.failures import without_values
from skill_magic.errors import EngineError, PolicyError, SkillError, SpecError
from skill_magic.events import Finished, Note, Output, Started
from skill_magic.findings import Violation
from skill_magic.host import Host
from skill_magic.policy import redact
from skill_magic.policy.decide import Decision, check_all
from skill_magic.result import Recorder, RunResult
from skill_magic.spec import EnvVar, ImageFacts, Mount, RunSpec
from skill_magic.verbs import check, explain, trust_page
from skill_magic.views.base import QuietView

pytestmark = pytest.mark.slow

PLAIN = "c4n4ry-5EcReT"
HARD = 'c4n4ry//5E"cR:eT,x'
"""Not a path as it is cleaned, nor one field, nor one word in JSON."""

NAMES = ("API_TOKEN", "ORDINARY")

FORMS = {
    "bare": "${NAME}",
    "with a default": "${NAME:-x}",
    "with a message": "${NAME:?set it}",
    "as a default": "${UNSET:-${NAME}}",
    "as a default's default": "${UNSET:-${UNSET_TOO:-a${NAME}}}",
    "beside a harmless one": "${TZ:-UTC}${NAME}",
}

POSITIONS: dict[str, dict[str, list[str]]] = {
    "environment": {"environment": ["A=@"]},
    "environment, a part": {"environment": ["A=x@y"]},
    "environment, a URL": {"environment": ["A=https://u:@@host/"]},
    "environment, HOME": {"environment": ["HOME=/@"]},
    "-e": {"extra_args": ["-e", "A=@"]},
    "-e=": {"extra_args": ["-e=A=@"]},
    "--env": {"extra_args": ["--env", "A=@"]},
    "anonymous volume": {"volumes": ["/w/@/x"]},
    "a folder's target": {"volumes": ["./data:/w/@"]},
    "a folder's target, ro": {"volumes": ["./data:/w/@:ro"]},
    "the directory's target": {"volumes": ["./:/w/@"]},
    "a target below the kernel": {"volumes": ["./data:/proc/@"]},
    "a target in a folder": {"volumes": ["./data:/d", "vol:/d/@"]},
    "one target twice": {"volumes": ["./data:/w/@", "vol:/w/@"]},
    "a missing folder": {"volumes": ["./no/@:/w"]},
    "a missing folder elsewhere": {"volumes": ["/nowhere/@:/w:ro"]},
    "a folder of the system": {"volumes": ["/etc/@:/w:ro"]},
    "a label": {"volumes": ["./data/@:/w:z"]},
    "propagation": {"volumes": ["./data:/w/@:shared"]},
    "a volume's name": {"volumes": ["v@:/w"]},
    "a volume's target": {"volumes": ["vol:/w/@"]},
    "no path and no name": {"volumes": ["@ @:/w"]},
    "-v": {"extra_args": ["-v", "./data:/w/@"]},
    "-v, anonymous": {"extra_args": ["-v=/w/@"]},
    "--volume": {"extra_args": ["--volume=v@:/w:ro"]},
    "--mount, a target": {"extra_args": ["--mount", "type=bind,src=./data,dst=/w/@"]},
    "--mount, a source": {"extra_args": ["--mount", "type=bind,src=./no/@,dst=/w"]},
    "--mount, a volume": {"extra_args": ["--mount", "type=volume,src=v@,dst=/w"]},
    "--mount, a volume's target": {"extra_args": ["--mount", "type=volume,src=vol,target=/w/@"]},
    "--mount, anonymous": {"extra_args": ["--mount", "type=volume,destination=/w/@"]},
    "--mount, no type": {"extra_args": ["--mount=dst=/w/@"]},
    "--mount, quoted": {"extra_args": ["--mount", 'type=volume,"dst=/w/@"']},
    "--mount, tmpfs": {"extra_args": ["--mount", "type=tmpfs,dst=/w/@"]},
    "--mount, tmpfs above the memory": {"extra_args": ["--mount", "type=tmpfs,dst=/w/@,tmpfs-size=90g"]},
    "--mount, tmpfs at the kernel": {"extra_args": ["--mount", "type=tmpfs,dst=/sys/@"]},
}

LITERAL: dict[str, dict[str, list[str]]] = {
    "--tmpfs": {"extra_args": ["--tmpfs", "/w/@"]},
    "--label": {"extra_args": ["--label", "a=@"]},
    "--annotation": {"extra_args": ["--annotation", "a=@"]},
    "--hostname": {"extra_args": ["--hostname", "@"]},
    "--workdir": {"extra_args": ["--workdir", "/@"]},
    "--user": {"extra_args": ["--user", "@"]},
    "--add-host": {"extra_args": ["--add-host", "a:@"]},
    "--name": {"extra_args": ["--name", "@"]},
    "--env-file": {"extra_args": ["--env-file", "/@"]},
    "--mount, an option": {"extra_args": ["--mount", "type=tmpfs,dst=/w,tmpfs-size=@"]},
    "--mount, a label": {"extra_args": ["--mount", "type=volume,dst=/w,volume-label=@"]},
    "a name of a variable": {"environment": ["@=a"]},
    "image": {"image": ["@"]},
    "user": {"user": ["@"]},
    "working_dir": {"working_dir": ["/@"]},
    "network": {"network": ["@"]},
    "entrypoint": {"entrypoint": ["@"]},
    "command": {"command": ["@"]},
}
"""Where nothing is filled in."""


def person(root: Path, value: str) -> Host:
    host = make_host(root, environment={"API_TOKEN": value, "ORDINARY": value}, uid=max(os.getuid(), 1))
    (host.directory / "data").mkdir()
    return host


def write(host: Host, position: dict[str, list[str]], text: str) -> None:
    lines = ["[skills.t.docker]"]
    if "image" not in position:
        lines.append('image = "debian:12"')
    for key, items in position.items():
        filled = [item.replace("@", text, 1) if "@@" in item else item.replace("@", text) for item in items]
        single = key not in ("environment", "volumes", "extra_args", "command")
        lines.append(f"{key} = {json.dumps(filled[0] if single else filled)}")
    (host.directory / "skills.toml").write_text("\n".join([*lines, ""]))


def without_tilde(answer: Answer) -> str:
    return answer.text() + json.dumps(answer.data, default=str)


def told(decision: Decision, host: Host) -> dict[str, str]:
    """All that is said of a decision and of the run it may become."""
    door = Door("shell", host, QuietView)
    request = Request("t", options=Options())
    forms = {
        "decision": json.dumps(decision.as_dict()) + str(decision.violations) + repr(decision),
        "findings": "\n".join(map(str, decision.violations)),
        "explain": without_tilde(explain.explain(Command("explain", request=request), door)),
        "check": without_tilde(check.check(Command("check"), door)),
    }
    if decision.verdict == "trust":
        page = trust_page.page([decision], door, changes={"t": {"volumes": "a → b"}}, alone=True)
        forms["question"] = page.text + page.question
    try:
        decision.raise_for_verdict()
    except SkillError as error:
        forms["error"] = "\n".join(error.lines()) + str(error) + repr(error)
    if decision.spec is not None:
        spec = decision.spec
        forms["spec"] = repr(spec) + repr(spec.mounts) + repr(spec.environment) + "\n".join(spec.notes)
        forms["result"] = card_of(spec, host)
        forms["engine"] = engine_words(spec, host)
    return forms


def card_of(spec: RunSpec, host: Host) -> str:
    """Every form of a result, of a run whose engine quoted all that it was given."""
    recorder = Recorder(spec, host)
    hidden = redact.concealed(spec, host)
    words = redact.hide_values(everything(spec), hidden)
    for event in (
        Started("c" * 64, "skill-t-1", "sha256:1", None, 1.0),
        Output("stdout", b"out\n"),
        Note("a note"),
        Finished("failed", 127, 1.0, 1.0, words),
    ):
        recorder.event(event)
    result: RunResult = recorder.result()
    error = result.error()
    assert error is not None
    bundle = json.dumps(result._repr_mimebundle_())
    return "\n".join(
        [repr(result), result.command_line, bundle, json.dumps(result.as_dict()), *error.lines()]
    )


def everything(spec: RunSpec) -> str:
    """What the engine is told, which is all that it can quote: plain, as JSON and as Go quotes."""
    spec = dataclasses.replace(spec, wishes=(), network="none" if ":" in spec.network else spec.network)
    body = create_body(spec, ImageFacts(id="sha256:1"), name="skill-t-1", labels={})
    plain: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                collect(key)
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)
        elif isinstance(value, str):
            plain.append(value)
            plain.extend(value.split("/"))

    collect(body)
    return "\n".join([json.dumps(body), json.dumps(body, ensure_ascii=False), *plain])


def engine_words(spec: RunSpec, host: Host) -> str:
    hidden = redact.concealed(spec, host)
    words = everything(spec)
    cause = RuntimeError(words)
    refused = EngineError(f"the engine could not start the container: {words}", words)
    refused.__cause__ = cause
    finding = Violation("engine-differs", "HostConfig", words, words, words)
    other = PolicyError(f"made otherwise: {words}", [finding])
    shown = []
    for error in (refused, other, RuntimeError(words)):
        clean = without_values(error, hidden)
        assert isinstance(clean, SkillError) or not hidden
        shown += [str(clean), repr(clean), repr(clean.__cause__), repr(clean.__context__)]
        shown += clean.lines() if isinstance(clean, SkillError) else []
    return "\n".join(shown) if hidden else ""


def leaks(text: str) -> bool:
    return any(part in text for part in ("c4n4ry", "5E", "cR:eT"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("position", POSITIONS)
def test_no_form_of_a_value_is_shown_and_each_is_asked_for(tmp_path: Path, position: str, name: str) -> None:
    for number, (value, form) in enumerate(
        [*((PLAIN, form) for form in FORMS.values()), (HARD, FORMS["bare"]), (HARD, FORMS["as a default"])]
    ):
        root = tmp_path / str(number)
        host = person(root, value)
        write(host, POSITIONS[position], form.replace("NAME", name))
        (decision,) = check_all(host)
        grants = {each.grant for each in decision.violations}
        unread = any(each.code in ("mount-syntax", "environment-invalid") for each in decision.violations)
        assert f"env:{name}" in grants or (unread and decision.verdict == "error"), (
            form,
            decision.violations,
        )
        assert not (unread and value == PLAIN and position != "no path and no name"), (
            form,
            decision.violations,
        )
        for what, text in told(decision, host).items():
            assert not leaks(text), (what, form, value, text)


@pytest.mark.parametrize("position", [*POSITIONS, *LITERAL])
def test_where_nothing_is_filled_in_nothing_is_shown(tmp_path: Path, position: str) -> None:
    """Neither in the fields that are not expanded, nor after ``$$``, nor in forms that are none."""
    positions = {**POSITIONS, **LITERAL}
    for number, form in enumerate(
        ("$${API_TOKEN}", "$API_TOKEN", "${API_TOKEN:+x}", "${API_TOKEN", "`${API_TOKEN}`")
    ):
        host = person(tmp_path / str(number), PLAIN)
        write(host, positions[position], form)
        found = check_all(host)
        for decision in found:
            for what, text in told(decision, host).items():
                assert not leaks(text), (what, form, text)


@pytest.mark.parametrize("position", LITERAL)
def test_fields_that_are_not_expanded_hold_no_value(tmp_path: Path, position: str) -> None:
    host = person(tmp_path, PLAIN)
    write(host, LITERAL[position], "${API_TOKEN}")
    for decision in check_all(host):
        assert decision.spec is None or PLAIN not in everything(decision.spec)
        for what, text in told(decision, host).items():
            assert not leaks(text), (what, text)


def test_the_words_without_the_cover_would_leak(tmp_path: Path) -> None:
    """So that the tests above look at texts that hold the value until it is taken out."""
    host = person(tmp_path, PLAIN)
    for position in ("a folder's target", "a volume's name", "--mount, tmpfs", "environment"):
        write(host, POSITIONS[position], "${ORDINARY}")
        (decision,) = check_all(host)
        assert decision.spec is not None
        assert PLAIN in everything(decision.spec)


@pytest.mark.parametrize(("name", "hidden"), [("API_TOKEN", True), ("ORDINARY", False)])
def test_an_existing_folder_is_shown_unless_the_variable_speaks_of_a_secret(
    tmp_path: Path, name: str, hidden: bool
) -> None:
    """A person must see which folder they are asked for."""
    host = person(tmp_path, PLAIN)
    (host.home / PLAIN).mkdir()
    write(host, {"volumes": [f"${{HOME}}/${{{name}}}:/w:ro"]}, "")
    (decision,) = check_all(host)
    assert codes(decision.violations) == ["mount-outside-ro", "env-host"]
    written = f"${{HOME}}/${{{name}}}"
    assert decision.violations[0].grant == f"mount:ro:{written if hidden else host.home / PLAIN}"
    for text in told(decision, host).values():
        assert not (hidden and leaks(text))


def test_a_literal_path_is_named_exactly_whatever_a_variable_holds(tmp_path: Path) -> None:
    """A project could name a variable whose value it knows, to blacken what it asks for."""
    host = person(tmp_path, "Documents")
    (host.home / "Documents/Private").mkdir(parents=True)
    write(host, {"environment": ["A=${API_TOKEN}"], "volumes": ["${HOME}/Documents/Private:/d:ro"]}, "")
    (decision,) = check_all(host)
    assert f"mount:ro:{host.home}/Documents/Private" in [each.grant for each in decision.violations]


def test_the_account_file_in_the_cache_holds_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made once per image, and every later run with that image would read it."""
    host = person(tmp_path, PLAIN)
    write(host, POSITIONS["environment, HOME"], "${API_TOKEN}")
    (decision,) = check_all(host)
    assert decision.spec is not None
    monkeypatch.setattr(passwd, "_of_image", lambda *_, **__: ["root:x:0:0::/:/bin/sh\n"])

    class Local:
        local = True

    facts = ImageFacts(id="sha256:" + "1" * 64)
    engine: Any = Local()
    spec = dataclasses.replace(decision.spec, user="1234:1234")
    first = passwd.with_entry(engine, spec, host, facts)
    assert first.mounts[-1].target == "/etc/passwd"
    literal = dataclasses.replace(spec, environment=(EnvVar("HOME", "/data"),))
    second = passwd.with_entry(engine, literal, host, facts)
    texts = [Path(str(each.mounts[-1].source)).read_text() for each in (first, second)]
    assert ":/tmp:" in texts[0]
    assert ":/data:" in texts[1]
    assert not leaks("".join(texts))
    assert not any(leaks(str(path)) for path in host.cache_dir.rglob("*"))


def test_the_repr_of_a_mount_says_which_variables_and_not_what_they_hold() -> None:
    shown = repr(Mount("bind", f"/w/{PLAIN}", f"/d/{PLAIN}", declared=f"/d/{PLAIN}", names=("API_TOKEN",)))
    assert "API_TOKEN" in shown
    assert not leaks(shown)
    assert "/data" in repr(Mount("bind", "/w", "/data"))


# --- that it stays in one place -------------------------------------------------------------------------


PACKAGE = Path(redact.__file__).parents[1]


def calls(name: str) -> dict[str, list[ast.Call]]:
    """``MODULE:FUNCTION`` → its calls of ``name``."""
    found: dict[str, list[ast.Call]] = {}
    for path in PACKAGE.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                    found.setdefault(f"{path.relative_to(PACKAGE)}:{function.name}", []).append(node)
    return found


def test_three_functions_expand_and_each_keeps_the_names() -> None:
    """The third takes numbers alone, and none of a variable that speaks of a secret (test_user_variables.py)."""
    places = {"plan/envvars.py:parse", "mounts/text.py:expanded", "plan/users.py:_filled_in"}
    assert set(calls("expand")) == places
    assert set(calls("EnvVar")) == {"plan/envvars.py:parse", "plan/draft.py:_environment"}


def test_a_text_becomes_a_mount_in_one_place() -> None:
    """Every other mount is our own; what lies in one that was asked for takes over its names."""
    made = calls("Mount")
    assert "mounts/text.py:made" in made
    for place, nodes in made.items():
        if place in ("mounts/text.py:made", "flags/mounts.py:_tmpfs"):  # nothing is filled in for the second
            continue
        for node in nodes:
            words = {keyword.arg: keyword.value for keyword in node.keywords}
            ours = words.get("ours")
            assert isinstance(ours, ast.Constant), place
            assert ours.value is True, place
            assert not place.startswith("mounts/guards") or {"names", "target_names"} <= set(words), place


def test_a_manifest_with_a_fault_beside_the_value(tmp_path: Path) -> None:
    """The verdict on a manifest with a fault beside the value: partial skills are judged, and told, as well."""
    host = person(tmp_path, PLAIN)
    write(host, {"volumes": ["./data:/w/@"]}, "${API_TOKEN}")
    with (host.directory / "skills.toml").open("a") as file:
        file.write("memory = 5\n")
    (decision,) = check_all(host)
    assert {"manifest-type", "env-host"} <= set(codes(decision.violations))
    with pytest.raises(SpecError):
        decision.raise_for_verdict()
    for what, text in told(decision, host).items():
        assert not leaks(text), what
