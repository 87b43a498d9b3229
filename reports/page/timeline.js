// Two engines (or one) in step: lanes above each other, one axis, one cursor, and what happened there.
import { el, put } from "./dom.js";
import { Decoded, laneIds } from "./decode.js";
import { Lanes } from "./lanes.js";
import { Moment } from "./moment.js";

const SIGNS = { first: "|‹", play: "▶", pause: "❚❚", last: "›|" };

export class Timeline {
  /** `names`: what the sides are called, {ours, theirs}; a side without a name is not shown. `moved(step)` hears of the cursor. */
  constructor(element, names, { moved = () => {}, perSecond = 4 } = {}) {
    this.names = Object.fromEntries(Object.entries(names).filter(([, name]) => name));
    this.runs = {};
    this.cursor = 0;
    this.following = false;     // a live view: the cursor stays on the newest step
    this.differences = [];      // steps, ascending
    this.moved = moved;
    this.perSecond = perSecond;
    this.timer = null;
    this.lanes = Object.fromEntries(Object.entries(this.names).map(([side, name]) => [side, new Lanes(name, step => this.go(step))]));
    this.moment = new Moment(this.names);
    this.element = element;
    element.classList.add("timeline");
    put(element, [this.#toolbar(), Object.entries(this.names).map(([side, name]) =>
      el("div", { class: "side", "data-side": side }, el("h5", {}, name), this.lanes[side].box)), legend(), this.moment.element]);
    this.#scrollTogether();
    new ResizeObserver(() => this.#draw()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    element.timeline = this;
  }

  /** Show a run on one side from its beginning. */
  setRun(side, timeline) {
    this.runs[side] = new Decoded(timeline);
    this.differences = [];
    for (let step = 0; step < this.count; step++) this.#compare(step);
    this.lanes[side].box.scrollTop = 0;
    this.#changed();
  }

  /** A step that came later. A live view stays at the newest. */
  append(side, index, step) {
    const run = this.runs[side];
    if (index !== run.steps.length) throw new RangeError(`step ${index} of ${side} came when step ${run.steps.length} was due`);
    run.push(step);
    this.#compare(index);
    if (this.following) this.cursor = this.count - 1;
    this.#changed();
  }

  /** A request was added to a live run. */
  addRequest(request) {
    for (const run of Object.values(this.runs)) run.requests.push(request);
  }

  get count() {
    return Math.max(0, ...Object.values(this.runs).map(run => run.steps.length));
  }

  /** Move the cursor to a step, or as near as there is one. */
  go(step) {
    this.show(step);
    this.moved(this.cursor);
  }

  /** The same, for whoever moves it without a person's doing: nobody hears of it. */
  show(step) {
    this.cursor = Math.max(0, Math.min(this.count - 1, step));
    this.#draw();
    for (const lanes of Object.values(this.lanes)) if (lanes.view) lanes.reveal();
  }

  goToDifference(direction) {
    const found = direction > 0 ? this.differences.find(step => step > this.cursor) : this.differences.findLast(step => step < this.cursor);
    if (found !== undefined) this.go(found);
  }

  play() {
    if (this.timer) return this.pause();
    if (this.cursor >= this.count - 1) this.go(0);
    this.timer = setInterval(() => this.cursor < this.count - 1 ? this.go(this.cursor + 1) : this.pause(), 1000 / this.perSecond);
    this.#buttons();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.#buttons();
  }

  /** What a key does here; false if it does nothing. */
  key(key) {
    const does = { ArrowLeft: () => this.go(this.cursor - 1), ArrowRight: () => this.go(this.cursor + 1), Home: () => this.go(0),
                   End: () => this.go(this.count - 1), n: () => this.goToDifference(1), p: () => this.goToDifference(-1), " ": () => this.play() }[key];
    does?.();
    return Boolean(does);
  }

