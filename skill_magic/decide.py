"""Decide: manifest, plan and policy in one step, without an engine."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .command import Request
from .errors import PolicyError, SpecError
from .findings import Violation

if TYPE_CHECKING:
    from .host import Host
    from .manifest import Skill
    from .settings import Settings
    from .spec import ImageFacts, RunSpec

Verdict = Literal["allow", "trust", "deny", "error"]


def verdict_of(violations: tuple[Violation, ...]) -> Verdict:
    """A refusal that nothing lifts is worse than invalid input, and that is worse than one that a grant lifts."""
    if any(each.kind == "refused" and not each.liftable for each in violations):
        return "deny"
    if any(each.kind == "invalid" for each in violations):
        return "error"
    return "trust" if violations else "allow"


@dataclass(frozen=True)
class Decision:
    """What becomes of one request.

    :param skill: ``None`` where the manifest's faults leave none.
    :param spec: the run as planned, within the settings' bounds; ``None`` where the faults leave none.
    """

    skill: Skill | None
    spec: RunSpec | None
    violations: tuple[Violation, ...]
    verdict: Verdict
    name: str = ""

    def as_dict(self) -> dict[str, object]:
        """The JSON form that ``skill check --json`` promises."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "violations": [each.as_dict() for each in self.violations],
        }

    def raise_for_verdict(self) -> None:
        """Nothing for "allow".

        :raises SpecError: for "error". :raises PolicyError: for "deny" and "trust".
        """
        if self.verdict == "allow":
            return
        if self.verdict == "error":
            raise SpecError(f"{self.name}: this cannot be run as it is written", self.violations)
        if self.verdict == "trust":
            raise PolicyError(
                f"{self.name} asks for more than its confinement",
                self.violations,
                f"look at it and decide: skill trust {self.name}",
            )
        raise PolicyError(f"{self.name}: the policy refuses this run", self.violations)


def evaluate(
    skill: Skill,
    request: Request,
    host: Host,
    *,
    settings: Settings | None = None,
    grants: frozenset[str] | None = None,
) -> Decision:
    """Plan ``request`` and judge the plan. Asks no engine.

    :param settings: default: what policy.toml says. :param grants: default: what a person granted this skill.
    :raises SpecError: where policy.toml or the grants cannot be relied on.
    """
    from . import plan, policy, trust
    from . import settings as settings_module

    if settings is None:
        settings = settings_module.load(host)
    if grants is None:
        grants = trust.grants_for(skill, host) if skill.origin == "project" else frozenset()
    draft = plan.draft(skill, request, host)
    spec = draft.spec
    found = tuple(draft.faults)
    if spec is not None:
        spec = settings_module.bounded(spec, settings)
        found += policy.check(spec, host, grants=grants, settings=settings)
    found = tuple(dict.fromkeys(found))
    return Decision(skill, spec, found, verdict_of(found), skill.name)


def check_image(spec: RunSpec, image: ImageFacts, host: Host) -> None:
    """The second look, once the image is on the machine and before a container is made.

    :raises PolicyError: where what the image brings along is refused.
    """
    raise NotImplementedError


def check_all(host: Host, explicit: Path | None = None, path: Path | None = None) -> list[Decision]:
    """Decide every skill of a manifest, as ``skill check [PATH]`` does."""
    raise NotImplementedError


__all__ = ["Decision", "Verdict", "check_all", "check_image", "dataclasses", "evaluate", "verdict_of"]
