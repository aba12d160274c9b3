// The live panel of one run, in the browser. panel.py is the other end; panel_state.py says what a message holds.
//
// What a tool wrote reaches the page as text nodes only: nothing here parses markup.
// Stop interrupts the kernel from this side. While a cell runs, its kernel reads no message from a widget (ipykernel 6,
// and 7.4, which queues them behind the cell), but the server's interrupt always reaches it.

const LINES = 500; // kept; as in panel_state.py. Four times as many while somebody reads further up
const DRAWN = 60; // of those, while the pane follows its tail: what is laid out but not seen costs the tool its processor
const WIDTH = 2000; // characters of one line; as in panel_state.py
const SPANS = 64; // coloured pieces in one line; what follows them is one plain piece
const POINTS = 240;
const PATIENCE = 2000; // milliseconds until a second Stop, which kills, is offered

// What is known of the run: one per model, whatever number of views there are.
class Run {
  head = { skill: "", image: "", command: "", phase: "starting", elapsed: 0, notes: [], pull: null };
  usage = null;
  points = [];
  lines = []; // rows by ascending number
  began = performance.now();
  problem = "";
  asked = 0; // times Stop was pressed
  views = new Set();

  take(message) {
    if (message.head) {
      this.head = message.head;
      this.began = performance.now() - 1000 * message.head.elapsed;
    }
    if (message.usage) this.usage = message.usage;
    for (const point of message.points ?? []) {
      if (!this.points.length || point[0] > this.points.at(-1)[0]) this.points.push(point);
    }
    if (this.points.length > POINTS) this.points = thin(this.points, POINTS / 2);
    const changed = new Set();
    for (const row of message.lines ?? []) this.#put(row, changed);
    this.tell(changed);
  }

  tell(changed = new Set()) {
    for (const view of this.views) view.draw(changed);
    this.trim();
  }

  // All views share the lines, so what goes, goes in each of them; and also where there is no view at the moment.
  trim() {
    const reading = [...this.views].some((view) => view.reading());
    const keep = reading ? 4 * LINES : LINES;
    if (this.lines.length <= keep) return;
    // While somebody reads, neither what is read nor the tail goes, but what lies between them.
    const dropped = this.lines.splice(reading ? keep - LINES : 0, this.lines.length - keep);
    for (const view of this.views) view.drop(dropped);
  }

  #put([number, stream, text, hidden], changed) {
    // The kernel's side cuts a line as well; a browser must not stand still for what another version sends.
    const more = Math.max(0, text.length - WIDTH);
    const row = [number, stream, more ? text.slice(0, WIDTH) : text, hidden + more];
    let at = this.lines.length;
    while (at > 0 && this.lines[at - 1][0] >= number) at -= 1;
    const known = this.lines[at]?.[0] === number;
    if (known && this.lines[at][2] === row[2] && this.lines[at][3] === row[3]) return;
    this.lines.splice(at, known ? 1 : 0, row);
    changed.add(number);
  }
}

// One element; children are elements or text.
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// As words.py says it: three digits.
function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1023.95 && unit < units.length - 1) [count, unit] = [count / 1024, unit + 1];
  return `${unit && count < 99.95 ? Number(count.toPrecision(3)) : Math.round(count)} ${units[unit]}`;
}

function clock(seconds) {
  const [s, m, h] = [seconds % 60, (seconds / 60) % 60, seconds / 3600].map(Math.floor);
  return `${h ? `${h}:` : ""}${h ? String(m).padStart(2, "0") : m}:${String(s).padStart(2, "0")}`;
}

const grouped = (number) => number.toLocaleString("en").replaceAll(",", "\u00a0");
const count = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;

// About `most` of the points, evenly over time.
function thin(points, most) {
  const gap = (points.at(-1)[0] - points[0][0]) / most;
  let last = -Infinity;
  return points.filter(([time], i) => {
    const kept = time - last >= gap || i === points.length - 1;
    if (kept) last = time;
    return kept;
  });
}

