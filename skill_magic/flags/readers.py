"""Options of `extra_args` → typed values: a small reader per option that takes some values, not others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..findings import Violation
from ..host import Host
from ..plan import envvars
from ..plan.quantities import integer
from . import devices as flag_devices
from . import limits as flag_limits
from . import mounts as flag_mounts
from . import network as flag_network
from . import security as flag_security
from .parse import Flag
from .table import OPTIONS
from .values import Reader, Wanted

_GO_DURATION = re.compile(r"0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+")
_SIGNALS = {"1": "HUP", "2": "INT", "3": "QUIT", "9": "KILL", "10": "USR1", "12": "USR2", "15": "TERM"}


def collect(flags: Sequence[Flag], host: Host, base_dir: Path) -> Wanted:
    """Read every option. All are looked at, also after a fault: nothing dangerous hides behind a slip.

    :param base_dir: the manifest's directory, where relative host paths start.
    """
    wanted = Wanted(host, base_dir)
    first: dict[str, Flag] = {}
    for flag in flags:
        option = OPTIONS[flag.option]
        earlier = first.setdefault(flag.option, flag)
        if earlier is not flag and not option.many and not (option.boolean and earlier.value == flag.value):
            wanted.invalid(
                flag,
                f"It was given before, in {earlier.field}.",
                "Docker would take the last one; keep the one that is meant.",
                "option-repeated",
            )
        if option.kind == "error":
            wanted.invalid(flag, f"{flag.written} {option.reason}", option.fix, option.code)
        elif not flag.value and not option.many:
            wanted.invalid(flag, "Its value is empty.", f"Write a value, or leave {flag.written} out.")
        elif flag.option in READERS:
            READERS[flag.option](wanted, flag)
        elif not (option.boolean and flag.value == "false"):
            # No reader: dangerous in every value. `--privileged=false` asks for nothing.
            wanted.wish(flag)
    return wanted


def _ask(name: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        wanted.ask(name, flag)

    return read


def _nothing(wanted: Wanted, flag: Flag) -> None:
    """A word copied from a `docker run` line that a run does by itself, or has no use for."""


def _truth(name: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        wanted.set(name, flag.value == "true", flag)

    return read


def _only_true(reason: str, fix: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        if flag.value != "true":
            wanted.invalid(flag, reason, fix)

    return read


def _use_key(key: str) -> Reader:
    def read(wanted: Wanted, flag: Flag) -> None:
        wanted.invalid(flag, f"The manifest has a key for this, `{key}`.", f"Write {key} = … instead.")

    return read


def _one_of(*harmless: str, refused: tuple[str, ...] = ("",)) -> Reader:
    """Words that change nothing; ``refused`` begins those that are dangerous; the rest has no meaning."""

    def read(wanted: Wanted, flag: Flag) -> None:
        if flag.value in harmless:
            return
        if flag.value.startswith(refused):
            wanted.wish(flag)
        else:
            wanted.invalid(flag, "It is not understood.", f"Use {' or '.join(harmless)}.")

    return read


def _ipc(wanted: Wanted, flag: Flag) -> None:
    if flag.value in ("private", "none"):
        wanted.set("ipc", flag.value, flag)
    else:
        _one_of("private", "none", refused=("host", "shareable", "container"))(wanted, flag)


def _env(wanted: Wanted, flag: Flag) -> None:
    variable = envvars.parse(flag.value, field=flag.field, host=wanted.host)
    if isinstance(variable, Violation):
        wanted.faults.append(variable)
    else:
        wanted.environment.append(variable)


def _log_opt(wanted: Wanted, flag: Flag) -> None:
    key, equals, value = flag.value.partition("=")
    if not equals or not value:
        wanted.invalid(flag, "It is not NAME=VALUE.", "Leave it out: the output comes to the notebook.")
    elif key not in ("max-size", "max-file", "compress"):
        wanted.wish(flag)


def _pull(wanted: Wanted, flag: Flag) -> None:
    if flag.value in ("missing", "never", "always"):
        wanted.set("pull", flag.value, flag)
    else:
        wanted.invalid(flag, "It is not understood.", "Use missing, never or always.")


def _stop_signal(wanted: Wanted, flag: Flag) -> None:
    name = flag.value.upper().removeprefix("SIG")
    name = _SIGNALS.get(name, name)
    if name in _SIGNALS.values():
        wanted.set("stop_signal", f"SIG{name}", flag)
    else:
        wanted.invalid(
            flag, "It is no signal that ends a program.", "Use TERM, INT, QUIT, HUP, USR1, USR2 or KILL."
        )


def _attach(wanted: Wanted, flag: Flag) -> None:
    if flag.value.lower() not in ("stdin", "stdout", "stderr"):
        wanted.invalid(flag, "It is no stream.", "Leave it out: the streams come to the notebook.")


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
        wanted.invalid(flag, "It is not understood.", "Leave it out: health checks are off in a run.")
    else:
        wanted.notes.append(f"{flag.written} has no effect: {OPTIONS[flag.option].reason.rstrip('.')}")


READERS: dict[str, Reader] = {
    **flag_devices.READERS,
    **flag_limits.READERS,
    **flag_mounts.READERS,
    **flag_network.READERS,
    **flag_security.READERS,
    "attach": _attach,
    "cgroupns": _one_of("private", refused=("host",)),
    "detach-keys": _nothing,
    "disable-content-trust": _only_true(
        "It asks for Docker Content Trust, which this package does not do.", "Name the image by its digest."
    ),
    "entrypoint": _use_key("entrypoint"),
    "env": _env,
    "gpus": _gpus,
    "health-cmd": _health,
    "health-interval": _health,
    "health-retries": _health,
    "health-start-interval": _health,
    "health-start-period": _health,
    "health-timeout": _health,
    "init": _truth("init"),
    "interactive": _nothing,
    "ipc": _ipc,
    "log-driver": _one_of("none", "local", "json-file"),
    "log-opt": _log_opt,
    "no-healthcheck": _nothing,
    "platform": _ask("platform"),
    "pull": _pull,
    "quiet": _nothing,
    "read-only": _truth("read_only"),
    "restart": _one_of("no"),
    "rm": _only_true("It keeps the container.", "Write rm = false in the manifest instead."),
    "sig-proxy": _nothing,
    "stop-signal": _stop_signal,
    "tty": _nothing,
    "user": _ask("user"),
    "volume-driver": _one_of("local"),
    "workdir": _ask("working_dir"),
}
