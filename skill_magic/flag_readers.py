"""One reader per option of `extra_args` that takes some values and not others."""

from __future__ import annotations

import ipaddress
import re

from .flag_mounts import mount, tmpfs, volume
from .flag_rules import GRANTABLE_CAPABILITIES, GRANTABLE_ULIMITS
from .flag_table import OPTIONS
from .flag_values import Reader, Wanted, environment_item
from .flags import Flag, parse_bool
from .quantities import integer, is_nothing, size
from .spec import Ulimit

#: Docker's own default set, less those that reach other containers or the host's files.
FREE_CAPABILITIES = frozenset("CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE".split())

#: capabilities(7), Linux 6.x.
CAPABILITIES = (
    FREE_CAPABILITIES
    | GRANTABLE_CAPABILITIES
    | frozenset(
        "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE DAC_READ_SEARCH IPC_LOCK IPC_OWNER LEASE "
        "LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BROADCAST PERFMON SETFCAP SETPCAP SYSLOG SYS_ADMIN "
        "SYS_BOOT SYS_MODULE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM".split()
    )
)

#: The sysctls that Kubernetes' "baseline" pod security standard calls safe: each belongs to one container.
SAFE_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    )
)

#: Prefixes of labels that proxies, updaters, schedulers and engines' tools act on; compared without case.
ACTED_ON = (
    "skill-magic", "skill_magic", "com.docker.", "io.docker.", "org.docker", "desktop.docker.", "io.podman.",
    "io.containers.", "io.containerd.", "io.kubernetes.", "io.cri-", "io.rancher.", "io.balena.", "com.github.",
    "com.gitlab.", "org.testcontainers", "traefik", "com.centurylinklabs.", "caddy", "ofelia.", "chadburn.", "diun.",
    "autoheal", "deunhealth", "wud.", "ouroboros", "sablier", "swarm.cronjob", "docker-volume-backup", "nginx-proxy",
    "io.portainer.", "coolify.", "devcontainer.", "vsch.", "haproxy.", "swag", "co.elastic.", "com.datadoghq.",
    "prometheus.", "logging.", "homepage.", "dokku", "cattle.", "mesos", "nomad", "lazydocker", "flannel",
)  # fmt: skip

_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_PORTS = r"[0-9]{1,5}(-[0-9]{1,5})?"
_EXPOSE = re.compile(_PORTS + r"(/(tcp|udp|sctp))?")
_PUBLISH = re.compile(rf"((\[[0-9A-Fa-f:.]*\]|[0-9.]*):)?(({_PORTS})?:)?{_PORTS}(/(tcp|udp|sctp))?")
_CPU_LIST = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*")
_ALIAS_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_GO_DURATION = re.compile(r"0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+")
_NETWORK_LONG = re.compile(r"\w+=\w+", re.ASCII)
_ULIMITS = (
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)
_MOST_FILES = 1 << 20


def _number(wanted: Wanted, flag: Flag, least: int, most: int) -> int | None:
    number = integer(flag.value)
    if number is None or not least <= number <= most:
        wanted.invalid(flag, "is out of range.", f"Write a whole number from {least} to {most}.")
        return None
    return number


def _limit(name: str, least: int, most: int) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        number = _number(wanted, flag, least, most)
        if number is not None:
            wanted.limit(name, number, flag)

    return read


