"""Decide: manifest, plan and policy in one step, without an engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..command.parse import Request
from ..errors import ManifestError, PolicyError, SpecError
from ..findings import Violation, without_offer
from . import redact
from .paths import Judge
from .protected import below

if TYPE_CHECKING:
    from ..host import Host
    from ..manifest.layers import Manifests, Skill
    from ..manifest.non_docker import NonDocker
    from ..mounts.guards import GuardsError
    from ..spec import ImageFacts, Mount, RunSpec
    from .settings import Settings

Verdict = Literal["allow", "trust", "deny", "error", "not-docker"]


def verdict_of(violations: tuple[Violation, ...]) -> Verdict:
    """A refusal that nothing lifts is worse than invalid input, and that is worse than one that a grant
    lifts. A skill that is none of Docker's has but that one thing to be said of it."""
    if violations and all(each.code == "not-docker" for each in violations):
        return "not-docker"
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
    :param other: the skill where it is none of Docker's (``not-docker``), of which nothing is decided.
    """

    skill: Skill | None
    spec: RunSpec | None
    violations: tuple[Violation, ...]
    verdict: Verdict
    name: str = ""
    other: NonDocker | None = None

    def as_dict(self) -> dict[str, object]:
        """The JSON form that ``skill check --json`` promises."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "violations": [each.as_dict() for each in self.violations],
        }

    def raise_for_verdict(self) -> None:
        """Nothing for "allow".

        :raises SpecError: for "error"; a ManifestError where the manifest's faults leave no skill, or it is none of
            Docker's.
        :raises PolicyError: for "deny" and "trust".
        """
        if self.verdict == "allow":
            return
        if self.other is not None:
            raise self.other.error()
        if self.verdict == "error" and self.skill is None:
            raise ManifestError(f"{self.name}: this skill cannot be used", self.violations)
        if self.verdict == "error":
            raise SpecError(f"{self.name}: this cannot be run as it is written", self.violations)
        if self.verdict == "trust":
            from .gravity import untrusted

            raise untrusted(
                f"{self.name} asks for more than its confinement",
                [(self.name, self.violations)],
                f"look at it and decide: `skill trust {self.name}`",
                f"each with its reason: `skill explain {self.name}`",
            )
        raise PolicyError(f"{self.name}: the policy refuses this run", self.violations)


def evaluate(
    skill: Skill,
    request: Request,
    host: Host,
    *,
    settings: Settings | None = None,
    grants: frozenset[str] | None = None,
    judge: Judge | None = None,
) -> Decision:
    """Plan ``request`` and judge the plan. Asks no engine.

    :param settings: default: what policy.toml says. :param grants: default: what a person granted this skill.
    :param judge: as for ``policy.check``.
    :raises SpecError: where policy.toml or the grants cannot be relied on.
    """
    from ..plan import draft as plan
    from . import rules as policy
    from . import settings as bounds
    from . import trust

    if settings is None:
        settings = bounds.load(host)
    if grants is None:
        grants = trust.grants_for(skill, host)
    judge = judge or Judge(host, home_project=settings.allow_home_project)
    draft = plan.draft(bounds.tightened(skill, settings), request, host)
    spec = bounds.bounded(draft.spec, settings)
    unguarded: tuple[Violation, ...] = ()
    if not policy.refuses_mounts(spec, host, settings, judge):  # a walk through a whole home takes seconds
        spec, unguarded = _placed(spec, skill, host, grants, judge)
    spec = replace(spec, grants=grants)
    judged = policy.check(spec, host, grants=grants, settings=settings, judge=judge)
    secrets = redact.spec_secrets(spec, host)
    found = [redact.violation(each, secrets) for each in (*draft.faults, *unguarded, *judged)]
    return _decision(skill, spec, found, skill.name)


def evaluate_named(
    manifests: Manifests,
    request: Request,
    host: Host,
    *,
    settings: Settings | None = None,
    judge: Judge | None = None,
) -> Decision:
    """:func:`evaluate` of the skill that ``request`` names. Where it has faults in its manifest, the decision
    is without skill and spec, and what the policy says of its sound part stands beside the faults.

    :raises SkillNotFound: as ``Manifests.find``. :raises ManifestError: where nothing of the skill is known.
    :raises SpecError: where policy.toml or the grants cannot be relied on.
    """
    name = request.skill
    partial = manifests.partial.get(name)
    if partial is None:
        return evaluate(manifests.find(name), request, host, settings=settings, judge=judge)
    faults = manifests.faults[name]
    judged = evaluate(partial, request, host, settings=settings, judge=judge).violations
    return _decision(None, None, (*faults, *_news(judged, partial, faults)), name)


