"""Network, and what of the host's environment could leave through it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ..findings import Violation
from .context import Context
from .redact import standard_name

_LOADER = ("LD_",)
_NO_GPU = frozenset(("", "void", "none"))


def network(context: Context) -> Iterator[Violation]:
    """``none`` is anybody's; every network needs a grant; no namespace is ever shared."""
    name, where = context.spec.network, context.spec.network_field or "network"
    lowered, strict = name.lower(), context.settings.strict
    if name == "none":
        return
    if lowered == "host" or lowered.startswith(("container:", "ns:", "service:")):
        yield context.violation(
            "network-namespace",
            where,
            name,
            "The network of the host or of another container is never shared.",
            'Write network = "bridge" for a network of its own.',
        )
    elif name == "bridge":
        if strict or name not in context.settings.networks:
            whose = (
                "The strict profile asks before a skill"
                if strict
                else "A person is asked before a project's skill"
            )
            yield context.violation(
                "network-bridge",
                where,
                name,
                f"{whose} gets a network: the internet, your local network, and what listens there.",
                'Write network = "none", or',
                grant="network:bridge",
            )
    elif name not in context.settings.networks:
        near = difflib.get_close_matches(lowered, ("bridge", "none"), 1, 0.7)
        meant = f'Did you mean "{near[0]}"? Else leave' if near else "Leave"
        yield context.violation(
            "network-name",
            where,
            name,
            f"The network {name} reaches the containers of another project.",
            f"{meant} network out, or list it under networks in policy.toml, or",
            grant=f"network:{name}",
        )


def host_variables(context: Context) -> Iterator[Violation]:
    """A variable of the host is handed out only where a person says so, whatever the network is: a run without
    one can leave the value where a run with one finds it."""
    spec = context.spec
    seen: set[str] = set()
    sources = [(each.names, each.field or "environment") for each in spec.environment if not each.ours]
    sources += [(each.names, each.field or "volumes") for each in spec.mounts if not each.ours]
    sources.append((spec.user_names, spec.user_field or "user"))
    for names, where in sources:
        for name in names:
            if standard_name(name) or name in seen:
                continue
            seen.add(name)
            yield context.violation(
                "env-host",
                where,
                f"${{{name}}}",
                f"The value of your variable {name} would be handed to the container.",
                "Leave it out, or",
                grant=f"env:{name}",
            )


def loader(context: Context) -> Iterator[Violation]:
    """The NVIDIA runtime's hook runs on the host with the container's variables (CVE-2025-23266)."""
    for variable in context.spec.environment:
        if variable.ours:
            continue
        name = variable.name.upper()
        if context.spec.gpus is not None and name.startswith(_LOADER):
            yield context.violation(
                "gpu-loader",
                variable.field or "environment",
                f"{variable.name}=…",
                f"{variable.name} reaches the hook that prepares the GPU, which runs on the host as root.",
                "Set it inside the container, with a wrapper as entrypoint, or",
                grant=f"gpu-env:{variable.name}",
            )
        elif name.startswith("NVIDIA_") and not (
            name == "NVIDIA_VISIBLE_DEVICES" and variable.value in _NO_GPU
        ):
            yield context.violation(
                "gpu-variable",
                variable.field or "environment",
                f"{variable.name}=…",
                f"{variable.name} tells the GPU runtime what to hand over, past the key gpus.",
                "Use the key gpus, or",
                grant=f"gpu-env:{variable.name}",
            )


def gpus(context: Context) -> Iterator[Violation]:
    """In the strict profile GPUs need a grant: their driver is a large part of the kernel."""
    if context.spec.gpus is not None and context.settings.strict:
        yield context.violation(
            "gpus",
            context.spec.gpus.field or "gpus",
            "gpus",
            "The strict profile asks before a skill gets a GPU.",
            "Leave gpus out, or",
            grant="gpus",
        )