// SGR sequences → classes and colours; everything else in `text` stays text.
function paint(text) {
  const pieces = document.createDocumentFragment();
  let style = {};
  let left = SPANS;
  for (const [i, part] of text.split(/\x1b\[([0-9;:]*)m/).entries()) {
    if (i % 2) {
      if (left > 0) style = sgr(style, part);
      continue;
    }
    if (!part) continue;
    if (left-- === 0) style = {};
    pieces.append(Object.keys(style).length ? coloured(part, style) : part);
  }
  return pieces;
}

function coloured(text, style) {
  const [ink, paper] = style.inverse ? [style.paper ?? "paper", style.ink ?? "ink"] : [style.ink, style.paper];
  const element = make("span", {}, text);
  for (const name of ["bold", "faint", "italic", "underline", "strike"]) if (style[name]) element.classList.add(`sm-${name}`);
  if (ink !== undefined) element.style.color = paper === undefined ? legible(ink) : colour(ink);
  if (paper !== undefined) element.style.backgroundColor = colour(paper);
  return element;
}

// A named colour of the theme (0 to 15, "ink", "paper"), or the fixed ones above.
function colour(code) {
  if (typeof code === "string" && code.startsWith("rgb")) return code;
  if (typeof code === "string" || code < 16) return `var(--sm-${code})`;
  if (code > 231) return `rgb(${Array(3).fill(8 + 10 * (code - 232)).join()})`;
  const level = (step) => (step ? 55 + 40 * step : 0);
  return `rgb(${[Math.floor((code - 16) / 36), Math.floor((code - 16) / 6) % 6, (code - 16) % 6].map(level).join()})`;
}

// A tool chose its colour for a dark terminal; moved towards the page's ink it reads on both.
function legible(code) {
  return String(code).startsWith("rgb") || code > 15 ? `color-mix(in srgb, ${colour(code)} 65%, var(--sm-ink))` : colour(code);
}

function sgr(before, codes) {
  let style = { ...before };
  // Parameters with colons are one each: 38:2::R:G:B is a colour, 4:3 a wavy underline.
  const list = codes.split(";").flatMap((part) => {
    const [name, ...more] = part.split(":").map(Number);
    if (!more.length || name === 58) return name === 58 && more.length ? [] : [name];
    if (name === 38 || name === 48) return [name, more[0], ...(more[0] === 2 ? more.slice(-3) : more.slice(1, 2))];
    return [name === 4 && more[0] === 0 ? 24 : name];
  });
  while (list.length) {
    const code = list.shift();
    if (code === 0) style = {};
    else if (code === 1) style.bold = true;
    else if (code === 2) style.faint = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 9) style.strike = true;
    else if (code === 22) style.bold = style.faint = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 27) style.inverse = false;
    else if (code === 29) style.strike = false;
    else if (code === 39) delete style.ink;
    else if (code === 49) delete style.paper;
    else if (code >= 30 && code < 38) style.ink = code - 30;
    else if (code >= 40 && code < 48) style.paper = code - 40;
    else if (code >= 90 && code < 98) style.ink = code - 82;
    else if (code >= 100 && code < 108) style.paper = code - 92;
    else if (code === 58) list.splice(0, list.shift() === 2 ? 3 : 1); // the colour of an underline
    else if (code === 38 || code === 48) {
      const kind = list.shift();
      const values = list.splice(0, kind === 2 ? 3 : 1).map((value) => Math.min(255, value | 0));
      const chosen = kind === 2 ? `rgb(${values.join()})` : values[0];
      if (chosen !== undefined) style[code === 38 ? "ink" : "paper"] = chosen;
    }
  }
  for (const key of Object.keys(style)) if (style[key] === false) delete style[key];
  return style;
}

