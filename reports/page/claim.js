// One claim: a line, and behind it what was found, both engines' timelines, the workload and vLLM's source.
import { code, conceptLink, el, link, put, shown } from "./dom.js";
import { Timeline } from "./timeline.js";
import { unpack } from "./unpack.js";
import { marked } from "./words.js";

/** The sign of a verdict. The word stands beside it. */
export function mark(kind) {
  return el("span", { class: `mark ${kind.key} ${kind.side}`, "aria-hidden": "true" }, kind.mark);
}

/** pytest's own account of a failure. */
export function log(text) {
  return el("pre", { class: "log", tabindex: "0", "aria-label": "pytest's account" }, text);
}

/** The line of a claim, and its body once it is opened. `moved(claim, step)` hears of the cursor's moves. */
export class Claim {
  constructor(data, kind, moved) {
    this.data = data;
    this.kind = kind;
    this.moved = moved;
    this.find = [data.nodeid, data.theme, kind.name, data.sentence, data.vllm, ...(data.about ?? [])].join(" ").toLowerCase();
    this.body = null;
  }

  /** The line, made when it is first asked for. */
  get element() {
    return this.made ??= this.#line();
  }

  #line() {
    const { data, kind } = this;
    return el("details", { class: `claim ${kind.side}`, "data-kind": kind.key, toggle: () => this.element.open && this.fill() },
              el("summary", {}, mark(kind), el("span", { class: `word ${kind.key}` }, kind.name),
                 el("span", { class: "sentence", dir: "auto" }, data.sentence || data.nodeid), el("span", { class: "where" }, data.vllm ?? "")));
  }

  /** Open it, at a step if one is given. */
  open(step = null) {
    this.step = step ?? this.step ?? null;
    this.element.open = true;
    this.fill();
    if (step !== null && this.timeline) this.timeline.go(step);
  }

  fill() {
    if (this.body) return;
    const { data, kind } = this, finding = data.finding ?? {};
    this.body = el("div", { class: "body" });
    put(this.body, [
      (kind.side !== "pass" || data.finding) && el("p", { class: "meaning" }, `${kind.meaning[0].toUpperCase()}${kind.meaning.slice(1)}.`),
      data.known && el("p", { class: "known" }, el("b", {}, "Registered: "), data.known.reason, " ",
                            link(data.known.link ?? "", data.known.link ?? "")),
      finding.headline && el("p", { class: "headline", dir: "auto" }, finding.headline),
      finding.detail && log(finding.detail),
      finding.remedy && el("p", { class: "remedy" }, el("b", {}, "What to do: "), finding.remedy),
      (finding.ours || finding.theirs) && this.#difference(finding),
      finding.ours_reasons?.length > 0 && el("div", { class: "reasons" }, el("h4", {}, `Why ${shown(this.ours)} did so`),
                                             el("ul", {}, finding.ours_reasons.map(reason => el("li", {}, reason)))),
      this.#place(),
      data.longrepr && (!data.finding || kind.key === "error" || data.outcome === "error") && log(data.longrepr),
      finding.shrunk && code("The smallest workload that shows it", finding.shrunk),
      data.workload && (finding.shrunk ? folded("The workload as it was claimed", code("The workload", data.workload))
                                       : code("The workload", data.workload)),
      data.source && this.#source(),
      finding.next && code(finding.advice ? `Next: ${finding.advice}` : "Next, type", finding.next, "next"),
      this.#facts(finding)]);
    this.element.append(this.body);
  }

  get ours() { return this.data.engine || "ours"; }
  get theirs() { return `vLLM ${this.data.reference?.version ?? ""}`.trim(); }

  #difference(finding) {
    const title = [finding.step === null || finding.step === undefined ? "" : `step ${finding.step}`, finding.what].filter(Boolean).join(" · ");
    const [ours, theirs] = marked(finding.ours, finding.theirs);
    return el("div", { class: "difference" }, el("h4", {}, "The first difference", title && `: ${title}`),
              el("dl", {}, el("div", {}, el("dt", {}, this.ours), el("dd", {}, ours)),
                           el("div", {}, el("dt", {}, this.theirs), el("dd", {}, theirs))));
  }

  /** Where the timelines will stand. Drawn when it comes into sight: a page may open with many. */
  #place() {
    if (!this.data.runs) return this.data.missing ? el("p", { class: "missing" }, "Its timelines would make this page too large. ",
                                                      code("A page of this claim alone", this.data.missing, "next")) : null;
    const place = el("div", { class: "place-of-timeline" });
    const watch = new IntersectionObserver(entries => {
      if (!entries.some(entry => entry.isIntersecting)) return;
      watch.disconnect();
      this.#draw(place);
    }, { rootMargin: "300px" });
    watch.observe(place);
    return place;
  }

  async #draw(place) {
    const { runs, shrunk } = await unpack(this.data.runs);
    const choices = runs.map((run, i) => [runs.length > 1 ? `run ${i + 1}` : "the run as claimed", run]);
    if (shrunk) choices.push(["the smallest that shows it", shrunk]);
    const chosen = shrunk ? choices.length - 1 : this.data.finding?.run ?? 0;
    const stage = el("div");
    const tabs = choices.map(([label, run], i) => el("button", { type: "button", "aria-pressed": String(i === chosen), click: () => choose(i) }, label));
    const choose = (i, step = null) => {
      tabs.forEach((tab, j) => tab.setAttribute("aria-pressed", String(i === j)));
      this.#play(stage, choices[i][1], step ?? (i === chosen ? this.first : null));
    };
    put(place, [choices.length > 1 && el("div", { class: "tabs", role: "group", "aria-label": "Which run" }, tabs), stage]);
    if (choices.length) choose(chosen, this.step);
  }

  /** The step of the finding: where the engines part, or the counter-example. */
  get first() {
    const finding = this.data.finding ?? {};
    return finding.step ?? finding.rows?.find(row => row.differs)?.step ?? null;
  }

  #play(stage, { ours, theirs }, step) {
    this.timeline?.pause();
    const place = el("div"), same = !ours;
    put(stage, [same && el("p", { class: "same" }, el("b", {}, "Both made the same decisions."),
                           ` What follows is true of ${this.theirs} and of ${this.ours}; the reasons are ${this.ours}'s.`), place]);
    const moved = at => this.moved(this, at);
    this.timeline = new Timeline(place, same ? { theirs: `${this.ours} and ${this.theirs}` } : { ours: this.ours, theirs: this.theirs }, { moved });
    if (!same) this.timeline.setRun("ours", ours);
    this.timeline.setRun("theirs", theirs);
    this.timeline.show(step ?? this.timeline.differences[0] ?? 0);
  }

  #source() {
    const place = el("div"), { path, line } = this.data.source;
    const folder = folded(`${path}:${line}`, place);
    folder.classList.add("source");
    folder.addEventListener("toggle", async () => {
      if (place.firstChild) return;
      const { text } = (await unpack("sources"))[this.data.vllm];
      put(place, [el("pre", { tabindex: "0", "aria-label": `${path}, from line ${line}` },
                     text.replace(/\n$/, "").split("\n").map((said, i) => [el("i", { "data-line": line + i }), `${said}\n`]).flat())]);
    }, { once: true });
    return el("div", {}, el("h4", {}, "In vLLM"), folder);
  }

  #facts(finding) {
    const { data } = this, { mode = "none", date } = data.reference ?? {};
    const concepts = (data.concepts ?? []).flatMap((name, i) => [i > 0 && ", ", el("a", { href: conceptLink(name) }, name)]);
    const facts = [["Concept", concepts.length && concepts], ["In vLLM", finding.source || data.vllm],
                   ["Judged by", `${this.theirs}, ${mode}${date ? `, ${date}` : ""}`], ["Test", data.nodeid],
                   ["Took", `${Math.round((data.duration ?? 0) * 1000).toLocaleString("en")} ms`]];
    return el("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, ...[value].flat()))),
              el("div", {}, el("dt", {}, "Link"), el("dd", {}, el("a", { href: `#${encodeURIComponent(data.id)}` }, "to this claim"))));
  }
}

function folded(title, content) {
  return el("details", { class: "folded" }, el("summary", {}, title), content);
}
