"""Network options of `extra_args`."""

from __future__ import annotations

import csv
import ipaddress
import re

from .parse import Flag
from .values import Reader, Wanted

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_PORTS = r"[0-9]{1,5}(-[0-9]{1,5})?"
_EXPOSE = re.compile(rf"{_PORTS}(/(tcp|udp|sctp))?")
_PUBLISH = re.compile(
    rf"((?P<address>\[[0-9A-Fa-f:.]+\]|[0-9]+(\.[0-9]+){{3}}):)?((?P<outer>({_PORTS})?):)?"
    rf"(?P<inner>{_PORTS})(/(?P<protocol>tcp|udp|sctp))?"
)
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
_DOMAIN = re.compile(r"\.|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
_RESOLVER_OPTION = re.compile(r"[A-Za-z0-9:_-]+")
_LONG_FORM = re.compile(r"\w+=\w+")

#: Addresses of clouds' metadata services and of virtual machines' hosts that no general rule catches.
_HOSTS = frozenset(
    ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.168.65.1", "192.168.65.2", "192.168.65.254")
)
_DOCKER_GATEWAY = re.compile(r"172\.(1[6-9]|2[0-9]|3[01])\.0\.1")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _host_name(name: str, longest: int) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        labels = flag.value.split(".")
        if len(flag.value) > longest or not all(_LABEL.fullmatch(label) for label in labels):
            wanted.invalid(flag, "It is not a host name (RFC 1123).", "Use letters, digits and hyphens.")
        else:
            wanted.set(name, flag.value, flag)

    return read


def address_of(text: str) -> Address | None:
    """A numeric address; an IPv4 address that is dressed as IPv6 is undressed. ``None`` for anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def of_the_machine(address: Address) -> bool:
    """Whether an address is the machine's own, or one where clouds keep credentials."""
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or str(address) in _HOSTS
        or _DOCKER_GATEWAY.fullmatch(str(address)) is not None
    )


def _add_host(wanted: Wanted, flag: Flag) -> None:
    name, found, target = flag.value.partition("=" if "=" in flag.value else ":")
    if target.startswith("[") and target.endswith("]"):
        target = target[1:-1]
    address = address_of(target)
    if not found or _NAME.fullmatch(name) is None or (address is None and target != "host-gateway"):
        wanted.invalid(flag, "It is not NAME:ADDRESS.", "Write a name and a numeric address: db:10.0.0.5.")
    elif address is None or of_the_machine(address):
        wanted.wish(flag, f"{name}:{target}")
    else:
        wanted.add("extra_hosts", [f"{name}:{target}"])


def _dns(wanted: Wanted, flag: Flag) -> None:
    address = address_of(flag.value.strip())
    if address is None:
        wanted.invalid(flag, "It is not an IP address.", "Write the server's numeric address.")
    elif of_the_machine(address):
        wanted.wish(flag, flag.value.strip())
    else:
        wanted.add("dns", [flag.value.strip()])


def _word(name: str, pattern: re.Pattern[str], fix: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        if pattern.fullmatch(flag.value) is None:
            wanted.invalid(flag, "It is not understood.", fix)
        else:
            wanted.add(name, [flag.value])

    return read


def _ports(wanted: Wanted, flag: Flag) -> None:
    if _EXPOSE.fullmatch(flag.value) is None or not port_range(flag.value.partition("/")[0]):
        wanted.invalid(flag, "It is not a port.", "Write a port or a range, such as 8000 or 8000-8010/udp.")
    else:
        wanted.add("expose", [flag.value])


def port_range(text: str) -> range:
    """The ports of ``80`` or ``8000-8010``; empty for no text and for what is no range of ports."""
    first, _, last = text.partition("-")
    ports = range(int(first), int(last or first) + 1) if text else range(0)
    return ports if ports and ports[0] > 0 and ports[-1] < 65536 else range(0)


def published(text: str) -> tuple[str, range, range, str] | None:
    """(address, ports outside, ports inside, protocol) of ``[ADDRESS:][PORT:]PORT[/PROTOCOL]``.

    :returns: ``None`` for what is not that; no ports outside where the engine is to choose.
    """
    match = _PUBLISH.fullmatch(text)
    if match is None:
        return None
    inner, outer = port_range(match["inner"]), port_range(match["outer"] or "")
    address = (match["address"] or "").strip("[]")
    if (
        not inner
        or (match["outer"] and len(outer) != len(inner))
        or (address and address_of(address) is None)
    ):
        return None
    return address, outer, inner, match["protocol"] or "tcp"


def _publish(wanted: Wanted, flag: Flag) -> None:
    if published(flag.value) is None:
        wanted.invalid(
            flag, "It names no port.", "Write [ADDRESS:][PORT:]PORT[/tcp|/udp], as many as inside."
        )
    else:
        wanted.wish(flag)


def _address(version: int | None) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        try:
            address = ipaddress.ip_address(flag.value)
        except ValueError:
            address = None
        if address is None or version not in (None, address.version):
            wanted.invalid(flag, "It is not such an address.", "Leave it out.")
        else:
            wanted.wish(flag)

    return read


def _mac(wanted: Wanted, flag: Flag) -> None:
    if _MAC.fullmatch(flag.value) is None:
        wanted.invalid(flag, "It is not a MAC address.", "Leave it out.")
    else:
        wanted.wish(flag)


def _alias(wanted: Wanted, flag: Flag) -> None:
    if _NAME.fullmatch(flag.value) is None:
        wanted.invalid(flag, "It is not a name.", "Leave it out.")
    else:
        wanted.wish(flag)


def _network(wanted: Wanted, flag: Flag) -> None:
    """``NAME``, or ``name=bridge,alias=db``, all lower-cased: ``NAME=HOST`` is the machine's network."""
    if _LONG_FORM.search(flag.value) is None:
        wanted.ask("network", flag)
        return
    try:
        fields = next(csv.reader([flag.value.lower()], strict=True))
    except (csv.Error, StopIteration):
        fields = [flag.value.lower()]
    name = ""
    for text in fields:
        key, equals, value = (part.strip() for part in text.partition("="))
        part = Flag({"alias": "network-alias"}.get(key, key), value, flag.field, flag.written)
        if equals and key == "name":
            name = value  # of several the last one counts
        elif equals and part.option in _OF_A_NETWORK:
            _OF_A_NETWORK[part.option](wanted, part)
        elif equals and key in ("driver-opt", "gw-priority"):
            wanted.wish(flag)
        else:
            wanted.invalid(flag, f"It has the part {text!r}.", "Use `none` or `bridge`.")
    if name:
        wanted.ask("network", Flag(flag.option, name, flag.field, flag.written))
    else:
        wanted.invalid(flag, "It names no network.", "Use `none` or `bridge`.")


_OF_A_NETWORK: dict[str, Reader] = {
    "ip": _address(4),
    "ip6": _address(6),
    "link-local-ip": _address(None),
    "mac-address": _mac,
    "network-alias": _alias,
}

READERS: dict[str, Reader] = {
    **_OF_A_NETWORK,
    "add-host": _add_host,
    "dns": _dns,
    "dns-option": _word(
        "dns_options", _RESOLVER_OPTION, "Write an option of resolv.conf(5), such as ndots:2."
    ),
    "dns-search": _word("dns_search", _DOMAIN, "Write a domain."),
    "domainname": _host_name("domainname", 253),
    "expose": _ports,
    "hostname": _host_name("hostname", 63),
    "network": _network,
    "publish": _publish,
}