def _news(judged: Iterable[Violation], partial: Skill, faults: Iterable[Violation]) -> Iterator[Violation]:
    """What is not about a value that the manifest's faults have taken out."""
    gone = {each.field for each in faults}
    if not partial.docker.image:
        gone.add("image")
    for each in judged:
        if each.field not in gone and each.field.partition("[")[0] not in gone:
            yield each


def _decision(
    skill: Skill | None, spec: RunSpec | None, violations: Iterable[Violation], name: str
) -> Decision:
    found = tuple(dict.fromkeys(violations))
    verdict = verdict_of(found)
    return Decision(skill, spec, without_offer(found) if verdict == "deny" else found, verdict, name)


def _placed(
    spec: RunSpec, skill: Skill, host: Host, grants: frozenset[str], judge: Judge
) -> tuple[RunSpec, tuple[Violation, ...]]:
    """``spec`` with the protections inside its mounts, and why it cannot have them; on an engine elsewhere,
    without the notebook's directory."""
    from ..mounts import mounts
    from .mounts import too_many

    if too_many(spec):
        return spec, ()  # the policy refuses it
    if host.engine is None or not host.engine.remote:
        _make_own(spec.mounts, host)
        try:
            guarded = mounts.complete(spec.mounts, host, files=(skill.file,), judge=judge)
        except mounts.GuardsError as error:
            return spec, (_unguarded(spec, error),)
        return replace(spec, mounts=guarded, notes=(*spec.notes, *_hidden(guarded))), ()
    if "remote-mounts" in grants:
        return spec, ()
    kept = tuple(each for each in spec.mounts if not (each.ours and each.kind == "bind"))
    note = "the engine runs on another machine: the notebook's directory is not mounted"
    return replace(spec, mounts=kept, notes=(*spec.notes, note)), ()


def _unguarded(spec: RunSpec, error: GuardsError) -> Violation:
    mount = redact.mount(next(each for each in spec.mounts if each.source == error.source))
    return Violation(
        "mount-guards",
        mount.field or "directory",
        mount.declared or str(mount.source),
        str(error),
        error.fix,
        file=spec.file if mount.field else None,
        line=spec.line_of(mount.field) if mount.field else None,
    )


def _make_own(mounts: Iterable[Mount], host: Host) -> None:
    """Make our own directories where a run could: what is there is hidden from it, what is not it could
    plant, grants among it."""
    writable = [each.source for each in mounts if each.kind == "bind" and not each.read_only and each.source]
    for directory in (host.config_dir, host.data_dir, host.cache_dir):
        real = os.path.realpath(directory)
        if not any(below(real, source) for source in writable):
            continue
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            fault = Violation(
                "own-directory",
                "directory",
                str(directory),
                f"A run could write there, and it cannot be made first: {error.strerror}.",
                "Make it yourself, or remove what is in its way.",
                kind="invalid",
            )
            raise SpecError("the directory of settings or grants cannot be protected", [fault]) from None


def _hidden(mounts: Iterable[Mount]) -> Iterator[str]:
    """A note of the credentials that a container does not get to see."""
    paths = [redact.mount(each).declared for each in mounts if each.kind == "mask"]
    if paths:
        more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
        yield f"hidden from the container: {', '.join(paths[:5])}{more}"


def check_image(spec: RunSpec, image: ImageFacts, host: Host) -> None:
    """The second look, once the image is on the machine and before a container is made.

    :raises PolicyError: where what the image brings along is refused.
    """
    from . import rules as policy
    from . import settings as bounds

    found = policy.check_image(spec, image, host, grants=spec.grants, settings=bounds.load(host))
    _refuse(spec, found, f"the policy refuses the image {spec.image}")


def with_image(
    decision: Decision, image: ImageFacts, host: Host, accounts: tuple[str, str] | None = None
) -> Decision:
    """``decision`` with what the policy says of the image, for the one who is to be asked about all of it.

    :param accounts: the image's /etc/passwd and /etc/group, where names of users have to be explained.
    """
    if decision.spec is None:
        return decision
    from . import rules as policy
    from . import settings as bounds

    spec = decision.spec
    settings = bounds.load(host)
    more = policy.check_image(spec, image, host, grants=spec.grants, settings=settings)
    if accounts is not None:
        more += policy.check_accounts(
            spec, *accounts, host, grants=spec.grants, settings=settings, image_user=image.user
        )
    return _decision(decision.skill, spec, (*decision.violations, *more), decision.name)


