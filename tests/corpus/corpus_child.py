"""Decides the rows of the corpus from inside the world: one JSON line per row on stdout.

The rows' snippets are turned into ``skills.toml`` files as policy_fixture.json's comment says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

#: Keys of a snippet that describe the row's circumstances and are no keys of a manifest.
CIRCUMSTANCES = (
    "fixture",
    "image_config",
    "existing_volumes",
    "trusted",
    "fs",
    "result_file",
    "args",
    "output",
)

WORST = ("deny", "error", "trust", "allow")


def generated(text: str) -> str:
    """Fill in ``{REPEAT:x:n}``, ``{HUGE:n}`` and ``{ONELINE:n}``."""
    text = re.sub(r"\{REPEAT:(.+?):([0-9]+)\}", lambda match: match[1] * int(match[2]), text)
    return re.sub(r"\{(?:HUGE|ONELINE):([0-9]+)\}", lambda match: "x" * int(match[1]), text)


def parts(snippet: str) -> tuple[bytes, dict[str, Any]]:
    """A row's snippet → the manifest as bytes, and the circumstances."""
    lines = generated(snippet).split("\\n")
    circumstances: dict[str, Any] = {}
    kept = []
    for line in lines:
        key = line.partition("=")[0].strip()
        if key in CIRCUMSTANCES:
            circumstances.update(tomllib.loads(line))
        else:
            kept.append(line)
    skill: list[str] = []
    docker: list[str] = []
    tables: list[str] = []
    for line in kept:
        if line.startswith("[") or tables:
            tables.append(line)
        elif line.partition("=")[0].strip() in ("description", "source", "runtime"):
            skill.append(line)
        else:
            docker.append(line)
    if not any(line.partition("=")[0].strip() == "image" for line in docker):
        docker.insert(0, 'image = "debian:12"')
    text = "\n".join(["[skills.t]", *skill, "[skills.t.docker]", *docker, *tables, ""])
    return text.encode().replace(b"{INVALID_UTF8}", b"\xff\xfe"), circumstances


def decide(snippet: str, engine: dict[str, Any]) -> dict[str, Any]:
    """The verdict on one row, in the current directory and environment."""
    from skill_magic import errors, host
    from skill_magic.command import parse as command
    from skill_magic.manifest import layers as manifest
    from skill_magic.policy import trust
    from skill_magic.policy.decide import Decision, check_all, evaluate

    text, circumstances = parts(snippet)
    fixture = circumstances.get("fixture", {})
    before = dict(os.environ)
    directory = Path(fixture.get("cwd", fixture.get("pwd", os.getcwd())))
    here = Path.cwd()
    made: list[Path] = []
    try:
        os.chdir(directory)
        os.environ["PWD"] = fixture.get("pwd_env", str(directory))
        if "docker_host" in fixture:
            os.environ["DOCKER_HOST"] = fixture["docker_host"]
        os.environ.update({key: str(value) for key, value in fixture.get("env", {}).items()})
        made.append(Path("skills.toml").absolute())
        made[0].write_bytes(text)
        machine = replace(host.discover(), cpus=engine["ncpu"], memory=16 << 30)
        if "args" in circumstances:
            try:
                parsed = command.parse(["t", *circumstances["args"]])
            except errors.CommandError as error:
                return {"verdict": "error", "violations": [], "message": str(error)}
            assert parsed.request is not None
            found = [evaluate(manifest.load(machine).find("t"), parsed.request, machine)]
        else:
            found = check_all(machine)
        if circumstances.get("trusted"):
            for decision in found:
                assert decision.skill is not None
                trust.grant(decision.skill, machine, [name for name, _ in trust.asks(decision)])
            found = check_all(machine)
        if "image_config" in circumstances:
            found = [_with_image(each, circumstances["image_config"], machine) for each in found]
        worst: Decision = min(found, key=lambda each: WORST.index(each.verdict))
        return {**worst.as_dict(), "message": ""}
    finally:
        for path in made:
            path.unlink(missing_ok=True)
        shutil.rmtree(
            Path(before["HOME"]) / ".local", ignore_errors=True
        )  # the grants; every row starts afresh
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def _with_image(decision: Any, config: dict[str, Any], machine: Any) -> Any:
    from skill_magic.policy import rules as policy
    from skill_magic.policy.decide import verdict_of
    from skill_magic.spec import ImageFacts

    image = ImageFacts(
        id="sha256:" + "0" * 64,
        user=config.get("User", ""),
        working_dir=config.get("WorkingDir", ""),
        environment=tuple(config.get("Env", ())),
        volumes=tuple(config.get("Volumes", ())),
        labels=config.get("Labels", {}),
    )
    more = policy.check_image(decision.spec, image, machine, grants=decision.spec.grants)
    violations = (*decision.violations, *more)
    return replace(decision, violations=violations, verdict=verdict_of(violations))


def through_the_door(snippet: str) -> dict[str, Any]:
    """What ``skill check --json`` says of a row, and its exit code; the row has no circumstances."""
    text, _ = parts(snippet)
    manifest = Path("skills.toml")
    manifest.write_bytes(text)
    try:
        command = [sys.executable, "-m", "skill_magic", "check", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    finally:
        manifest.unlink()
    return {"code": done.returncode, "skills": json.loads(done.stdout or "null"), "stderr": done.stderr}


def main() -> None:
    """Read rows as ``[[id, snippet], ...]`` on stdin; those below "door" go through the command itself."""
    job = json.load(sys.stdin)
    for name, snippet in job.get("door", ()):
        print(json.dumps([f"door {name}", through_the_door(snippet)]), flush=True)
    for name, snippet in job["rows"]:
        try:
            answer = decide(snippet, job["engine"])
        except Exception as error:
            import traceback

            answer = {"verdict": "crash", "violations": [], "message": f"{error!r}\n{traceback.format_exc()}"}
        print(json.dumps([name, answer]), flush=True)


if __name__ == "__main__":
    main()
