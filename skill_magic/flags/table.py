"""Every option of ``docker run``, and what becomes of it in `extra_args`.

The names are those of docker/cli 28.5 (``docker run --help`` and the hidden aliases). A test compares the
table with the installed ``docker run --help``, so that an option which Docker adds is refused by name until
somebody has looked.

Classes:

- ``ok``: taken as it is, once its grammar is right; it can only make the container smaller or differ inside.
- ``checked``: taken for plain values; others are refused, for good or until a person grants them.
- ``ours``: the run belongs to this package (streams, name, removal): harmless spellings are ignored.
- ``grant``: needs a person's grant.
- ``never``: refused, and no grant lifts it.
- ``error``: has no meaning here (Windows, removed, help).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["ok", "checked", "ours", "grant", "never", "error"]


@dataclass(frozen=True)
class Option:
    """One option.

    :param name: long name without dashes; :param short: its letter, or an empty string.
    :param code: code of the violation when it is refused; empty where no value of it can be.
    :param reason: why it, or its dangerous values, are refused: follows option and value in a sentence.
    :param fix: the way out; a default stands in for an empty one.
    :param boolean: takes a value only with ``=``.
    :param many: Docker collects its values in a list; a scalar may stand once.
    :param alias: the name this hidden alias stands for.
    """

    name: str
    kind: Kind
    code: str = ""
    reason: str = ""
    fix: str = ""
    short: str = ""
    boolean: bool = False
    many: bool = False
    alias: str = ""


def _ok(name: str, short: str = "", *, boolean: bool = False, many: bool = False) -> Option:
    return Option(name, "ok", short=short, boolean=boolean, many=many)


def _checked(
    name: str,
    code: str = "",
    reason: str = "",
    fix: str = "",
    short: str = "",
    *,
    many: bool = False,
    alias: str = "",
) -> Option:
    return Option(name, "checked", code, reason, fix, short, many=many, alias=alias)


def _ours(
    name: str,
    code: str = "",
    reason: str = "",
    fix: str = "",
    short: str = "",
    *,
    boolean: bool = False,
    many: bool = False,
) -> Option:
    return Option(name, "ours", code, reason, fix, short, boolean, many)


def _grant(
    name: str,
    code: str,
    reason: str,
    short: str = "",
    *,
    boolean: bool = False,
    many: bool = True,
    alias: str = "",
) -> Option:
    return Option(name, "grant", code, reason, "", short, boolean, many, alias)


def _never(
    name: str, code: str, reason: str, fix: str = "", *, boolean: bool = False, many: bool = False
) -> Option:
    return Option(name, "never", code, reason, fix, boolean=boolean, many=many)


def _error(name: str, reason: str, *, boolean: bool = False) -> Option:
    return Option(name, "error", "option-unsupported", reason, "Remove it.", boolean=boolean)


# fmt: off
_OK = (
    _ok("blkio-weight"),
    _ok("cap-drop", many=True),
    _ok("cpu-shares", "c"),
    _ok("cpuset-cpus"),
    _ok("cpuset-mems"),
    _ok("domainname"),
    _ok("expose", many=True),
    _ok("hostname", "h"),
    _ok("init", boolean=True),
    _ok("memory-reservation"),
    _ok("memory-swappiness"),
    _ok("no-healthcheck", boolean=True),
    _ok("quiet", "q", boolean=True),
    _ok("read-only", boolean=True),
)

_NAMES = "gives a name to the machine itself, or to the address where clouds keep credentials."
_LOOKUPS = "sends name lookups to the machine itself or to a link-local address."
_OUTPUT = "Leave it out: the output comes to the notebook."
_CHECKED = (
    _checked("add-host", "host-alias", _NAMES, many=True),
    _checked("cap-add", "capability", "is a right of the machine's administrator.", "Run without it.",
             many=True),
    _checked("cgroupns", "host-namespace", "shows the container the machine's control groups.",
             "Leave it out."),
    _checked("cpu-period"),
    _checked("cpu-quota", "unlimited", "takes the limit on CPU time away."),
    _checked("cpus", "unlimited", "takes the limit on CPU time away.", "Write a number above 0."),
    _checked("dns", "host-alias", _LOOKUPS, many=True),
    _checked("dns-opt", many=True, alias="dns-option"),
    _checked("dns-option", many=True),
    _checked("dns-search", many=True),
    _checked("env", short="e", many=True),
    _checked("ipc", "host-namespace", "shares memory with the machine or with other containers.",
             "Use `private` or `none`."),
    _checked("label", "label", "is a label that other tools on this machine act on.",
             "Use a label of your own, such as team=ml.", "l", many=True),
    _checked("log-driver", "log-driver", "makes the engine itself send the output elsewhere, past `network`.",
             _OUTPUT),
    _checked("log-opt", "log-driver", "configures a log driver that this package does not use.", _OUTPUT,
             many=True),
    _checked("memory", "unlimited", "takes the limit on memory away.", "Write a size such as 512m.", "m"),
    _checked("memory-swap", "unlimited-swap", "lets the container swap beyond twice its memory."),
    _checked("mount", many=True),
    _checked("net", alias="network"),
    _checked("network", "network-option", "passes options to a network driver.", "Use `none` or `bridge`."),
    _checked("oom-score-adj", "oom-score", "makes the machine's own processes die before this container.",
             "Use a value from 0 to 1000."),
    _checked("pids-limit", "pids-limit", "lets the container start more processes than the machine can bear.",
             "Use a number from 1 to 4096."),
    _checked("pull"),
    _checked("security-opt", "security-opt", "switches off or changes a protection of the engine.",
             "Only `no-new-privileges` may be named, and it is on already.", many=True),
    _checked("shm-size", "limit-too-high", "is more shared memory than the container's memory limit.",
             "Raise `memory`, or ask for less."),
    _checked("stop-signal"),
    _checked("stop-timeout", "stop-timeout", "would keep a container alive that was told to stop.",
             "Use 0 to 60 seconds."),
    _checked("storage-opt", "storage-option", "configures the engine's storage.", "Only `size=` may be set.",
             many=True),
    _checked("sysctl", "sysctl", "is a kernel setting that reaches beyond the container.",
             "Leave it out, or use one that belongs to the container alone.", many=True),
    _checked("tmpfs", "tmpfs-option",
             "weakens a temporary file system or lets it grow past the memory limit.",
             "Use size, mode, uid, gid, ro, rw, exec, noexec, nosuid, nodev or noatime.", many=True),
    _checked("ulimit", "ulimit", "is a limit above what a container should have.",
             "Lower it or leave it out.", many=True),
    _checked("user", short="u"),
    _checked("volume", short="v", many=True),
)

_HEALTH = "health checks are off in a run that ends by itself."
_OURS = (
    _ours("attach", short="a", many=True),
    _ours("detach", "detach", "would leave a container running that nobody watches.",
          "Use `%skill --bg` to run in the background.", "d", boolean=True),
    _ours("detach-keys"),
    _ours("disable-content-trust", boolean=True),
    _ours("entrypoint"),
    _ours("gpus", "gpu-option", "chooses a driver or its options.",
          'Use the key `gpus` with "all", a count or ids.', many=True),
    _ours("health-cmd", reason=_HEALTH),
    _ours("health-interval", reason=_HEALTH),
    _ours("health-retries", reason=_HEALTH),
    _ours("health-start-interval", reason=_HEALTH),
    _ours("health-start-period", reason=_HEALTH),
    _ours("health-timeout", reason=_HEALTH),
    _ours("interactive", short="i", boolean=True),
    _ours("name", "container-name", "could pass for another container; this package names its containers.",
          "Leave it out."),
    _ours("platform"),
    _ours("rm", boolean=True),
    _ours("sig-proxy", boolean=True),
    _ours("tty", short="t", boolean=True),
    _ours("workdir", short="w"),
)

_IDENTITY = "lets the container take another's place on a shared network."
_PORTS = "opens a port of this machine to the network, usually past its firewall."
_BLOCK = "names a block device of this machine."
_GRANT = (
    _grant("blkio-weight-device", "block-device-limit", _BLOCK),
    _grant("device", "device", "hands a device of this machine to the container."),
    _grant("device-read-bps", "block-device-limit", _BLOCK),
    _grant("device-read-iops", "block-device-limit", _BLOCK),
    _grant("device-write-bps", "block-device-limit", _BLOCK),
    _grant("device-write-iops", "block-device-limit", _BLOCK),
    _grant("group-add", "group", "gives the container the rights of another group on the mounted files."),
    _grant("ip", "network-identity", _IDENTITY, many=False),
    _grant("ip6", "network-identity", _IDENTITY, many=False),
    _grant("link-local-ip", "network-identity", _IDENTITY),
    _grant("mac-address", "network-identity", _IDENTITY, many=False),
    _grant("net-alias", "network-identity", _IDENTITY, alias="network-alias"),
    _grant("network-alias", "network-identity", _IDENTITY),
    _grant("publish", "publish", _PORTS, "p"),
    _grant("publish-all", "publish", _PORTS, "P", boolean=True, many=False),
)

_HOST_FILE = "makes the docker command read a file of this machine."
_REAL_TIME = "can starve the rest of the machine of CPU time."
_NEVER = (
    _never("annotation", "annotation",
           "reaches the low-level runtime, where it can choose programs of the machine.", many=True),
    _never("cgroup-parent", "cgroup-parent", "takes the container out of its limits."),
    _never("cidfile", "host-file", "makes the docker command write a file of this machine."),
    _never("cpu-rt-period", "real-time", _REAL_TIME),
    _never("cpu-rt-runtime", "real-time", _REAL_TIME),
    _never("device-cgroup-rule", "device-rule", "opens raw devices, the disks among them.", many=True),
    _never("env-file", "host-file", _HOST_FILE, "List the variables under `environment`.", many=True),
    _never("label-file", "host-file", _HOST_FILE, many=True),
    _never("link", "link", "copies the other container's environment, passwords included.",
           "Use a network and a host name.", many=True),
    _never("oom-kill-disable", "oom-kill-disable", "hangs the machine when memory runs out.", boolean=True),
    _never("pid", "host-namespace", "shows processes outside the container and lets them be traced."),
    _never("privileged", "privileged", "gives the container the whole machine.", boolean=True),
    _never("restart", "restart", "starts the container again by itself, after a reboot too.",
           "Leave it out: a run ends."),
    _never("runtime", "runtime", "chooses the program that isolates the container."),
    _never("use-api-socket", "engine-socket", "hands over the engine and the caller's registry passwords.",
           boolean=True),
    _never("userns", "host-namespace", "makes container root the machine's root."),
    _never("uts", "host-namespace", "lets the container rename the machine."),
    _never("volume-driver", "volume-driver", "runs the code of a plugin on this machine."),
    _never("volumes-from", "volumes-from", "inherits whatever another container has mounted.",
           "List the volumes under `volumes`.", many=True),
)

_WINDOWS = "exists for Windows containers only."
_ERROR = (
    _error("cpu-count", _WINDOWS),
    _error("cpu-percent", _WINDOWS),
    _error("help", "is no option of a run.", boolean=True),
    _error("io-maxbandwidth", _WINDOWS),
    _error("io-maxiops", _WINDOWS),
    _error("isolation", _WINDOWS),
    _error("kernel-memory", "was removed from Docker."),
)
# fmt: on

OPTIONS: dict[str, Option] = {
    option.name: option for rows in (_OK, _CHECKED, _OURS, _GRANT, _NEVER, _ERROR) for option in rows
}
"""Long name → option; 107 of them."""

SHORT: dict[str, str] = {option.short: name for name, option in OPTIONS.items() if option.short}
"""Letter → long name."""
