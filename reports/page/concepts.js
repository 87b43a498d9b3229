// The concept map: what a thing is called here and in vLLM, by theme, and behind each the claims of this run about it.
import { mark } from "./claim.js";
import { code, conceptLink, el, number, put } from "./dom.js";

export class ConceptMap {
  /** `themes`: as the run file has them, maybe none. */
  constructor(themes, claims) {
    this.claims = claims;
    this.rows = new Map();
    const size = themes.reduce((sum, { concepts }) => sum + concepts.length, 0);
    this.element = size > 0 && el("details", { class: "concepts" },
      el("summary", {}, el("h2", {}, "The same thing, by both names ", el("small", {}, number(size, "concept")))),
      themes.map(({ theme, concepts }) => el("section", {}, el("h3", {}, theme), concepts.map(concept => this.#row(concept)))));
  }

  /** Go to a concept, and show what is behind it. */
  open(name) {
    const row = this.rows.get(name);
    if (!row) return;
    this.element.open = row.open = true;
    row.querySelector("summary").focus({ preventScroll: true });
    row.scrollIntoView({ block: "center" });
  }

  #row({ name, ours, vllm }) {
    const about = this.claims.filter(claim => claim.data.concepts?.includes(name));
    const body = el("div", { class: "body" });
    const row = el("details", { class: "concept", toggle: () => body.firstChild || put(body, behind(name, about)) },
      el("summary", {}, el("b", {}, name), el("code", {}, ours), el("code", {}, vllm),
         el("span", { class: "quiet" }, about.length > 0 && number(about.length, "claim"))), body);
    this.rows.set(name, row);
    return row;
  }
}

function behind(name, about) {
  return [code("For both sources side by side, type", `python -m spec explain "${name}"`, "next"),
          about.length > 0 && el("ul", {}, about.map(({ kind, data }) =>
            el("li", {}, mark(kind), el("a", { href: `#${encodeURIComponent(data.id)}`, dir: "auto" }, data.sentence || data.nodeid)))),
          el("a", { href: conceptLink(name) }, "Link to this concept")];
}