  #compare(step) {
    const { ours, theirs } = this.runs;
    if (!ours || !theirs) return;
    const live = [ours, theirs].some(run => !run.ended) && (!ours.steps[step] || !theirs.steps[step]);
    if (live) return;   // the other side is still to come
    if (!ours.steps[step] || !theirs.steps[step] || ours.compared(step) !== theirs.compared(step)) this.differences.push(step);
  }

  #changed() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.#draw();
      if (this.following) for (const lanes of Object.values(this.lanes)) if (lanes.view) lanes.reveal();
    });
  }

  #draw() {
    if (!this.count || !this.element.clientWidth) return;
    const ids = laneIds(Object.values(this.runs)), differs = new Set(this.differences), all = Object.entries(this.lanes);
    const column = Math.min(...all.map(([, lanes]) => lanes.fit(this.count)));
    for (const [side, lanes] of all)
      if (this.runs[side]) lanes.show({ run: this.runs[side], lanes: ids, count: this.count, column, cursor: this.cursor, differs });
    this.moment.show(this.runs, this.cursor, ids);
    this.#buttons();
  }

  #toolbar() {
    const button = (name, label, key, act, sign) => this[`${name}Button`] =
      el("button", { type: "button", "aria-label": label, title: `${label} (${key})`, "data-act": name, click: act }, sign);
    this.slider = el("input", { type: "range", min: "0", value: "0", "aria-label": "Step", input: () => this.go(Number(this.slider.value)) });
    this.place = el("output", { class: "place" });
    return el("div", { class: "toolbar", role: "toolbar", "aria-label": "Playback" },
      el("div", { class: "buttons" },
        button("first", "First step", "Home", () => this.go(0), SIGNS.first),
        button("previous", "Previous step", "←", () => this.go(this.cursor - 1), "‹"),
        button("play", "Play", "space", () => this.play(), SIGNS.play), button("next", "Next step", "→", () => this.go(this.cursor + 1), "›"),
        button("last", "Last step", "End", () => this.go(this.count - 1), SIGNS.last)),
      Object.keys(this.names).length === 2 && el("div", { class: "buttons" },
        button("before", "Previous difference", "p", () => this.goToDifference(-1), "‹ ≠"),
        button("after", "Next difference", "n", () => this.goToDifference(1), "≠ ›")),
      this.slider, this.place);
  }

  #buttons() {
    const last = this.count - 1, { cursor, differences } = this;
    this.slider.max = String(Math.max(0, last));
    this.slider.value = String(cursor);
    const disable = (name, off) => { if (this[`${name}Button`]) this[`${name}Button`].disabled = off; };
    disable("first", cursor <= 0); disable("previous", cursor <= 0); disable("next", cursor >= last); disable("last", cursor >= last);
    disable("before", !differences.some(step => step < cursor)); disable("after", !differences.some(step => step > cursor));
    this.playButton.textContent = this.timer ? SIGNS.pause : SIGNS.play;
    this.playButton.setAttribute("aria-label", this.timer ? "Pause" : "Play");
    put(this.place, [el("b", {}, `step ${cursor}`), ` of 0–${Math.max(0, last)}`,
      differences.includes(cursor) && el("span", { class: "differ" }, " ≠ differs"),
      Object.keys(this.names).length === 2 && el("span", { class: "quiet" }, ` · ${differences.length ? `${differences.length} differ` : "no difference"}`)]);
  }

  /** The lanes of both sides stand above each other, however one scrolls. */
  #scrollTogether() {
    const boxes = Object.values(this.lanes).map(lanes => lanes.box);
    for (const box of boxes) box.addEventListener("scroll", () => {
      for (const other of boxes) {
        if (other.scrollLeft !== box.scrollLeft) other.scrollLeft = box.scrollLeft;
        if (other.scrollTop !== box.scrollTop) other.scrollTop = box.scrollTop;
      }
    });
  }
}

function legend() {
  const lanes = [["waiting", "waiting"], ["again", "waiting again"], ["prefill", "prefill, its tokens", "12"], ["refill", "prefill again", "12"],
                 ["hit", "with cached tokens", "4"], ["decode", "decode"], ["preempted", "preempted", "P"], ["finished", "finished"],
                 ["aborted", "aborted", "×"]];
  const blocks = [["null", "null block", "∅"], ["free", "free"], ["owned", "held", "a"], ["shared", "shared", "a+1"],
                  ["cached", "in the prefix cache", "•"], ["evicted", "evicted here", "×"]];
  const key = (kind, list) => list.map(([name, label, sign = ""]) => el("li", {}, el("i", { class: `${kind} ${name}`, "aria-hidden": "true" }, sign), label));
  return el("details", { class: "legend" }, el("summary", {}, "What the signs mean"),
            el("ul", {}, key("lane-key", lanes)), el("ul", {}, key("block-key", blocks)));
}
