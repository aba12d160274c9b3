"""The files for a public forge and for pre-commit: they are valid, and do what scripts/check does."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import check_jsonschema
import pytest
import working_copy
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOW = ".github/workflows/ci.yml"
HOOKS = ".pre-commit-config.yaml"
SCHEMAS = {
    WORKFLOW: "github-workflows",
    ".github/ISSUE_TEMPLATE/bug_report.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/feature_request.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    "CITATION.cff": "citation-file-format",
}


def read(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(ROOT / name)


def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def valid(file: Path, schema: str) -> bool:
    with pytest.raises(SystemExit) as ended:
        check_jsonschema.main(["--builtin-schema", f"vendor.{schema}", str(file)])
    return ended.value.code == 0


def test_every_file_of_the_forge_has_a_schema() -> None:
    found = {str(path.relative_to(ROOT)) for path in (ROOT / ".github").rglob("*.yml")}
    assert found == {name for name in SCHEMAS if name.startswith(".github/")}


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_it_is_valid(name: str, schema: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what is not valid would be noticed."""
    assert valid(ROOT / name, schema), capsys.readouterr().out
    wrong = tmp_path / Path(name).name
    wrong.write_text((ROOT / name).read_text(encoding="utf-8") + "\nblank_issues_enabled: 3\nversion: []\n")
    assert not valid(wrong, schema)


def test_every_form_can_be_filled_in() -> None:
    """Each field has an id of its own, and what is needed to look at a report is required."""
    for name in (name for name, schema in SCHEMAS.items() if schema == "github-issue-forms"):
        fields = [field for field in read(name)["body"] if field["type"] != "markdown"]
        identifiers = [field["id"] for field in fields]
        assert len(set(identifiers)) == len(identifiers)
        assert any(field.get("validations", {}).get("required") for field in fields)
    required = {
        field["id"]
        for field in read(".github/ISSUE_TEMPLATE/bug_report.yml")["body"]
        if field.get("validations", {}).get("required")
    }
    assert required == {"typed", "happened", "expected", "machine"}


def test_holes_are_not_reported_in_public() -> None:
    for name in (".github/ISSUE_TEMPLATE/bug_report.yml", "CONTRIBUTING.md"):
        assert "SECURITY.md" in (ROOT / name).read_text(encoding="utf-8")
    assert '"Report a vulnerability"' in " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())


