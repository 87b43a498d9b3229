// What both engines did at one step: a row for each fact, the sides next to each other, the words in which they differ marked.
import { el, put, shown } from "./dom.js";
import { BlockMap } from "./block_map.js";
import { ids } from "./decode.js";
import { marked } from "./words.js";

const MOST_IDS = 24;
const LAST_STEP_ONLY = "The run was over before this step.";

/** Each fact of a step: its name, and its text. */
const FACTS = [
  ["Scheduled", step => step.scheduled.map(({ id, kind, tokens, computed, blocks, drafts }) =>
    `${id} ${kind}: ${tokens} after ${computed}${blocks ? ` on ${kind === "running" ? "+" : ""}${blocks}` : ""}${drafts ? `, ${drafts.length} of them drafts` : ""}`).join("\n")],
  ["Preempted", step => (step.raw.preempted ?? []).join(" ")],
  ["Refused", step => (step.raw.refused ?? []).join(" ")],
  ["Told to be finished", step => (step.raw.finished ?? []).join(" ")],
  ["Prefix cache reset", step => (step.raw.resets ?? []).map(done => done ? "done" : "not possible").join(", ")],
  ["Running, in order", step => step.state.running.join(" ")],
  ["Waiting, next first", step => step.state.waiting.join(" ")],
  ["Free blocks, next first", step => counted(step.state.free)],
  ["Cached blocks", step => step.state.cached],
  ["Sampled", step => (step.raw.outputs ?? []).map(([id, tokens, reason, stop]) =>
    `${id}: ${tokens.join(" ")}${reason ? ` (${reason}${stop ? `, ${stop}` : ""})` : ""}`).join("\n")],
  ["Text", step => Object.entries(step.raw.text ?? {}).map(([id, text]) => `${id}: ${JSON.stringify(text)}`).join("\n")],
  ["Then running", step => later(step, "running", list => list.join(" "))],
  ["Then waiting", step => later(step, "waiting", list => list.join(" "))],
  ["Then free", step => later(step, "free", counted)],
  ["Then cached", step => later(step, "cached", text => text)],
  ["Said", step => (step.raw.errors ?? []).join("\n")],
];

/** A queue: each id, since their order matters; of a long one, neighbours as ranges. */
function counted(free) {
  const all = ids(free), said = all.length > MOST_IDS ? free : all.join(" ");
  return all.length > 9 ? `${said}  (${all.length})` : said;
}

/** What update_from_output() changed. */
function later(step, part, words) {
  return JSON.stringify(step.updated[part]) === JSON.stringify(step.state[part]) ? "" : words(step.updated[part]) || "none";
}

export class Moment {
  /** `sides`: the names of the engines that are shown, by side. */
  constructor(sides) {
    this.sides = Object.entries(sides);
    this.maps = Object.fromEntries(this.sides.map(([side, name]) => [side, new BlockMap(name)]));
    this.head = row("", this.sides);
    this.blocks = row("Blocks", this.sides, "wide");
    this.facts = FACTS.map(([name]) => row(name, this.sides, "words"));
    this.why = row("Why", this.sides, "why");
    this.watched = row("Watched in vLLM", this.sides, "words");
    this.sides.forEach(([side], i) => put(this.blocks.cells[i], [this.maps[side].element]));
    this.element = el("div", { class: `moment${this.sides.length === 1 ? " single" : ""}` },
                      [this.head, this.facts[0], this.facts[1], this.blocks, ...this.facts.slice(2)].map(row => row.element), this.why.element);
    this.element.insertBefore(this.why.element, this.blocks.element);
    this.element.insertBefore(this.watched.element, this.why.element);
  }

  /** `runs`: the decoded runs by side. */
  show(runs, index, lanes) {
    const steps = this.sides.map(([side]) => runs[side]?.steps[index]);
    this.sides.forEach(([side, name], i) => put(this.head.cells[i], [el("b", {}, name), el("span", {}, summary(runs[side], steps[i]))]));
    FACTS.forEach(([, say], i) => this.#fact(this.facts[i], steps.map(step => step ? say(step) : "")));
    const why = steps.map(step => step?.raw.reasons ?? []);
    this.why.element.hidden = !why.some(reasons => reasons.length);
    why.forEach((reasons, i) => put(this.why.cells[i], [reasons.length ? el("ul", {}, reasons.map(reason => el("li", {}, reason)))
                                                                       : el("span", { class: "quiet" }, "—")]));
    this.#watched(steps.map(step => Object.entries(step?.raw.watched ?? {})));
    this.#map(runs, index, lanes, steps);
  }

  /** What was asked of one engine alone is no difference. */
  #watched(values) {
    this.watched.element.hidden = !values.some(pairs => pairs.length);
    values.forEach((pairs, i) => put(this.watched.cells[i], pairs.length ? [pairs.map(([name, value]) => `${name} = ${value}`).join("\n")]
                                                                         : [el("span", { class: "quiet" }, "—")]));
  }

  #fact(row, texts) {
    row.element.hidden = !texts.some(Boolean);
    const differs = texts.length === 2 && texts[0] !== texts[1];
    row.element.classList.toggle("differs", differs);
    const said = differs ? marked(...texts) : texts.map(text => [text]);
    row.cells.forEach((cell, i) => put(cell, texts[i] ? said[i] : [el("span", { class: "quiet" }, differs ? el("mark", {}, "nothing") : "—")]));
  }

  #map(runs, index, lanes, steps) {
    const blocks = this.sides.map(([side], i) => steps[i] ? runs[side].blocks(index) : []);
    this.sides.forEach(([side], i) => {
      const others = this.sides.length === 2 && steps[0] && steps[1] ? blocks[1 - i] : null;
      this.maps[side].show(blocks[i], lanes, others, steps[i] ? runs[side].limits.num_blocks ?? 0 : 0);
    });
    this.blocks.element.classList.toggle("differs", this.sides.length === 2 && JSON.stringify(blocks[0]) !== JSON.stringify(blocks[1]));
  }
}

function row(name, sides, kind = "") {
  const cells = sides.map(([side, engine]) => el("div", { "data-side": side, "data-name": engine, dir: "ltr" }));
  const label = el("div", { class: "fact" }, name, name && el("span", { class: "differ" }, "≠ differs"));
  return { element: el("div", { class: `fact-row ${kind}` }, label, ...cells), cells };
}

function summary(run, step) {
  if (!run) return "has not begun";
  if (!step) return run.error ? `${run.ended}: ${shown(run.error)}` : LAST_STEP_ONLY;
  const budget = run.limits.max_num_batched_tokens, usage = step.state.usage;
  const last = step.index === run.steps.length - 1;
  const over = last && run.ended && run.ended !== "finished" ? `, then ${run.ended}${run.error ? `: ${run.error}` : ""}` : "";
  return `${step.tokens}${budget ? ` of ${budget}` : ""} tokens`
    + (usage === null ? "" : ` · ${Math.round(usage * 100)} % of the pool held`) + over;
}
