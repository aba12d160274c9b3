"""What a RunSpec may be: every violation at once, each with a code, a reason and a way out.

Confinement is by origin. A project's manifest gets the notebook's directory, offline, as the caller, with none
of the caller's variables; each further thing needs a grant that names it, whatever else the skill says. The
bundled and the user's own manifests are trusted: what a grant could lift is not held against them. What no grant
can lift is refused to all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..findings import Violation
from ..flags.parse import judge
from . import accounts as policy_accounts
from . import image as policy_image
from . import image_paths
from . import mounts as policy_mounts
from . import network as policy_network
from . import user as policy_user
from . import ways as policy_ways
from .context import Context
from .image_paths import declared_volumes
from .paths import Judge
from .settings import Settings

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec

Rule = Callable[[Context], Iterator[Violation]]


def _wishes(context: Context) -> Iterator[Violation]:
    for wish in context.spec.wishes:
        yield judge(wish, context.spec)


RULES: tuple[Rule, ...] = (
    policy_image.reference,
    policy_mounts.sources,
    policy_mounts.targets,
    policy_mounts.working_dir,
    policy_mounts.nested,
    policy_ways.inside,
    policy_network.network,
    policy_network.host_variables,
    policy_network.loader,
    policy_network.gpus,
    policy_user.user,
    policy_user.given_groups,
    policy_user.added_groups,
    policy_user.strict,
    _wishes,
)


STRICT_GRANTS = frozenset(("network:bridge", "gpus"))
"""Under the strict profile the bundled and the user's own manifests need these as well."""


def check(
    spec: RunSpec,
    host: Host,
    *,
    grants: frozenset[str] = frozenset(),
    settings: Settings | None = None,
    judge: Judge | None = None,
) -> tuple[Violation, ...]:
    """Judge a run before the engine is asked anything.

    Reads ``spec``, ``host`` and the file system at the mounted paths; nothing else.

    :param grants: names of grants that a person gave this very skill.
    :param judge: shares one look at the file system with other checks; made for ``host`` and ``settings``.
    :returns: all violations in the order of the rules; an empty tuple where the run may go on.
    """
    context = Context(spec, host, settings or Settings(), judge)
    return _standing(context, (each for rule in RULES for each in rule(context)), grants)


def refuses_mounts(spec: RunSpec, host: Host, settings: Settings, judge: Judge) -> bool:
    """Whether a mount is refused whatever is guarded in it, so that nothing needs to be looked for there."""
    found = policy_mounts.sources(Context(spec, host, settings, judge))
    return any(each.kind == "refused" and not each.liftable for each in found)


def check_places(spec: RunSpec, host: Host, image: ImageFacts) -> tuple[Violation, ...]:
    """Judge once more, just before the start, what each mount, each volume of the image and the working directory need
    on the host: the engine makes what is not there, as root."""
    context = Context(spec, host, Settings())
    found = [each for rule in (policy_mounts.nested, policy_ways.inside) for each in rule(context)]
    return (*found, *declared_volumes(context, image))


def check_image(
    spec: RunSpec,
    image: ImageFacts,
    host: Host,
    *,
    grants: frozenset[str] = frozenset(),
    settings: Settings | None = None,
) -> tuple[Violation, ...]:
    """Judge the same run once its image is known: what the image brings along (user, directory,
    variables)."""
    context = Context(spec, host, settings or Settings())
    return _standing(context, policy_image.facts(context, image), grants)


def check_accounts(
    spec: RunSpec,
    passwd: str,
    group: str,
    host: Host,
    *,
    grants: frozenset[str] = frozenset(),
    settings: Settings | None = None,
    image_user: str = "",
) -> tuple[Violation, ...]:
    """Judge names of users and groups by the image's own /etc/passwd and /etc/group.

    :param image_user: the image's own user, for a run with ``user = "image"``.
    """
    context = Context(spec, host, settings or Settings())
    return _standing(context, policy_accounts.account(context, passwd, group, image_user), grants)


def check_volumes(
    spec: RunSpec,
    volumes: Mapping[str, Mapping[str, Any]],
    host: Host,
    *,
    settings: Settings | None = None,
) -> tuple[Violation, ...]:
    """Judge named volumes that exist already: one made with options can be any directory or device of the
    host.

    :param volumes: volume name → the engine's ``GET /volumes/NAME``.
    """
    context = Context(spec, host, settings or Settings())
    return _standing(context, policy_mounts.volumes(context, volumes), frozenset())


def check_links(
    spec: RunSpec, real: Mapping[str, str], host: Host, *, settings: Settings | None = None
) -> tuple[Violation, ...]:
    """Judge where paths of the container lead in its image.

    :param real: path → where it leads, for each path with a link in it.
    """
    context = Context(spec, host, settings or Settings())
    return _standing(context, image_paths.links(context, real), frozenset())


def _standing(context: Context, found: Iterator[Violation], grants: frozenset[str]) -> tuple[Violation, ...]:
    """Those of ``found`` that neither a grant nor the manifest's origin lifts, located, each once."""
    trusted = context.spec.origin != "project"
    kept: dict[tuple[str, str, str | None], Violation] = {}
    for each in found:
        if each.grant is not None and context.settings.forbids(each.grant):
            fix = "Whoever administers this machine has forbidden the grant (forbid_grants in policy.toml)."
            each = dataclasses.replace(each, grant=None, fix=fix)
        asked_of_all = context.settings.strict and each.grant in STRICT_GRANTS
        granted = each.grant is not None and _covered(each.grant, grants, context.settings)
        if granted or (each.grant is not None and trusted and not asked_of_all):
            continue
        if each.file is None and each.field not in ("", "directory", "mount"):  # those are ours
            each = dataclasses.replace(each, file=context.spec.file, line=context.spec.line_of(each.field))
        kept.setdefault((each.code, each.field, each.grant), each)
    return tuple(kept.values())


def _covered(grant: str, grants: frozenset[str], settings: Settings) -> bool:
    """Whether ``grant`` is among ``grants``; who may write to a path may read it."""
    if grant in grants:
        return True
    if not grant.startswith("mount:ro:"):
        return False
    wider = f"mount:rw:{grant.removeprefix('mount:ro:')}"
    return wider in grants and not settings.forbids(wider)
