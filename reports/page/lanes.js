// One engine's lanes: a row for each request, a column for each step, the token budget on top. Only what is in sight is drawn.
import { el, shown } from "./dom.js";

const LANE = 20, BUDGET = 30, AXIS = 18, TOP = BUDGET + AXIS + 4, NARROWEST = 7, WIDEST = 72;

/** A request's colour: one of eight, told apart by more than colour wherever it stands. */
export function hue(lane) {
  return [250, 145, 45, 320, 195, 85, 285, 15][lane % 8];
}

export class Lanes {
  constructor(name, pick) {
    this.name = name;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.spacer = el("div", { class: "spacer" }, this.canvas);
    this.box = el("div", { class: "lanes", tabindex: "0", role: "group" }, this.spacer);
    this.box.addEventListener("scroll", () => this.draw());
    this.canvas.addEventListener("pointerdown", event => {
      const step = this.#stepAt(event.offsetX);
      if (step !== null) pick(step);
    });
    this.canvas.addEventListener("pointermove", event => { this.canvas.title = this.#tell(event.offsetX, event.offsetY); });
    this.view = null;
  }

  /** How wide a column would be if all of `count` were to be in sight. */
  fit(count) {
    return Math.max(NARROWEST, Math.min(WIDEST, (this.box.clientWidth - this.#gutter() - 8) / Math.max(count, 12)));
  }

  /** view: {run, lanes: [ids], count, column, cursor, differs: Set of steps}. */
  show(view) {
    this.view = view;
    this.spacer.style.width = `${this.#gutter() + view.count * view.column + 8}px`;
    this.spacer.style.height = `${TOP + view.lanes.length * LANE + 6}px`;
    this.box.setAttribute("aria-label", `${this.name}: ${view.lanes.length} requests over ${view.run.steps.length} steps`);
    this.draw();
  }

  /** Scroll so that the cursor's column is in sight, and somebody who is at work there. */
  reveal() {
    const { box, view } = this, left = view.cursor * view.column, room = box.clientWidth - this.#gutter() - 2 * view.column;
    if (left < box.scrollLeft || left > box.scrollLeft + room) box.scrollLeft = left - room / 2;
    const busy = (view.run.steps[view.cursor]?.scheduled ?? []).map(({ id }) => TOP + view.lanes.indexOf(id) * LANE - box.scrollTop);
    if (busy.length && !busy.some(y => y >= TOP && y + LANE <= box.clientHeight)) box.scrollTop += Math.min(...busy) - TOP - LANE;
  }

  draw() {
    const width = this.box.clientWidth, height = Math.min(this.box.clientHeight, parseFloat(this.spacer.style.height) || 0);
    if (!this.view || !width || !height) return;
    const scale = window.devicePixelRatio || 1;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const pen = this.pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.box), colour = name => style.getPropertyValue(name).trim();
    this.ink = { ink: colour("--ink"), soft: colour("--soft"), line: colour("--line"), card: colour("--card"), amber: colour("--amber"),
                 red: colour("--red"), lightness: colour("--lane-l"), on: colour("--on-lane"), mono: colour("--mono"), sans: colour("--sans") };
    this.#drawColumns(width, height);
    this.#drawLanes(width, height);
    this.#drawNames(height);
  }

  #gutter() {
    return this.box.clientWidth < 520 ? 52 : 92;
  }

  #stepAt(x) {
    const step = Math.floor((x - this.#gutter() + this.box.scrollLeft) / this.view.column);
    return x >= this.#gutter() && step < this.view.count ? Math.max(0, step) : null;
  }

  #tell(x, y) {
    const lane = this.view.lanes[Math.floor((y - TOP + this.box.scrollTop) / LANE)], step = this.#stepAt(x);
    const cell = y > TOP && lane !== undefined && this.view.run.steps[step]?.cells.get(lane);
    return lane === undefined || y < TOP ? "" : step === null ? shown(lane) : cell ? shown(`${lane}, step ${step}: ${told(cell)}`) : "";
  }

  /** The columns in sight: [first, behind the last]. */
  #inSight(width) {
    const { column, count } = this.view, left = this.box.scrollLeft;
    return [Math.max(0, Math.floor(left / column)), Math.min(count, Math.ceil((left + width - this.#gutter()) / column))];
  }

  #drawColumns(width, height) {
    const { pen, ink, view } = this, { column, cursor, differs, run } = view, [first, end] = this.#inSight(width);
    const budget = run.limits.max_num_batched_tokens ?? Math.max(1, ...run.steps.map(step => step.tokens));
    const every = [1, 2, 5, 10, 20, 50, 100, 200].find(step => step * column >= 24);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (let step = first; step < end; step++) {
      const x = this.#x(step);
      if (step === cursor) { pen.fillStyle = ink.ink; pen.globalAlpha = .09; pen.fillRect(x, 0, column, height); pen.globalAlpha = 1; }
      const tokens = run.steps[step]?.tokens ?? 0, tall = Math.min(1, tokens / budget) * (BUDGET - 6);
      pen.fillStyle = ink.line;
      pen.fillRect(x + 1, BUDGET, column - 2, 1);
      pen.fillStyle = ink.soft;
      pen.fillRect(x + 1, BUDGET - tall, Math.max(1, column - 2), tall);
      if (differs.has(step)) { pen.fillStyle = ink.amber; pen.fillRect(x + 1, BUDGET + 3, Math.max(2, column - 2), 3); }
      if (step % every === 0 || step === cursor) {
        pen.fillStyle = step === cursor ? ink.ink : ink.soft;
        pen.font = `${step === cursor ? 700 : 400} 11px ${ink.sans}`;
        if (step === cursor || Math.abs(step - cursor) * column > 22) pen.fillText(step, x + column / 2, BUDGET + AXIS - 5);
      }
    }
    pen.strokeStyle = ink.soft;
    pen.setLineDash([2, 3]);
    line(pen, this.#gutter(), 5.5, this.#x(Math.min(end, view.count)), 5.5);
    pen.setLineDash([]);
  }

  #x(step) {
    return this.#gutter() + step * this.view.column - this.box.scrollLeft;
  }

  /** The lanes in sight, each with its height on the canvas. */
  *#rows(height) {
    const first = Math.floor(this.box.scrollTop / LANE);
    for (let lane = first; lane < this.view.lanes.length; lane++) {
      const y = TOP + lane * LANE - this.box.scrollTop;
      if (y > height) return;
      yield [lane, y];
    }
  }

  #drawLanes(width, height) {
    const { pen, view } = this, [first, end] = this.#inSight(width);
    pen.save();
    pen.beginPath();
    pen.rect(this.#gutter() - 1, TOP, width, height - TOP);
    pen.clip();
    for (const [lane, y] of this.#rows(height)) {
      pen.fillStyle = this.ink.line;
      pen.fillRect(this.#gutter(), y + LANE - .5, view.count * view.column, .5);
      for (let step = first; step < end; step++) {
        const cell = view.run.steps[step]?.cells.get(view.lanes[lane]);
        if (cell) this.#drawCell(cell, lane, this.#x(step), y, view.column);
      }
    }
    pen.restore();
  }

  #drawCell(cell, lane, x, y, wide) {
    const { pen, ink } = this, middle = y + LANE / 2, colour = `oklch(${ink.lightness} .11 ${hue(lane)})`;
    pen.fillStyle = pen.strokeStyle = colour;
    pen.lineWidth = 1.5;
    if (cell.kind === "waiting") {
      pen.setLineDash(cell.again ? [5, 2] : [1.5, 3]);
      line(pen, x, middle, x + wide, middle);
      pen.setLineDash([]);
    } else if (cell.kind === "idle") {
      line(pen, x, middle, x + wide, middle);
    } else if (cell.kind === "prefill") {
      pen.fillRect(x + .5, y + 2.5, wide - 1, LANE - 5);
      if (cell.admitted && cell.computed) { pen.fillStyle = ink.card; pen.fillRect(x + 2, y + LANE - 6, Math.max(3, wide * .3), 2); }
      if (cell.again) hatch(pen, x + .5, y + 2.5, wide - 1, LANE - 5, ink.on);
      this.#write(String(cell.tokens), x + wide / 2, middle, wide, ink.on, cell.again && colour);
    } else if (cell.kind === "decode") {
      pen.fillRect(x - .3, middle - 3, wide + .6, 6);     // without seams between the columns
      if (cell.tokens > 1) this.#write(String(cell.tokens), x + wide / 2, middle, wide, ink.on);
    } else if (cell.kind === "preempted" || cell.kind === "refused") {
      pen.strokeStyle = ink.red;
      pen.strokeRect(x + 1.5, y + 3.5, wide - 3, LANE - 7);
      hatch(pen, x + 1.5, y + 3.5, wide - 3, LANE - 7, ink.red, wide > 13 ? .45 : 1);
      this.#write(cell.kind === "refused" ? "!" : "P", x + wide / 2, middle, wide, ink.red, ink.card);
    }
    if (cell.end) this.#drawEnd(cell.end, cell.kind === "none" ? x : x + wide - 5, middle);
  }

  #drawEnd(end, x, middle) {
    const { pen, ink } = this;
    pen.fillStyle = pen.strokeStyle = end === "aborted" ? ink.red : ink.ink;
    if (end === "aborted") { pen.lineWidth = 2; line(pen, x, middle - 4, x + 6, middle + 4); line(pen, x, middle + 4, x + 6, middle - 4); }
    else pen.fillRect(x + 1, middle - 7, 4, 14);
  }

  /** Over a hatching, the letters stand on `ground`. */
  #write(text, x, y, wide, colour, ground = null) {
    const needs = text.length * 6.5 + 3;
    if (needs > wide) return;
    if (ground) { this.pen.fillStyle = ground; this.pen.fillRect(x - needs / 2 - 1, y - 7, needs + 2, 14); }
    this.pen.fillStyle = colour;
    this.pen.font = `600 11px ${this.ink.sans}`;
    this.pen.fillText(text, x, y + .5);
  }

  #drawNames(height) {
    const { pen, ink } = this, room = this.#gutter() - 12;
    pen.textAlign = "right";
    pen.fillStyle = ink.soft;
    pen.font = `11px ${ink.sans}`;
    const budget = this.view.run.limits.max_num_batched_tokens;
    if (budget) pen.fillText(`${budget} tokens`, room + 4, 7, room);
    pen.save();
    pen.beginPath();
    pen.rect(0, TOP, this.#gutter(), height - TOP);
    pen.clip();
    pen.font = `11.5px ${ink.mono}`;
    for (const [lane, y] of this.#rows(height)) {
      pen.fillStyle = ink.ink;
      pen.fillText(short(shown(this.view.lanes[lane]), Math.floor(room / 7)), room, y + LANE / 2 + .5);
      pen.fillStyle = `oklch(${ink.lightness} .11 ${hue(lane)})`;
      pen.fillRect(room + 4, y + 3, 3, LANE - 6);
    }
    pen.restore();
    pen.textAlign = "center";
  }
}

/** A name in so many characters: its end, which tells names apart. */
export function short(name, most) {
  const characters = [...name];
  return characters.length <= most ? name : `…${characters.slice(1 - most).join("")}`;
}

/** A cell in words. */
export function told(cell) {
  const ended = cell.end ? (cell.kind === "none" ? cell.end : `, ${cell.end}`) : "";
  const tokens = cell.tokens === undefined ? "" : `, ${cell.tokens} after ${cell.computed}`;
  const kinds = { waiting: cell.again ? "waiting again" : "waiting", idle: "running, not scheduled", none: "",
                  prefill: cell.again ? "prefill again" : "prefill", decode: "decode", preempted: "preempted", refused: "refused" };
  return kinds[cell.kind] + (["prefill", "decode"].includes(cell.kind) ? tokens : "") + ended;
}

function line(pen, x, y, toX, toY) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(toX, toY);
  pen.stroke();
}

function hatch(pen, x, y, wide, tall, colour, strength = .55) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, wide, tall);
  pen.clip();
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.globalAlpha = strength;
  for (let start = x - tall; start < x + wide; start += 4) line(pen, start, y + tall, start + tall, y);
  pen.restore();
}
