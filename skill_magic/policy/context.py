"""What every rule of the policy is given, and how a rule words its refusal."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from ..findings import Violation, offer
from ..host import Host
from ..spec import Mount, RunSpec
from . import redact
from .paths import Judge
from .settings import Settings


class Context:
    """One check: the run, the machine, the settings in force."""

    def __init__(self, spec: RunSpec, host: Host, settings: Settings, judge: Judge | None = None) -> None:
        self.spec = spec
        self.host = host
        self.settings = settings
        self._judge = judge

    @cached_property
    def paths(self) -> Judge:
        """Judges host paths; made when the first path is judged."""
        return self._judge or Judge(self.host, home_project=self.settings.allow_home_project)

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        return redact.spec_secrets(self.spec, self.host)

    def shown(self, text: str) -> str:
        """``text`` as a person may see it: without the values of secrets."""
        return redact.hide(text, self._secrets)

    def path(self, mount: Mount, text: str) -> str:
        """A host path of ``mount`` (its own, or one in it) as a person may see it: of one that is not shown,
        what the manifest says."""
        if redact.mount(mount).source != mount.source:
            return mount.written or redact.MASK
        return self.shown(text)

    def place(self, mount: Mount) -> str:
        """The host path of ``mount`` as a grant names it: exactly, or as the manifest says it where it is not
        shown. What is literal in a manifest is no secret, even where some variable has the same value."""
        if redact.mount(mount).source != mount.source:
            return mount.written or redact.MASK
        return str(mount.source)

    def target(self, mount: Mount) -> str:
        """The container path of ``mount`` as a person may see it."""
        return self.shown(redact.mount(mount).target)

    def violation(
        self,
        code: str,
        field: str,
        value: str,
        reason: str,
        fix: str = "",
        *,
        grant: str | None = None,
        kind: Literal["invalid", "refused"] = "refused",
    ) -> Violation:
        """A refusal; where a grant can lift it, the way out is the command that asks for it."""
        if grant is not None:
            fix = offer(fix, self.spec.skill)
        return Violation(
            code, field, self.shown(value), self.shown(reason), self.shown(fix), grant, kind=kind
        )