def test_no_address_is_invented() -> None:
    """While the repository has no public address, none stands anywhere; afterwards it is the same in both places."""
    urls = project().get("urls", {})
    citation = read("CITATION.cff").get("repository-code")
    assert citation == urls.get("Repository")
    assert all(address.startswith("https://") for address in urls.values())
    for name in ("CONTRIBUTING.md", "SECURITY.md", "docs/releasing.md", "pyproject.toml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"(?i)\b(?:your[-_]?org|example\.com|changeme|TODO|OWNER/)", text), name


def job(name: str) -> Any:
    return read(WORKFLOW)["jobs"][name]


def commands(name: str) -> list[str]:
    return [step["run"] for step in job(name)["steps"] if "run" in step]


def test_the_workflow_runs_what_people_run() -> None:
    assert set(read(WORKFLOW)["on"]) == {"push", "pull_request", "workflow_dispatch"}
    assert {name: commands(name) for name in read(WORKFLOW)["jobs"]} == {
        "check": ["scripts/check"],
        "test": ["scripts/test"],
        "build": ["scripts/build"],
    }


def test_it_runs_on_every_python_that_we_support() -> None:
    matrix = job("check")["strategy"]["matrix"]["python"]
    assert all(isinstance(version, str) for version in matrix)  # 3.10 as a number is 3.1
    [looked] = re.findall(r"for version in (3\.[0-9. ]+); do", (ROOT / "scripts/test").read_text())
    assert matrix == looked.split()
    promised = {line.rpartition(" ")[2] for line in project()["classifiers"] if "Python :: 3." in line}
    assert promised <= set(matrix)
    assert project()["requires-python"] == f">={matrix[0]}"


def test_the_python_of_a_job_is_the_one_that_is_used() -> None:
    for name in read(WORKFLOW)["jobs"]:
        steps = job(name)["steps"]
        assert any(step.get("uses", "").startswith("actions/setup-python@") for step in steps)
        [step] = [step for step in steps if "run" in step]
        assert step["env"] == {"SKILL_MAGIC_PYTHON": "python3"}


def test_a_strangers_pull_request_gets_no_rights() -> None:
    workflow = read(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    text = (ROOT / WORKFLOW).read_text(encoding="utf-8")
    assert "secrets." not in text
    assert "pull_request_target" not in text
    for name in workflow["jobs"]:
        assert "permissions" not in job(name)
        assert job(name)["timeout-minutes"] <= 90
        for step in job(name)["steps"]:
            # Actions of the forge itself only, and no text of a stranger's in a command.
            assert step.get("uses", "actions/").startswith("actions/")
            assert "${{" not in step.get("run", "")
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def checks() -> list[str]:
    """The commands of check_style, which scripts/check and scripts/test run."""
    text = (ROOT / "scripts/_common.sh").read_text(encoding="utf-8")
    [body] = re.findall(r"^check_style\(\) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    return re.findall(r'^  step "[^"]+" (.*)$', body, re.MULTILINE)


def test_the_hooks_are_the_checks() -> None:
    """They run the programs of .venv, so there are no versions that could differ from those of scripts/check."""
    [repository] = read(HOOKS)["repos"]
    assert repository["repo"] == "local"
    entries = [hook["entry"] for hook in repository["hooks"]]
    assert entries == [*checks(), ".venv/bin/python scripts/readme --check"]
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    dev = " ".join(project()["optional-dependencies"]["dev"])
    assert all(tool in dev for tool in ("ruff", "mypy"))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with our hooks, in which the programs of .venv only note that they were called."""
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "copy"
    names = (HOOKS, ".gitignore", "pyproject.toml", "README.md", "scripts/readme", "skill_magic/__init__.py")
    working_copy.tracked()  # skips where there is no git
    working_copy.make(folder, names)
    for name in ("ruff", "mypy", "python"):
        working_copy.program(folder, name, f'echo "{name} $*" >>.venv/called; [ ! -e .venv/{name}-fails ]')
    return folder


def hooks(folder: Path) -> tuple[int, str, list[str]]:
    """Exit code, what was printed, and the programs that were called."""
    (folder / ".venv" / "called").write_text("")
    command = (sys.executable, "-m", "pre_commit", "run", "--color=never")
    env = working_copy.clean()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, (folder / ".venv" / "called").read_text().splitlines()


def change(folder: Path, name: str) -> None:
    with (folder / name).open("a") as file:
        file.write("\n")
    working_copy.git(folder, "add", "--all")


def test_a_commit_is_checked(repository: Path) -> None:
    change(repository, "skill_magic/__init__.py")
    code, shown, called = hooks(repository)
    assert (code, called) == (
        0,
        ["ruff check", "ruff format --check", "mypy ", "python scripts/readme --check"],
    ), shown
    for name, failing in (("mypy", "mypy"), ("python", "tables of the README")):
        (repository / ".venv" / f"{name}-fails").touch()
        code, shown, _ = hooks(repository)
        (repository / ".venv" / f"{name}-fails").unlink()
        assert code == 1
        assert re.search(rf"^{failing}\.+Failed$", shown, re.MULTILINE), shown


def test_a_commit_of_prose_is_not_held_up(repository: Path) -> None:
    (repository / "NOTES.md").write_text("prose\n")
    working_copy.git(repository, "add", "--all")
    assert hooks(repository)[::2] == (0, [])
    change(repository, "README.md")
    assert hooks(repository)[2] == ["python scripts/readme --check"]