// One meter: a label, words, a bar where there is a limit to measure against, and what was before.
class Meter {
  constructor(label, name = "", role = "meter") {
    this.words = make("span", { class: "sm-words" });
    this.bar = make("div", { class: "sm-bar", role, "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 });
    this.element = make("div", { class: `sm-meter ${name}` }, make("span", { class: "sm-label" }, label), this.words);
    this.element.hidden = true;
  }

  draw(words, share = null) {
    this.element.hidden = words === null;
    if (words === null) return;
    set(this.words, words);
    this.element.title = words; // a narrow window cuts it
    if (share === null) return;
    if (!this.bar.isConnected) this.words.after(this.bar);
    const percent = Math.max(0, Math.min(100, 100 * share));
    this.bar.style.setProperty("--sm-share", `${percent}%`);
    this.bar.classList.toggle("sm-full", share > 0.9);
    this.bar.setAttribute("aria-valuenow", Math.round(percent));
    this.bar.setAttribute("aria-valuetext", words);
  }
}

// One figure over the time of the run, against its own highest value; drawn as the card draws it.
class Chart {
  constructor(meter) {
    const shape = (name, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      return element;
    };
    this.area = shape("polygon", {});
    this.line = shape("polyline", {});
    const picture = { class: "sm-chart", viewBox: "0 0 300 40", preserveAspectRatio: "none", role: "img" };
    this.element = shape("svg", picture);
    this.element.append(this.area, this.line);
    meter.element.append(this.element);
  }

  draw(points, said) {
    if (points.length < 2) return;
    const first = points[0][0];
    const span = points.at(-1)[0] - first || 1;
    const highest = Math.max(...points.map((point) => point[1]), 1);
    const line = points.map(([time, value]) => `${(300 * (time - first)) / span},${39 - (37 * value) / highest}`);
    this.line.setAttribute("points", line.join(" "));
    this.area.setAttribute("points", `0,40 ${line.join(" ")} 300,40`);
    this.element.setAttribute("aria-label", `over the last ${Math.round(span)} s: ${said}`);
  }
}

// While `element` has the focus, these keys are its own and all others JupyterLab's. JupyterLab looks for the attribute
// when a key reaches the document; the window has it before.
function claim(element, keys) {
  const mine = (event) => {
    if (!element.isConnected) window.removeEventListener("keydown", mine, true);
    const taken = keys.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey;
    element.toggleAttribute("data-lm-suppress-shortcuts", taken);
  };
  element.addEventListener("focus", () => window.addEventListener("keydown", mine, true));
  element.addEventListener("blur", () => window.removeEventListener("keydown", mine, true));
}

class Panel {
  constructor(run, stop) {
    this.run = run;
    this.stop = stop;
    this.rows = new Map(); // line number → element
    this.follow = true;

    this.state = make("span", { class: "sm-state", role: "status" });
    this.elapsed = make("span", { class: "sm-elapsed", role: "timer", "aria-label": "elapsed" });
    this.button = make("button", { type: "button", class: "sm-stop" }, "Stop");
    this.hint = make("span", { class: "sm-hint" });
    this.skill = make("strong");
    this.image = make("div", { class: "sm-image" });
    this.command = make("div", { class: "sm-command" });
    this.notes = make("div", { class: "sm-notes" });
    this.pull = new Meter("pulling", "sm-pull", "progressbar");
    this.pane = make("div", {
      class: "sm-output", role: "log", "aria-label": "output", "aria-live": "off", tabindex: "0",
    });
    this.latest = make("button", { type: "button", class: "sm-latest" }, "↓ latest");
    this.cpu = new Meter("CPU", "sm-cpu");
    this.memory = new Meter("memory", "sm-memory");
    this.charts = [new Chart(this.cpu), new Chart(this.memory)];
    this.others = {
      network: new Meter("network"), disk: new Meter("disk"), pids: new Meter("processes"), gpu: new Meter("GPU"),
    };
    const others = make("div", { class: "sm-others" }, ...Object.values(this.others).map((meter) => meter.element));
    this.meters = make("div", { class: "sm-meters" }, this.cpu.element, this.memory.element, others);
    this.element = make(
      "section", { class: "skill-magic-panel mathjax_ignore tex2jax_ignore" },
      make("header", {}, make("span", { class: "sm-dot" }), this.skill, this.state, this.elapsed, this.hint, this.button),
      this.command, this.image, this.notes, this.pull.element,
      make("div", { class: "sm-screen" }, this.pane, this.latest),
      this.meters,
    );

    this.button.addEventListener("click", () => this.press());
    this.latest.addEventListener("click", () => {
      this.followTail();
      this.pane.focus({ preventScroll: true }); // the button goes, and the keyboard is not to be lost with it
    });
    this.pane.addEventListener("scroll", () => {
      const atTail = this.pane.scrollHeight - this.pane.scrollTop - this.pane.clientHeight < 8;
      if (atTail === this.follow) return;
      if (atTail) return this.followTail();
      this.follow = this.latest.hidden = false;
      this.drawEarlier();
    });
    this.latest.hidden = true;
    // A pane that was not on the page, or was hidden, has no tail to stand at: it finds it when it is seen.
    this.seen = new ResizeObserver(() => this.scroll(false));
    this.seen.observe(this.pane);
    claim(this.pane, ["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", " "]);
    claim(this.button, ["Enter", " "]);
    claim(this.latest, ["Enter", " "]);
    this.drawn = 0;
    this.timer = setInterval(() => this.tick(), 500);
    run.views.add(this);
    this.draw(new Set(run.lines.map((row) => row[0])));
  }

  remove() {
    clearInterval(this.timer);
    this.seen.disconnect();
    this.run.views.delete(this);
  }

  press() {
    this.run.asked += 1;
    const failed = () => {
      this.run.problem = "no answer: interrupt the kernel";
      this.run.tell();
    };
    Promise.resolve(this.stop()).catch(failed);
    this.button.disabled = true; // before all views are drawn, which say what it says
    this.run.tell();
    setTimeout(() => (this.button.disabled = false), PATIENCE);
  }

  draw(changed) {
    const { head, usage, points, asked, problem } = this.run;
    const phase = problem ? "lost" : asked ? "stopping" : head.phase;
    this.element.dataset.phase = phase;
    this.element.setAttribute("aria-label", `${head.skill}, ${phase}`);
    set(this.skill, head.skill);
    for (const [element, text] of [[this.image, head.image], [this.command, head.command]]) {
      set(element, text);
      element.title = text; // a narrow window cuts it
    }
    set(this.state, problem || (phase === "stopping" ? "stopping…" : phase));
    set(this.notes, head.notes.join("\n"));
    const can = this.stop !== null;
    this.button.hidden = !can || problem !== "";
    set(this.button, asked && !this.button.disabled ? "Kill" : "Stop");
    this.button.setAttribute("aria-label", `${asked ? "kill" : "stop"} ${head.skill}`);
    this.hints();
    this.drawPull(head.pull);
    if (usage) this.drawUsage(usage, points);
    this.drawn = performance.now();
    this.drawClock();
    this.drawLines(changed); // last: it asks how high its lines are, so all of this is laid out once
  }

  drawClock() {
    if (!this.run.problem) set(this.elapsed, clock((performance.now() - this.run.began) / 1000));
  }

  // Painting is what a panel costs most: while messages come, the clock moves with them.
  tick() {
    if (performance.now() - this.drawn > 900) this.drawClock();
    if (this.run.asked && !this.button.disabled) set(this.button, "Kill");
    this.hints();
  }

  hints() {
    const { head, asked, problem } = this.run;
    if (problem) set(this.hint, "");
    else if (this.stop === null) set(this.hint, "to stop it, interrupt the kernel");
    else set(this.hint, head.background && asked && !this.button.disabled ? "waits for the cell that is running" : "");
  }

  drawPull(pull) {
    if (!pull) return this.pull.draw(null);
    const layers = pull.layers[1] ? `, ${pull.layers[0]} of ${count(pull.layers[1], "layer")}` : "";
    const size = pull.total ? `${bytes(pull.current)} of ${bytes(pull.total)}` : bytes(pull.current);
    return this.pull.draw(`${pull.image}: ${size}${layers}`, pull.total ? pull.current / pull.total : 0);
  }

  drawUsage(usage, points) {
    const cpus = `${Number(usage.cpus.toFixed(2))} CPU${usage.cpus === 1 ? "" : "s"}`;
    const percent = (value) => `${Math.round(value / usage.cpus)} % of ${cpus}`; // of the quota, as words.py says it
    this.cpu.draw(usage.cpu === null ? "measuring" : percent(usage.cpu), (usage.cpu ?? 0) / 100 / usage.cpus);
    const held = `${bytes(usage.memory)}${usage.limit ? ` of ${bytes(usage.limit)}` : ""}`;
    this.memory.draw(`${held}, peak ${bytes(usage.peak)}`, usage.limit ? usage.memory / usage.limit : null);
    const measured = points.filter((point) => point[1] !== null).map((point) => [point[0], point[1]]);
    const most = Math.max(0, ...measured.map((point) => point[1]));
    this.charts[0].draw(measured, `CPU up to ${percent(most)}`);
    this.charts[1].draw(points.map((point) => [point[0], point[2]]), `memory up to ${bytes(usage.peak)}`);
    const { network, disk, pids, gpu } = this.others;
    network.draw(usage.received || usage.sent ? `↓ ${bytes(usage.received)} ↑ ${bytes(usage.sent)}` : null);
    disk.draw(usage.read || usage.written ? `${bytes(usage.read)} read, ${bytes(usage.written)} written` : null);
    pids.draw(usage.pids ? String(usage.pids) : null);
    const gpuMemory = usage.gpu_memory === null ? "" : `, ${bytes(usage.gpu_memory)}`;
    gpu.draw(usage.gpu === null ? null : `${Math.round(usage.gpu)} %${gpuMemory}`, (usage.gpu ?? 0) / 100);
  }

  // Nobody reads further up any more: what was kept for that goes at once, not with the next message.
  followTail() {
    this.follow = this.latest.hidden = true;
    this.run.trim();
    this.scroll(true);
  }

  // Somebody scrolls up: what was left out comes above, and what is seen stays where it is.
  drawEarlier() {
    const below = this.pane.scrollHeight - this.pane.scrollTop;
    this.drawLines(new Set(), true);
    this.pane.scrollTop = this.pane.scrollHeight - below;
  }

  drawLines(changed, all = false) {
    if (!changed.size && !all) return;
    const { lines } = this.run;
    const first = this.reading() || all ? 0 : Math.max(0, lines.length - DRAWN);
    this.drop(lines.slice(0, first));
    let before = null;
    let expected = first ? lines[first - 1][0] + 1 : 0;
    for (const [number, stream, text, hidden] of lines.slice(first)) {
      let row = this.rows.get(number);
      if (!row) {
        row = make("div", { class: `sm-line sm-${stream}` });
        this.rows.set(number, row);
        if (before) before.after(row);
        else this.pane.prepend(row);
      }
      if (changed.has(number) || !row.hasChildNodes()) {
        row.replaceChildren(paint(text), hidden ? make("em", {}, ` … ${bytes(hidden)} more`) : text ? "" : "\n");
      }
      if (number === expected) delete row.dataset.skipped;
      else row.dataset.skipped = `${count(number - expected, "line")} not shown`;
      expected = number + 1;
      before = row;
    }
    this.scroll(false);
  }

  drop(lines) {
    for (const [number] of lines) {
      this.rows.get(number)?.remove();
      this.rows.delete(number);
    }
    this.scroll(false);
  }

  // Whoever reads is not to lose the place.
  reading() {
    return !this.follow || this.selecting();
  }

  selecting() {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && this.pane.contains(selection.anchorNode);
  }

  scroll(forced) {
    if (forced || (this.follow && !this.selecting())) this.pane.scrollTop = this.pane.scrollHeight;
  }
}

// What Stop does here, or null where this front end gives a widget no way to its kernel.
function stopper(model, run) {
  if (run.head.background) return () => model.send({ stop: true }); // its kernel is free to read this
  const kernel = () => model.widget_manager?.kernel;
  return typeof kernel()?.interrupt === "function" ? () => kernel().interrupt() : null;
}

// Nothing more comes when the kernel is gone; without this the clock would go on for ever.
function watch(model, run) {
  const lost = () => {
    run.problem = "its kernel is gone";
    run.tell();
  };
  model.on("comm_live_update", lost);
  model.widget_manager?.kernel?.statusChanged?.connect((_, status) => {
    if (["dead", "restarting", "autorestarting", "terminating"].includes(status)) lost();
  });
}

export default () => {
  const run = new Run();
  return {
    initialize({ model }) {
      run.take(model.get("snapshot"));
      model.on("change:snapshot", () => run.take(model.get("snapshot")));
      model.on("msg:custom", (message) => run.take(message));
      watch(model, run);
    },
    render({ model, el }) {
      const panel = new Panel(run, stopper(model, run));
      el.append(panel.element);
      return () => panel.remove();
    },
  };
};
