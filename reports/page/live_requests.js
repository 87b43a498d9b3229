// The requests of a live run: what is happening to each, and its text so far.
import { el, put } from "./dom.js";

const ENDS = { length: "finished: as long as asked", stop: "finished: it came to its end", abort: "aborted", error: "failed" };

export class Requests {
  /** `list`: an <ol>. `names`: of the engines, by side. `abort(id)` is called when somebody has had enough. */
  constructor(list, abort) {
    this.list = list;
    this.abort = abort;
    this.clear({});
  }

  clear(names) {
    this.names = names;
    this.items = new Map();
    this.stale = new Set();
    put(this.list, []);
  }

  get size() {
    return this.items.size;
  }

  /** Whether any has not finished. */
  get busy() {
    return [...this.items.values()].some(({ sides }) => Object.values(sides).some(its => its.kind !== "finished"));
  }

  add(request) {
    const sides = Object.fromEntries(Object.keys(this.names).map(side => [side, { text: "", word: "waiting", kind: "waiting", computed: 0, cached: 0, said: 0 }]));
    const state = el("span", { class: "state" });
    const said = el("div", { class: "said" });
    const button = el("button", { type: "button", "aria-label": `Abort request ${request.id}`, click: () => this.abort(request.id) }, "Abort");
    const item = el("li", { "data-id": request.id }, el("div", { class: "line" }, el("b", {}, request.id), state, button), said);
    this.items.set(request.id, { request, sides, state, said, button, item });
    this.list.prepend(item);
    this.stale.add(request.id);
  }

  /** What a step of one engine did to each of them. */
  step(side, step) {
    for (const [id, kind, tokens, computed] of step.scheduled ?? []) this.#change(id, side, its => {
      if (kind !== "running") its.cached = computed;
      its.computed = computed + tokens;
      its.kind = its.said ? "decode" : "prefill";
      its.word = its.kind === "decode" ? "decoding" : `prefill: ${its.computed} tokens computed`;
    });
    for (const id of step.preempted ?? []) this.#change(id, side, its => { its.kind = "preempted"; its.word = "preempted"; });
    for (const [id, text] of Object.entries(step.text ?? {})) this.#change(id, side, its => { its.text += text; });
    for (const [id, tokens, reason] of step.outputs ?? []) this.#change(id, side, its => {
      its.said += tokens.length;
      if (tokens.length) { its.kind = "decode"; its.word = "decoding"; }
      if (reason) { its.kind = "finished"; its.word = ENDS[reason] ?? reason; }
    });
  }

  aborted(id) {
    for (const side of Object.keys(this.names))
      this.#change(id, side, its => { if (its.kind !== "finished") { its.kind = "finished"; its.word = ENDS.abort; } });
  }

  /** Show what has changed since the last call. */
  draw() {
    for (const id of this.stale) this.#show(this.items.get(id));
    this.stale.clear();
  }

  #change(id, side, change) {
    const its = this.items.get(id)?.sides[side];
    if (!its) return;
    change(its);
    this.stale.add(id);
  }

  #show({ request, sides, state, said, button, item }) {
    const all = Object.entries(sides), [, first] = all[0];
    const same = all.every(([, its]) => its.text === first.text && its.word === first.word);
    const told = ([, its]) => `${its.word}${its.cached ? ` · ${its.cached} tokens from the cache` : ""}${its.said ? ` · ${its.said} said` : ""}`;
    put(state, same ? [told(all[0])] : all.map(pair => el("span", {}, `${this.names[pair[0]]} ${told(pair)}`)));
    put(said, all.slice(0, all.every(([, its]) => its.text === first.text) ? 1 : all.length).map(([side, its], index, shown) =>
      el("p", { dir: "auto" }, shown.length > 1 && el("b", { class: "who" }, this.names[side]), el("span", { class: "asked" }, request.prompt), el("ins", {}, its.text))));
    item.dataset.kind = all.every(([, its]) => its.kind === first.kind) ? first.kind : "parted";
    button.hidden = all.every(([, its]) => its.kind === "finished");
  }
}
