"""Capabilities, labels, kernel settings and security options of `extra_args`."""

from __future__ import annotations

import re

from ..plan.quantities import size
from .parse import Flag, parse_bool
from .rules import GRANTABLE_CAPABILITIES
from .values import Reader, Wanted

# fmt: off

#: Docker's own default set, less those that reach other containers or the machine's files.
FREE_CAPABILITIES = frozenset(
    ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
)

#: capabilities(7), Linux 6.x.
CAPABILITIES = FREE_CAPABILITIES | GRANTABLE_CAPABILITIES | frozenset(
    ("AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE",
     "DAC_READ_SEARCH", "IPC_LOCK", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE",
     "MKNOD", "NET_ADMIN", "NET_BROADCAST", "PERFMON", "SETFCAP", "SETPCAP", "SYSLOG", "SYS_ADMIN",
     "SYS_BOOT", "SYS_MODULE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME",
     "SYS_TTY_CONFIG", "WAKE_ALARM")
)

#: The sysctls that Kubernetes' "baseline" pod security standard calls safe: each belongs to one container.
SAFE_SYSCTLS = frozenset(
    ("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
     "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
     "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
     "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem")
)

#: Beginnings of labels that proxies, updaters, schedulers and engines' tools act on; compared without case.
#: A word without a separator at its end is met whole (`swag`, `swag_port`, not `swagger`).
ACTED_ON = (
    "autoheal", "caddy", "cattle.", "chadburn.", "co.elastic.", "com.centurylinklabs.", "com.datadoghq.",
    "com.docker.", "com.github.", "com.gitlab.", "coolify.", "desktop.docker.", "deunhealth", "devcontainer.",
    "diun.", "docker-volume-backup", "dokku", "haproxy.", "homepage.", "io.balena.", "io.containerd.",
    "io.containers.", "io.cri-", "io.docker.", "io.kubernetes.", "io.podman.", "io.portainer.", "io.rancher.",
    "lazydocker", "nginx-proxy", "nomad", "ofelia.", "org.docker", "org.testcontainers", "ouroboros",
    "prometheus.", "sablier", "skill-magic", "skill_magic", "swag", "swarm.cronjob", "traefik", "vsch.",
    "wud.",
)
# fmt: on

_ACTED_ON = re.compile(
    "|".join(re.escape(word) + ("" if word.endswith((".", "-")) else r"(?=[._/-]|\Z)") for word in ACTED_ON)
)
_SELINUX_TYPES = re.compile(r"type:container_(init_|kvm_)?t")


def capability(text: str) -> str:
    """Without its prefix, in upper case, as Docker reads it: `` cap_chown`` is CHOWN."""
    return text.strip().upper().removeprefix("CAP_")


def _cap_add(wanted: Wanted, flag: Flag) -> None:
    name = capability(flag.value)
    if name in FREE_CAPABILITIES:
        wanted.add("cap_add", [name])
    elif name == "ALL" or name in CAPABILITIES:
        wanted.wish(flag, name)
    else:
        wanted.invalid(flag, "It is not a capability of Linux.", "See capabilities(7) for the names.")


def _cap_drop(wanted: Wanted, flag: Flag) -> None:
    name = capability(flag.value)
    if name == "ALL" or name in CAPABILITIES:
        wanted.add("cap_drop", [name])
    else:
        wanted.invalid(flag, "It is not a capability of Linux.", "See capabilities(7) for the names.")


def _label(wanted: Wanted, flag: Flag) -> None:
    key, _, value = flag.value.partition("=")
    key = key.lstrip()
    if not key or not key.isprintable() or any(character.isspace() for character in key):
        wanted.invalid(flag, "It is not a label.", "Write name=value, without spaces in the name.")
    elif not value.isprintable():
        wanted.invalid(flag, "It has a control character in its value.", "Write it on one line.")
    elif _ACTED_ON.match(key.casefold()):
        wanted.wish(flag)
    else:
        wanted.put("labels", key, value, flag)


def _security_opt(wanted: Wanted, flag: Flag) -> None:
    # Docker takes `=` and the older `:`, and of several the last one counts; so each is looked at.
    name = re.split("[=:]", flag.value, maxsplit=1)[0]
    value = flag.value[len(name) + 1 :]
    if name == "no-new-privileges":
        truth = name == flag.value or parse_bool(value)
        if truth is None:
            wanted.invalid(flag, "It is neither true nor false.", "It is on already; leave it out.")
        elif not truth:
            wanted.wish(flag)
    elif name == "label" and _SELINUX_TYPES.fullmatch(value):
        wanted.set("selinux_type", value.removeprefix("type:"), flag)
    elif not flag.value.strip():
        wanted.invalid(flag, "It is empty.", "Leave it out.")
    else:
        wanted.wish(flag)


def _storage_opt(wanted: Wanted, flag: Flag) -> None:
    key, equals, value = flag.value.partition("=")
    if not equals or (key == "size" and not size(value)):
        wanted.invalid(flag, "It is not size=SIZE.", "Write size=10g.")
    elif key != "size":
        wanted.wish(flag)
    else:
        wanted.put("storage_opt", key, value, flag)


def _sysctl(wanted: Wanted, flag: Flag) -> None:
    key, equals, value = flag.value.partition("=")
    if not equals or not key or not value or not value.isprintable():
        wanted.invalid(flag, "It is not NAME=VALUE.", "Write it as in net.ipv4.tcp_syncookies=1.")
    elif key in SAFE_SYSCTLS:
        wanted.put("sysctls", key, value, flag)
    else:
        wanted.wish(flag)


READERS: dict[str, Reader] = {
    "cap-add": _cap_add,
    "cap-drop": _cap_drop,
    "label": _label,
    "security-opt": _security_opt,
    "storage-opt": _storage_opt,
    "sysctl": _sysctl,
}