def check_volumes(spec: RunSpec, volumes: Mapping[str, Mapping[str, Any]], host: Host) -> None:
    """The third look, at a container that is made and not started: what only the engine knows.

    :param volumes: volume name → the engine's ``GET /volumes/NAME``, for each named volume of the run.
    :raises PolicyError: for a volume that is a directory of the host.
    """
    from . import rules as policy
    from . import settings as bounds

    _refuse(spec, policy.check_volumes(spec, volumes, host, settings=bounds.load(host)))


def check_links(spec: RunSpec, real: Mapping[str, str], host: Host) -> None:
    """Judge where paths of the container lead in its image.

    :param real: path → where it leads, for each path with a link in it.
    :raises PolicyError: for one that leads where nothing may be put.
    """
    from . import rules as policy
    from . import settings as bounds

    _refuse(spec, policy.check_links(spec, real, host, settings=bounds.load(host)))


def check_accounts(spec: RunSpec, passwd: str, group: str, host: Host, *, image_user: str = "") -> None:
    """Judge names of users and groups by the image's own /etc/passwd and /etc/group.

    :param image_user: the image's own user, for a run with ``user = "image"``.
    :raises PolicyError: for a name that stands for root, for nobody, or for somebody whom no grant names.
    """
    from . import rules as policy
    from . import settings as bounds

    settings = bounds.load(host)
    found = policy.check_accounts(
        spec, passwd, group, host, grants=spec.grants, settings=settings, image_user=image_user
    )
    _refuse(spec, found, f"the policy refuses the accounts of the image {spec.image}")


def _refuse(spec: RunSpec, found: tuple[Violation, ...], what: str = "the policy refuses this run") -> None:
    if not found:
        return
    if all(each.liftable for each in found):
        from .gravity import first_reason, untrusted

        hint = f"look at it and decide: `skill trust {spec.skill}`"
        # `explain` looks at no image, so that it would not tell of these.
        raise untrusted(f"{spec.skill}: {what}", [(spec.skill, found)], hint, first_reason(found))
    if verdict_of(found) == "deny":
        found = without_offer(found)
    raise PolicyError(f"{spec.skill}: {what}", found)


def check_all(host: Host, explicit: Path | None = None, path: Path | None = None) -> list[Decision]:
    """Decide every skill of a project, as ``skill check [PATH]`` does: of its manifest where it has one,
    else of the user's and the bundled one. Each is judged as if it was called with no arguments.

    :param explicit: a manifest that takes the project's place.
    :param path: the project: a directory (as if the notebook was there), or a manifest.
    :returns: one decision per skill; one named "" for a fault of a whole file or of the settings.
    """
    from ..manifest import layers as manifest

    host, explicit = _place(host, explicit, path)
    try:
        manifests = manifest.load(host, explicit=explicit)
        settings = _settings(host)
    except SpecError as error:
        return [_faulty("", error.violations, str(error))]
    judge = Judge(host, home_project=settings.allow_home_project)
    first = manifests.files[0]
    alone = first not in (manifest.BUNDLED, host.config_dir / manifest.NAMES[0])
    decisions = []
    known: Mapping[str, Skill | NonDocker] = {**manifests.skills, **manifests.others}
    for name in sorted({*known, *manifests.faults}):
        faults = manifests.faults.get(name, ())
        files = {fault.file for fault in faults} or {known[name].file}
        if alone and first not in files:
            continue
        if name in manifests.others:
            decisions.append(not_docker(manifests.others[name]))
            continue
        try:
            decisions.append(
                evaluate_named(manifests, Request(name), host, settings=settings, judge=judge)
                if name
                else _faulty(name, faults)
            )
        except SpecError as error:
            decisions.append(_faulty(name, (*faults, *error.violations), str(error)))
    return decisions


def not_docker(other: NonDocker) -> Decision:
    """The place of a skill in a list of decisions that is none of Docker's."""
    return Decision(None, None, (), "not-docker", other.name, other)


def _settings(host: Host) -> Settings:
    from . import settings

    return settings.load(host)


def _place(host: Host, explicit: Path | None, path: Path | None) -> tuple[Host, Path | None]:
    """The host as it is for a project at ``path``, and the manifest where ``path`` names one."""
    if path is None:
        return host, explicit
    real = Path(os.path.realpath(host.directory / path))
    directory = host.directory
    if real.is_dir():
        directory = real
    else:
        explicit = real
        if directory != real.parent and real.parent not in directory.parents:
            directory = real.parent
    return host.at(directory), explicit


def _faulty(name: str, faults: Sequence[Violation], message: str = "") -> Decision:
    found = tuple(dict.fromkeys(faults)) or (
        Violation("manifest-missing", "manifest", name, f"{message}.", "Name a manifest.", kind="invalid"),
    )
    return Decision(None, None, found, verdict_of(found), name)
