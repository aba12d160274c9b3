"""RunSpec → the ``docker run`` line that does the same, to be read, copied and pasted."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator

from ..policy import redact
from ..spec import ImageFacts, Mount, RunSpec
from .hardening import MASK_SIZE, tmpfs_options, wants_init


def docker_run_line(spec: RunSpec, *, reveal: bool = False, image: ImageFacts | None = None) -> str:
    """One line for a POSIX shell.

    :param reveal: show secret values of the environment; else they read ``***``, to be put in before pasting.
    :param image: facts of the local image, which decide about the init; without them there is one.
    """
    return shlex.join(docker_run_words(spec, reveal=reveal, image=image))


def docker_run_words(spec: RunSpec, *, reveal: bool = False, image: ImageFacts | None = None) -> list[str]:
    """The same as a list of words."""
    words = ["docker", "run", *_options(spec, reveal, image), spec.image, *spec.args]
    if reveal:
        return words
    hidden = [
        variable.value
        for variable in spec.environment
        if redact.env_value(variable) == redact.MASK and len(variable.value) >= 4
    ]
    return [redact.hide(word, hidden) if word not in ("docker", "run") else word for word in words]


def _options(spec: RunSpec, reveal: bool, image: ImageFacts | None) -> Iterator[str]:
    if spec.remove:
        yield "--rm"
    if spec.stdin:
        yield "-i"
    if spec.pull != "missing":
        yield from ("--pull", spec.pull)
    if spec.platform:
        yield from ("--platform", spec.platform)
    yield from ("--network", spec.network, "--hostname", spec.hostname)
    if spec.domainname:
        yield from ("--domainname", spec.domainname)
    if spec.user is not None:
        yield from ("--user", spec.user)
    if spec.working_dir is not None:
        yield from ("--workdir", spec.working_dir if reveal else str(redact.working_dir(spec)))
    if spec.entrypoint is not None:
        yield from ("--entrypoint", spec.entrypoint)
    yield from _protections(spec, image)
    yield from _limits(spec)
    for mount in spec.mounts:
        yield from _mount(mount if reveal else redact.mount(mount))
    for variable in spec.environment:
        value = variable.value if reveal else redact.env_value(variable)
        yield from ("--env", f"{variable.name}={value}")
    yield from _rest(spec)
    for wish in spec.wishes:
        if wish.option == "memory-swap":
            continue  # among the limits
        yield f"--{wish.option}" if wish.option == "publish-all" else f"--{wish.option}={wish.value}"


def _protections(spec: RunSpec, image: ImageFacts | None) -> Iterator[str]:
    yield from ("--cap-drop", "ALL")
    for name in spec.cap_add:
        if name not in spec.cap_drop:
            yield from ("--cap-add", name)
    yield from ("--security-opt", "no-new-privileges")
    if spec.selinux_type is not None:
        yield from ("--security-opt", f"label=type:{spec.selinux_type}")
    yield from ("--ipc", spec.ipc, "--cgroupns", "private", "--log-driver", "none", "--no-healthcheck")
    if spec.read_only:
        yield "--read-only"
    if wants_init(spec, image):
        yield "--init"


def _limits(spec: RunSpec) -> Iterator[str]:
    limits = spec.limits
    yield from ("--pids-limit", str(limits.pids))
    if limits.memory is not None:
        granted = [wish.value for wish in spec.wishes if wish.option == "memory-swap"]
        swap = granted[0] if granted else limits.memory_swap or limits.memory
        yield from ("--memory", str(limits.memory), "--memory-swap", str(swap))
    if limits.nano_cpus is not None:
        yield from ("--cpus", f"{limits.nano_cpus / 1_000_000_000:.9f}".rstrip("0").rstrip("."))
    numbers = {
        "--memory-reservation": limits.memory_reservation,
        "--memory-swappiness": limits.memory_swappiness,
        "--cpu-shares": limits.cpu_shares,
        "--cpu-period": limits.cpu_period,
        "--cpu-quota": limits.cpu_quota,
        "--cpuset-cpus": limits.cpuset_cpus,
        "--cpuset-mems": limits.cpuset_mems,
        "--shm-size": limits.shm_size,
        "--blkio-weight": limits.blkio_weight,
        "--oom-score-adj": limits.oom_score_adj,
    }
    for option, value in numbers.items():
        if value is not None:
            yield from (option, str(value))
    for ulimit in limits.ulimits:
        yield from ("--ulimit", f"{ulimit.name}={ulimit.soft}:{ulimit.hard}")


def _mount(mount: Mount) -> Iterator[str]:
    if mount.kind == "tmpfs":
        yield from ("--tmpfs", f"{mount.target}:{tmpfs_options(mount)}")
        return
    if mount.kind == "mask" and mount.source is None:
        fields = [
            "type=tmpfs",
            f"target={mount.target}",
            f"tmpfs-size={MASK_SIZE}",
            "tmpfs-mode=0555",
            "readonly",
        ]
    else:
        kind = "bind" if mount.kind == "mask" else mount.kind
        fields = [
            f"type={kind}",
            *([f"source={mount.source}"] if mount.source else []),
            f"target={mount.target}",
        ]
        if mount.read_only or mount.kind == "mask":
            fields.append("readonly")
        if "nocopy" in mount.options:
            fields.append("volume-nocopy")
    yield from ("--mount", _csv(fields))


def _csv(fields: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


def _rest(spec: RunSpec) -> Iterator[str]:
    if spec.gpus is not None:
        if spec.gpus.device_ids:
            yield from ("--gpus", f'"device={",".join(spec.gpus.device_ids)}"')
        else:
            yield from ("--gpus", "all" if spec.gpus.count in (None, -1) else str(spec.gpus.count))
    lists = {
        "--group-add": (*map(str, spec.groups), *spec.group_add),
        "--dns": spec.dns,
        "--dns-option": spec.dns_options,
        "--dns-search": spec.dns_search,
        "--add-host": spec.extra_hosts,
        "--expose": spec.expose,
        "--label": tuple(f"{key}={value}" for key, value in spec.labels.items()),
        "--sysctl": tuple(f"{key}={value}" for key, value in spec.sysctls.items()),
        "--storage-opt": tuple(f"{key}={value}" for key, value in spec.storage_opt.items()),
    }
    for option, values in lists.items():
        for value in values:
            yield from (option, value)
    if spec.stop_signal is not None:
        yield from ("--stop-signal", spec.stop_signal)
    if spec.stop_timeout is not None:
        yield from ("--stop-timeout", str(spec.stop_timeout))