def _ask(name: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        wanted.ask(name, flag)

    return read


def _nothing(wanted: Wanted, flag: Flag) -> None:
    """A word copied from a `docker run` line that a run does by itself, or has no use for."""


def _field(name: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        wanted.set(name, flag.value == "true", flag)

    return read


def _must_be(truth: str, reason: str, fix: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        if flag.value != truth:
            wanted.invalid(flag, reason, fix)

    return read


def _use_key(key: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        wanted.invalid(flag, f"is the manifest's key `{key}`.", f"Write {key} = … in the manifest instead.")

    return read


def _cpuset(name: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        if _CPU_LIST.fullmatch(flag.value) is None:
            wanted.invalid(flag, "is not a list of numbers.", "Write a list such as 0,1 or 0-3.")
        else:
            wanted.limit(name, flag.value, flag)

    return read


def _hostname(name: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        labels = flag.value.split(".")
        if len(flag.value) > (63 if name == "hostname" else 253) or not all(
            len(label) <= 63 and _HOSTNAME.fullmatch(label) for label in labels
        ):
            wanted.invalid(flag, "is not a host name (RFC 1123).", "Use letters, digits and hyphens.")
        else:
            wanted.set(name, flag.value, flag)

    return read


def _sized(name: str) -> Reader:
    """A size that `plan` compares with the memory limit."""

    def read(wanted: Wanted, flag: Flag) -> None:
        count = size(flag.value)
        if not count:
            wanted.invalid(flag, "is not a size.", "Write a size such as 512m or 2g.")
        else:
            wanted.limit(name, count, flag)

    return read


def _memory(wanted: Wanted, flag: Flag) -> None:
    if is_nothing(flag.value):
        wanted.wish(flag)
    else:
        wanted.ask("memory", flag)


def _cpus(wanted: Wanted, flag: Flag) -> None:
    if re.fullmatch(r"[+-]?0*\.?0*([eE][+-]?[0-9]+|/0*[1-9][0-9]*)?", flag.value):
        wanted.wish(flag)
    else:
        wanted.ask("cpus", flag)


def _memory_swap(wanted: Wanted, flag: Flag) -> None:
    count = -1 if flag.value == "-1" else size(flag.value)
    if count is None:
        wanted.invalid(flag, "is not a size.", "Write a size such as 2g: memory and swap together.")
    elif count <= 0:
        wanted.wish(flag)
    else:
        wanted.limit("memory_swap", count, flag)


def _cpu_quota(wanted: Wanted, flag: Flag) -> None:
    number = integer(flag.value)
    if number is not None and number <= 0:
        wanted.wish(flag)
    elif number is None or number < 1000:
        wanted.invalid(flag, "is out of range.", "Write microseconds, 1000 or more.")
    else:
        wanted.limit("cpu_quota", number, flag)


def _bounded(name: str, least: int, most: int, into: str) -> Reader:
    """A number whose upper bound protects the machine: outside is refused, not merely wrong."""

    def read(wanted: Wanted, flag: Flag) -> None:
        number = integer(flag.value)
        if number is None:
            wanted.invalid(flag, "is not a whole number.", f"Write a number from {least} to {most}.")
        elif not least <= number <= most:
            wanted.wish(flag)
        elif into == "limits":
            wanted.limit(name, number, flag)
        else:
            wanted.set(name, number, flag)

    return read


def _oom_score(wanted: Wanted, flag: Flag) -> None:
    number = integer(flag.value)
    if number is not None and number < 0:
        wanted.wish(flag)
    elif (number := _number(wanted, flag, 0, 1000)) is not None:
        wanted.limit("oom_score_adj", number, flag)


def _swappiness(wanted: Wanted, flag: Flag) -> None:
    if integer(flag.value) != -1:  # -1 is Docker's word for "leave it"
        _limit("memory_swappiness", 0, 100)(wanted, flag)


def capability(text: str) -> str:
    """Without the prefix, in upper case, as Docker reads it: `` cap_chown`` is CHOWN."""
    return text.strip().upper().removeprefix("CAP_")


def _cap_add(wanted: Wanted, flag: Flag) -> None:
    name = capability(flag.value)
    if name in FREE_CAPABILITIES:
        wanted.add("cap_add", [name])
    elif name == "ALL" or name in CAPABILITIES:
        wanted.wish(flag, name)
    else:
        wanted.invalid(flag, "is not a capability of Linux.", "See capabilities(7) for the names.")


def _cap_drop(wanted: Wanted, flag: Flag) -> None:
    name = capability(flag.value)
    if name == "ALL" or name in CAPABILITIES:
        wanted.add("cap_drop", [name])
    else:
        wanted.invalid(flag, "is not a capability of Linux.", "See capabilities(7) for the names.")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _of_the_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Loopback, link-local (clouds' metadata), unspecified, multicast, Docker's usual gateways, AWS's IPv6 metadata."""
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or str(address)
        in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.168.65.254", "192.168.65.2")
        or (
            address.version == 4
            and re.fullmatch(r"172\.(1[6-9]|2[0-9]|3[01])\.0\.1", str(address)) is not None
        )
    )


def _add_host(wanted: Wanted, flag: Flag) -> None:
    separator = "=" if "=" in flag.value else ":"
    name, found, target = flag.value.partition(separator)
    if target.startswith("[") and target.endswith("]"):
        target = target[1:-1]
    address = _address(target)
    if not found or _ALIAS_NAME.fullmatch(name) is None or (address is None and target != "host-gateway"):
        wanted.invalid(flag, "is not NAME:ADDRESS.", "Write a host name and a numeric address: db:10.0.0.5.")
    elif address is None or _of_the_machine(address):
        wanted.wish(flag)
    else:
        wanted.add("extra_hosts", [f"{name}:{target}"])


def _dns(wanted: Wanted, flag: Flag) -> None:
    address = _address(flag.value)
    if address is None:
        wanted.invalid(flag, "is not an IP address.", "Write the server's numeric address.")
    elif _of_the_machine(address):
        wanted.wish(flag)
    else:
        wanted.add("dns", [flag.value])


def _word(name: str, pattern: str, fix: str) -> Reader:
    compiled = re.compile(pattern)

    def read(wanted: Wanted, flag: Flag) -> None:
        if compiled.fullmatch(flag.value) is None:
            wanted.invalid(flag, "is not understood.", fix)
        else:
            wanted.add(name, [flag.value])

    return read


def _checked_wish(pattern: re.Pattern[str], fix: str) -> Reader:
    """An option that needs a grant, once its grammar is right."""

    def read(wanted: Wanted, flag: Flag) -> None:
        if pattern.fullmatch(flag.value) is None:
            wanted.invalid(flag, "is not understood.", fix)
        else:
            wanted.wish(flag)

    return read


def _one_of(harmless: str, refused: str = "") -> Reader:
    """Words that change nothing; ``refused`` begins those that are dangerous; the rest has no meaning."""

    def read(wanted: Wanted, flag: Flag) -> None:
        if flag.value in harmless.split():
            return
        if not refused or flag.value.startswith(tuple(refused.split())):
            wanted.wish(flag)
        else:
            wanted.invalid(flag, "is not understood.", f"Use {' or '.join(harmless.split())}.")

    return read


def _ipc(wanted: Wanted, flag: Flag) -> None:
    if flag.value in ("private", "none"):
        wanted.set("ipc", flag.value, flag)
    else:
        _one_of("private none", "host shareable container")(wanted, flag)


def _label(wanted: Wanted, flag: Flag) -> None:
    key, _, value = flag.value.partition("=")
    key = key.lstrip()
    if not key or any(character.isspace() or not character.isprintable() for character in key):
        wanted.invalid(flag, "is not a label.", "Write name=value, without spaces in the name.")
    elif not all(character.isprintable() for character in value):
        wanted.invalid(flag, "has a control character in its value.", "Write it on one line.")
    elif key.casefold().startswith(ACTED_ON):
        wanted.wish(flag)
    else:
        wanted.put("labels", key, value, flag)


def _log_opt(wanted: Wanted, flag: Flag) -> None:
    key, equals, value = flag.value.partition("=")
    if not equals or not value:
        wanted.invalid(flag, "is not NAME=VALUE.", "Leave it out: the output comes to the notebook.")
    elif key not in ("max-size", "max-file", "compress"):
        wanted.wish(flag)


def _network(wanted: Wanted, flag: Flag) -> None:
    if _NETWORK_LONG.search(flag.value) is None:
        wanted.ask("network", flag)
        return
    # The long form, ``name=bridge,alias=db``; Docker lower-cases all of it, so that NAME=HOST is the host's network.
    name = ""
    for part in flag.value.lower().split(","):
        key, equals, value = (piece.strip() for piece in part.strip('" ').partition("="))
        if not equals:
            wanted.invalid(flag, "is not understood.", "Use `none` or `bridge`.")
        elif key == "name":
            name = value
        elif key in ("ip", "ip6", "link-local-ip", "mac-address"):
            wanted.wish(flag, value, key)
        elif key == "alias":
            wanted.wish(flag, value, "network-alias")
        else:
            wanted.wish(flag)
    if not name:
        wanted.invalid(flag, "names no network.", "Use `none` or `bridge`.")
        return
    wanted.ask("network", Flag(flag.option, name, flag.field, flag.written))


def _pull(wanted: Wanted, flag: Flag) -> None:
    if flag.value in ("missing", "never", "always"):
        wanted.set("pull", flag.value, flag)
    else:
        wanted.invalid(flag, "is not understood.", "Use missing, never or always.")


def _security_opt(wanted: Wanted, flag: Flag) -> None:
    # Docker takes `=` and the older `:`, and of several the last one counts; so each is looked at.
    name, separator, value = re.fullmatch(r"(?s)([^=:]*)([=:]?)(.*)", flag.value).groups()  # type: ignore[union-attr]
    if name == "no-new-privileges":
        truth = parse_bool(value) if separator else True
        if truth is None:
            wanted.invalid(flag, "is neither true nor false.", "It is on already; leave it out.")
        elif not truth:
            wanted.wish(flag)
    elif name == "label" and re.fullmatch(r"type:container_(init_|kvm_)?t", value):
        wanted.set("selinux_type", value.removeprefix("type:"), flag)
    elif not flag.value.strip():
        wanted.invalid(flag, "is empty.", "Leave it out.")
    else:
        wanted.wish(flag)


def _stop_signal(wanted: Wanted, flag: Flag) -> None:
    numbers = {"1": "HUP", "2": "INT", "3": "QUIT", "9": "KILL", "10": "USR1", "12": "USR2", "15": "TERM"}
    name = flag.value.upper().removeprefix("SIG")
    name = numbers.get(name, name)
    if name in numbers.values():
        wanted.set("stop_signal", f"SIG{name}", flag)
    else:
        wanted.invalid(
            flag, "is no signal that ends a program.", "Use TERM, INT, QUIT, HUP, USR1, USR2 or KILL."
        )


def _storage_opt(wanted: Wanted, flag: Flag) -> None:
    key, equals, value = flag.value.partition("=")
    if not equals or (key == "size" and not size(value)):
        wanted.invalid(flag, "is not size=SIZE.", "Write size=10g.")
    elif key != "size":
        wanted.wish(flag)
    else:
        wanted.put("storage_opt", key, value, flag)


def _sysctl(wanted: Wanted, flag: Flag) -> None:
    key, equals, value = flag.value.partition("=")
    if not equals or not key or not value.isprintable() or not value:
        wanted.invalid(flag, "is not NAME=VALUE.", "Write it as in net.ipv4.tcp_syncookies=1.")
    elif key in SAFE_SYSCTLS:
        wanted.put("sysctls", key, value, flag)
    else:
        wanted.wish(flag)


def _ulimit(wanted: Wanted, flag: Flag) -> None:
    name, equals, text = flag.value.partition("=")
    numbers = [integer(part) for part in text.split(":")]
    soft, hard = numbers[0], numbers[-1]
    if not equals or name not in _ULIMITS or len(numbers) > 2 or soft is None or hard is None:
        wanted.invalid(flag, "is not NAME=SOFT[:HARD].", "Write it as in nofile=1024:4096; see setrlimit(2).")
        return
    if min(soft, hard) < -1 or (hard != -1 and (soft > hard or soft == -1)):
        wanted.invalid(
            flag, "has a soft limit above its hard one.", "Raise the second number or lower the first."
        )
        return
    harmless = {
        "core": (soft, hard) == (0, 0),
        "nofile": -1 not in (soft, hard) and hard <= _MOST_FILES,
        "nice": False,
        "rtprio": (soft, hard) == (0, 0),
        "rttime": False,
    }
    if name in GRANTABLE_ULIMITS or not harmless.get(name, True):
        wanted.wish(flag)
    elif any(limit.name == name and (limit.soft, limit.hard) != (soft, hard) for limit in wanted.ulimits):
        wanted.invalid(flag, f"gives {name} a second value.", "Name it once.", "option-repeated")
    else:
        wanted.ulimits.append(Ulimit(name, soft, hard, flag.field))


def _attach(wanted: Wanted, flag: Flag) -> None:
    if flag.value.lower() not in ("stdin", "stdout", "stderr"):
        wanted.invalid(flag, "is no stream.", "Leave it out: the streams come to the notebook.")


def _gpus(wanted: Wanted, flag: Flag) -> None:
    if re.search(r"(driver|options|capabilities)\s*=", flag.value, re.IGNORECASE):
        wanted.wish(flag)
    else:
        _use_key("gpus")(wanted, flag)


def _health(wanted: Wanted, flag: Flag) -> None:
    if flag.option == "health-retries":
        wrong = integer(flag.value) is None
    else:
        wrong = flag.option != "health-cmd" and _GO_DURATION.fullmatch(flag.value) is None
    if wrong:
        wanted.invalid(flag, "is not understood.", "Leave it out: health checks are off in a run.")
    else:
        wanted.notes.append(f"{flag.written} has no effect: {OPTIONS[flag.option].reason}")


READERS: dict[str, Reader] = {
    "add-host": _add_host,
    "attach": _attach,
    "blkio-weight": _limit("blkio_weight", 10, 1000),
    "cap-add": _cap_add,
    "cap-drop": _cap_drop,
    "cgroupns": _one_of("private", "host"),
    "cpu-period": _limit("cpu_period", 1000, 1_000_000),
    "cpu-quota": _cpu_quota,
    "cpu-shares": _limit("cpu_shares", 2, 262_144),
    "cpus": _cpus,
    "cpuset-cpus": _cpuset("cpuset_cpus"),
    "cpuset-mems": _cpuset("cpuset_mems"),
    "detach-keys": _nothing,
    "disable-content-trust": _must_be(
        "true", "asks for Docker Content Trust, which this package does not do.", "Name the image by digest."
    ),
    "dns": _dns,
    "dns-option": _word(
        "dns_options", r"[A-Za-z0-9:_-]+", "Write an option of resolv.conf(5), such as ndots:2."
    ),
    "dns-search": _word(
        "dns_search", r"\.|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\.?", "Write a domain."
    ),
    "domainname": _hostname("domainname"),
    "entrypoint": _use_key("entrypoint"),
    "env": environment_item,
    "expose": _word("expose", _EXPOSE.pattern, "Write a port or a range, such as 8000 or 8000-8010/udp."),
    "gpus": _gpus,
    "health-cmd": _health,
    "health-interval": _health,
    "health-retries": _health,
    "health-start-interval": _health,
    "health-start-period": _health,
    "health-timeout": _health,
    "hostname": _hostname("hostname"),
    "init": _field("init"),
    "interactive": _nothing,
    "ipc": _ipc,
    "label": _label,
    "log-driver": _one_of("none local json-file"),
    "log-opt": _log_opt,
    "memory": _memory,
    "memory-reservation": _sized("memory_reservation"),
    "memory-swap": _memory_swap,
    "memory-swappiness": _swappiness,
    "mount": mount,
    "network": _network,
    "no-healthcheck": _nothing,
    "oom-score-adj": _oom_score,
    "pids-limit": _bounded("pids", 1, 4096, "limits"),
    "platform": _ask("platform"),
    "publish": _checked_wish(_PUBLISH, "Write [ADDRESS:][PORT:]PORT[/tcp|/udp]."),
    "pull": _pull,
    "quiet": _nothing,
    "read-only": _field("read_only"),
    "restart": _one_of("no"),
    "rm": _must_be("true", "keeps the container.", "Write rm = false in the manifest instead."),
    "security-opt": _security_opt,
    "shm-size": _sized("shm_size"),
    "sig-proxy": _nothing,
    "stop-signal": _stop_signal,
    "stop-timeout": _bounded("stop_timeout", 0, 60, "fields"),
    "storage-opt": _storage_opt,
    "sysctl": _sysctl,
    "tmpfs": tmpfs,
    "tty": _nothing,
    "ulimit": _ulimit,
    "user": _ask("user"),
    "volume": volume,
    "volume-driver": _one_of("local"),
    "workdir": _ask("working_dir"),
}
