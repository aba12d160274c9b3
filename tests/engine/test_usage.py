"""What a tool uses: compared with the control group's own figures, which the tool itself reads in the same
run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from skill_magic.engine import Engine, Run, cgroup
from skill_magic.engine.usage import reading_of
from skill_magic.events import Finished, Output, Usage
from skill_magic.host import Host
from skill_magic.spec import Limits

pytestmark = pytest.mark.engine

MIB = 1 << 20

# Reads its own control group at the end: version 1, then version 2.
BURN = """
import time
from pathlib import Path
held = bytearray(b'1') * (300 << 20)
while time.process_time() < 2.0:
    pass
root = Path('/sys/fs/cgroup')
if (root / 'cpuacct/cpuacct.usage').exists():
    cpu = int((root / 'cpuacct/cpuacct.usage').read_text()) / 1e9
    peak = int((root / 'memory/memory.max_usage_in_bytes').read_text())
else:
    cpu = int((root / 'cpu.stat').read_text().split()[1]) / 1e6
    peak = int((root / 'memory.peak').read_text())
print(cpu, peak)
"""


def test_figures_are_those_of_the_control_group(go: Callable[..., Any]) -> None:
    outcome = go("python3", "-c", BURN, limits=Limits(memory=600 * MIB, nano_cpus=1_000_000_000))
    samples = outcome.of(Usage)
    cpu, peak = (float(text) for text in outcome.stdout.split())
    assert samples[-1].cpu_seconds == pytest.approx(cpu, rel=0.05)
    assert samples[-1].memory_peak == pytest.approx(peak, rel=0.05)
    assert samples[-1].memory_peak > 300 * MIB
    assert samples[-1].memory_limit == 600 * MIB
    assert samples[-1].cpus == 1.0


def test_samples_follow_one_another(go: Callable[..., Any]) -> None:
    script = "import time\nend = time.time() + 2\nwhile time.time() < end: pass"
    samples = go("python3", "-c", script).of(Usage)
    assert 5 <= len(samples) <= 10, "four a second"
    assert samples[0].cpu_percent is None
    shares = [sample.cpu_percent for sample in samples[1:]]
    assert all(0 <= share < 150 for share in shares), "one thread, whatever else this machine does"
    assert max(shares) > 20
    assert [one.elapsed for one in samples] == sorted(one.elapsed for one in samples)
    assert [one.cpu_seconds for one in samples] == sorted(one.cpu_seconds for one in samples)
    assert samples[0].pids >= 1
    assert samples[0].memory > 1 * MIB


def test_a_short_run_has_no_samples(go: Callable[..., Any]) -> None:
    outcome = go("sleep", "0.1")
    assert outcome.of(Usage) == []
    assert outcome.finished.state == "finished"


def test_page_cache_is_not_the_tools_memory(go: Callable[..., Any]) -> None:
    script = "head -c 200M /dev/zero > /var/tmp/large; sleep 0.6"
    samples = go("sh", "-c", script, timeout=60.0).of(Usage)
    assert samples[-1].memory_peak < 100 * MIB


def test_network_is_counted_to_the_end(go: Callable[..., Any]) -> None:
    # To the gateway's discard port; nobody needs to listen for a datagram to be sent.
    script = (
        "import socket, time\n"
        "time.sleep(0.6)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for _ in range(1000): s.sendto(b'x' * 1000, ('172.17.0.1', 9)); time.sleep(0.0002)\n"
    )
    samples = go("python3", "-c", script, network="bridge").of(Usage)
    assert samples[0].network_out < 100_000
    assert samples[-1].network_out >= 900_000


def test_no_network_is_no_traffic(go: Callable[..., Any]) -> None:
    samples = go("sleep", "0.6").of(Usage)
    assert (samples[-1].network_in, samples[-1].network_out) == (0, 0)


def test_the_engines_own_statistics_where_the_group_is_out_of_sight(
    engine: Engine, host: Host, make_spec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "find", lambda *names, **options: None)
    script = BURN.replace("< 2.0", "< 3.0")
    events = list(Run(engine, make_spec("python3", "-c", script), host))
    samples = [event for event in events if isinstance(event, Usage)]
    (text,) = [event.data for event in events if isinstance(event, Output)]
    cpu, peak = (float(word) for word in text.split())
    assert samples, "the engine sends one a second"
    assert samples[-1].memory_peak == pytest.approx(peak, rel=0.05)
    # The engine counts the whole container: its init and the start of the interpreter too.
    assert cpu * 0.5 < samples[-1].cpu_seconds <= cpu + 0.2, "once a second: the last one is missed"
    assert isinstance(events[-1], Finished)


def test_empty_statistics_are_no_sample() -> None:
    assert reading_of({"memory_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 5}}}) is None
    podman = json.loads(
        '{"cpu_stats": {"cpu_usage": {"total_usage": 1500000000}}, "memory_stats": {"usage": 100},'
        ' "blkio_stats": {"io_service_bytes_recursive": null}, "networks": null,'
        ' "pids_stats": {"current": 3}}'
    )
    reading = reading_of(podman)
    assert reading is not None
    assert (reading.cpu_seconds, reading.memory, reading.pids, reading.kernel_peak) == (1.5, 100, 3, None)
