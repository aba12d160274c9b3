"""Limits of `extra_args`: memory, CPUs, processes, and those of setrlimit(2)."""

from __future__ import annotations

import re
from dataclasses import replace

from ..plan.quantities import integer, is_nothing, short_unit, size
from ..spec import Ulimit
from .parse import Flag
from .rules import GRANTABLE_ULIMITS
from .values import Reader, Wanted

_CPU_LIST = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*")
_NO_CPUS = re.compile(r"[+-]?(0+(?:\.0*)?|\.0+)([eE][+-]?[0-9]+|/0*[1-9][0-9]*)?")
_ULIMITS = frozenset(
    ("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
     "rtprio", "rttime", "sigpending", "stack")
)  # fmt: skip
_MOST_FILES = 1 << 20


def _number(wanted: Wanted, flag: Flag, least: int, most: int) -> int | None:
    number = integer(flag.value)
    if number is None or not least <= number <= most:
        wanted.invalid(flag, "It is out of range.", f"Write a whole number from {least} to {most}.")
        return None
    return number


def _limit(name: str, least: int, most: int) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        number = _number(wanted, flag, least, most)
        if number is not None:
            wanted.limit(name, number, flag)

    return read


def _bounded(name: str, least: int, most: int, *, of_spec: bool = False) -> Reader:
    """A number whose bounds protect the machine: what lies outside is refused, not merely wrong."""

    def read(wanted: Wanted, flag: Flag) -> None:
        number = integer(flag.value)
        if number is None:
            wanted.invalid(flag, "It is not a whole number.", f"Write a number from {least} to {most}.")
        elif not least <= number <= most:
            wanted.wish(flag)
        elif of_spec:
            wanted.set(name, number, flag)
        else:
            wanted.limit(name, number, flag)

    return read


def _sized(name: str) -> Reader:
    """A size that is compared with the memory limit later."""

    def read(wanted: Wanted, flag: Flag) -> None:
        count = size(flag.value)
        if not count:
            wanted.invalid(flag, "It is not a size.", "Write a size such as 512m or 2g.")
        else:
            wanted.limit(name, count, flag)

    return read


def _cpuset(name: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        if _CPU_LIST.fullmatch(flag.value) is None:
            wanted.invalid(flag, "It is not a list of numbers.", "Write a list such as 0,1 or 0-3.")
        else:
            wanted.limit(name, flag.value, flag)

    return read


def _memory(wanted: Wanted, flag: Flag) -> None:
    if is_nothing(flag.value):
        wanted.wish(flag)
    else:
        # The manifest's key has one way to write a size; what Docker takes besides is put into it here.
        wanted.ask("memory", replace(flag, value=short_unit(flag.value)))


def _cpus(wanted: Wanted, flag: Flag) -> None:
    if _NO_CPUS.fullmatch(flag.value):
        wanted.wish(flag)
    else:
        wanted.ask("cpus", flag)


def _memory_swap(wanted: Wanted, flag: Flag) -> None:
    count = -1 if flag.value == "-1" else size(flag.value)
    if count is None:
        wanted.invalid(flag, "It is not a size.", "Write a size such as 2g: memory and swap together.")
    elif count <= 0:
        wanted.wish(flag, str(count))
    else:
        wanted.limit("memory_swap", count, flag)


def _cpu_quota(wanted: Wanted, flag: Flag) -> None:
    number = integer(flag.value)
    if number is not None and number <= 0:
        wanted.wish(flag, str(number))
    elif number is None or number < 1000:
        wanted.invalid(flag, "It is out of range.", "Write microseconds, 1000 or more.")
    else:
        wanted.limit("cpu_quota", number, flag)


def _oom_score(wanted: Wanted, flag: Flag) -> None:
    number = integer(flag.value)
    if number is not None and number < 0:
        wanted.wish(flag)
    elif (number := _number(wanted, flag, 0, 1000)) is not None:
        wanted.limit("oom_score_adj", number, flag)


def _swappiness(wanted: Wanted, flag: Flag) -> None:
    if integer(flag.value) != -1:  # -1 is Docker's word for "leave it"
        _limit("memory_swappiness", 0, 100)(wanted, flag)


def _weight(wanted: Wanted, flag: Flag) -> None:
    if integer(flag.value) != 0:  # Docker's word for "leave it"
        _limit("blkio_weight", 10, 1000)(wanted, flag)


def _ulimit(wanted: Wanted, flag: Flag) -> None:
    name, equals, text = flag.value.partition("=")
    numbers = [integer(part) for part in text.split(":")]
    soft, hard = numbers[0], numbers[-1]
    if not equals or name not in _ULIMITS or len(numbers) > 2 or soft is None or hard is None:
        wanted.invalid(
            flag, "It is not NAME=SOFT[:HARD].", "Write it as in nofile=1024:4096; see setrlimit(2)."
        )
    elif min(soft, hard) < -1 or (hard != -1 and (soft > hard or soft == -1)):
        wanted.invalid(
            flag, "Its soft limit is above the hard one.", "Raise the second number or lower the first."
        )
    elif name in GRANTABLE_ULIMITS or not _harmless(name, soft, hard):
        wanted.wish(flag)
    elif any(limit.name == name and (limit.soft, limit.hard) != (soft, hard) for limit in wanted.ulimits):
        wanted.invalid(flag, f"It gives {name} a second value.", "Name it once.", "option-repeated")
    else:
        wanted.ulimits.append(Ulimit(name, soft, hard, flag.field))


def _harmless(name: str, soft: int, hard: int) -> bool:
    """Whether a limit takes nothing from the machine; -1 is "no limit"."""
    if name in ("core", "rtprio"):  # the machine's own dump program; priority over the machine's processes
        return (soft, hard) == (0, 0)
    if name in ("nice", "rttime"):
        return False
    if name == "nofile":
        return -1 not in (soft, hard) and hard <= _MOST_FILES
    return True


READERS: dict[str, Reader] = {
    "blkio-weight": _weight,
    "cpu-period": _limit("cpu_period", 1000, 1_000_000),
    "cpu-quota": _cpu_quota,
    "cpu-shares": _limit("cpu_shares", 2, 262_144),
    "cpus": _cpus,
    "cpuset-cpus": _cpuset("cpuset_cpus"),
    "cpuset-mems": _cpuset("cpuset_mems"),
    "memory": _memory,
    "memory-reservation": _sized("memory_reservation"),
    "memory-swap": _memory_swap,
    "memory-swappiness": _swappiness,
    "oom-score-adj": _oom_score,
    "pids-limit": _bounded("pids", 1, 4096),
    "shm-size": _sized("shm_size"),
    "stop-timeout": _bounded("stop_timeout", 0, 60, of_spec=True),
    "ulimit": _ulimit,
}
