"""Variables in `user`: UID and GID are the caller's, others are asked for, and none is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plan_world import decision, make_host, plan_of

from skill_magic.host import EngineAddress
from skill_magic.manifest.file import read
from skill_magic.policy.decide import Decision
from skill_magic.verbs.explain import as_data

FORM = "${UID:-1000}:${GID:-1000}"
ENVIRONMENT = {
    "MY_UID": "1234",
    "MINE": "4242",
    "NAME": "node",
    "BOTH": "0:0",
    "EMPTY": "",
    "API_TOKEN": "77712345",
}


def decided(directory: Path, user: str, **changes: Any) -> Decision:
    facts = {"uid": 4242, "gid": 4343, "environment": ENVIRONMENT, **changes}
    return decision(directory, host=make_host(directory, **facts), user=user)


def grants(found: Decision) -> list[str | None]:
    return [each.grant for each in found.violations]


@pytest.mark.parametrize("exported", [{}, {"UID": "0", "GID": "0"}, {"UID": "", "GID": ""}])
@pytest.mark.parametrize(
    "text",
    [FORM, "${UID}:${GID}", "${UID}", "${UID:?who}", "${UID:-0}:${GID:-0}", "4242:${GID}", "${UID}:4343"],
)
def test_the_caller_s_numbers_are_known_whatever_the_shell_exports(
    tmp_path: Path, text: str, exported: dict[str, str]
) -> None:
    found = decided(tmp_path, text, environment={**ENVIRONMENT, **exported})
    assert found.verdict == "allow", found.violations
    assert found.spec is not None
    assert (found.spec.user, found.spec.user_field) == ("4242:4343", "user")


def test_they_are_the_same_in_the_other_places(tmp_path: Path) -> None:
    (tmp_path / "4242").mkdir()
    host = make_host(tmp_path, uid=4242, gid=4343)
    spec = plan_of(tmp_path, host=host, environment=["PUID=${UID:-1}"], volumes=["./${UID}:/d${GID}"]).spec
    assert [each.value for each in spec.environment if each.name == "PUID"] == ["4242"]
    assert [each.target for each in spec.mounts if each.source == str(tmp_path / "4242")] == ["/d4343"]


def test_in_a_rootless_engine_the_caller_is_its_root(tmp_path: Path) -> None:
    engine = EngineAddress("unix:///run/user/4242/docker.sock", "rootless socket")
    found = decided(tmp_path, FORM, engine=engine)
    assert found.verdict == "allow"
    assert found.spec is not None
    assert found.spec.user == "0:0"


@pytest.mark.parametrize(
    ("text", "user", "expected"),
    [
        ("${MY_UID}", "1234:4343", ["env:MY_UID", "uid:1234"]),
        ("${MY_UID}:${GID}", "1234:4343", ["env:MY_UID", "uid:1234"]),
        ("${UID}:${MY_UID}", "4242:1234", ["env:MY_UID", "gid:1234"]),
        ("${MINE}", "4242:4343", ["env:MINE"]),
        ("${ELSE:-${MY_UID}}", "1234:4343", ["env:MY_UID", "uid:1234"]),
        ("${ELSE:-4242}", "4242:4343", []),
        ("${ELSE:-nobody}", "nobody", []),
        ("${ELSE:-0}", "0:0", ["uid0"]),
        ("${ELSE:-image}", None, ["uid0"]),
    ],
)
def test_another_variable_is_asked_for(
    tmp_path: Path, text: str, user: str | None, expected: list[str]
) -> None:
    found = decided(tmp_path, text)
    assert sorted(grants(found), key=str) == sorted(expected)
    assert found.spec is not None
    assert found.spec.user == user
    for each in found.violations:
        assert each.field == "user"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("${NAME}", "user-invalid"),
        ("${BOTH}", "user-invalid"),
        ("${UID}${NAME}", "user-invalid"),
        ("${API_TOKEN}", "user-invalid"),
        ("${UID}:${API_TOKEN}", "user-invalid"),
        ("${UID}:${GID}:0", "user-invalid"),
        ("${UID}:", "user-invalid"),
        ("${UID}0000000", "user-invalid"),
        ("$$", "user-invalid"),
        ("${MISSING}", "variable"),
        ("${EMPTY}", "user-invalid"),
        ("${EMPTY:?say who}", "variable"),
        ("${UID", "variable"),
        ("$UID", "variable"),
        ("$(id -u)", "variable"),
        ("`id -u`", "variable"),
        ("${UID:+0}", "variable"),
    ],
)
def test_what_has_no_meaning_names_the_key_and_shows_no_value(tmp_path: Path, text: str, code: str) -> None:
    found = decided(tmp_path, text)
    assert found.verdict == "error"
    (fault,) = [each for each in found.violations if each.kind == "invalid"]
    assert (fault.code, fault.field, fault.value) == (code, "user", text)
    assert fault.reason.endswith(".")
    assert fault.fix.endswith((".", "?"))
    shown = str(as_data(found, None)) + str(found.violations)
    assert "77712345" not in shown
    assert "node" not in shown


def test_options_of_docker_run_are_not_filled_in(tmp_path: Path) -> None:
    found = decision(tmp_path, "--user=${UID}", host=make_host(tmp_path))
    assert [each.code for each in found.violations] == ["user-invalid"]


def test_a_manifest_may_say_it_and_a_control_character_in_it_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "skills.toml"
    file.write_text(f'[skills.t.docker]\nimage = "debian:12"\nuser = "{FORM}"\n')
    assert read(file, "project").skills["t"].docker.user == FORM
    file.write_text('[skills.t.docker]\nimage = "debian:12"\nuser = "${UID}\\n"\n')
    (fault,) = read(file, "project").faults["t"]
    assert (fault.code, fault.field, fault.line) == ("control-character", "user", 3)
