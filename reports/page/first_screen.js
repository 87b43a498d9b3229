// The first screen: the verdict in one sentence, who was asked, the counts (which are the filter as well), what has changed.
import { el } from "./dom.js";
import { mark } from "./claim.js";

/** {header, filter, notices, table}, all to be placed; wants(claim), shown(visible, all), clear(). `changed()` hears of the filter. */
export function firstScreen(run, changed) {
  const boxes = run.counts.map(([key, count]) => chip(run.kinds.find(kind => kind.key === key), count));
  const find = el("input", { type: "search", placeholder: "a word, a theme, a file of vLLM", autocomplete: "off", "aria-label": "Find claims" });
  const said = el("output", { class: "shown", "aria-live": "polite" });
  const filter = run.claims.length > 0 && el("form", { class: "filter", role: "search", input: changed, submit: event => event.preventDefault() },
    el("fieldset", {}, el("legend", {}, "Show claims with the verdict"), boxes.map(box => box.element)),
    el("label", { class: "find" }, find, el("kbd", { "aria-hidden": "true" }, "/")), said);
  const only = words => { find.value = words; changed(); find.scrollIntoView({ block: "center" }); };

  return {
    header: [el("div", { class: "top" }, el("p", { class: "name" }, "InferLab"),
                                         el("button", { type: "button", class: "keys" }, "Keys ", el("kbd", {}, "?"))),
             el("h1", {}, run.verdict), run.warning && el("p", { class: "warning" }, run.warning), since(run.since),
             el("dl", { class: "facts" }, run.facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
             run.sequences.map(line => el("p", { class: "sequences" }, line))],
    filter: filter && [bar(run), filter],
    notices: run.remedy && el("p", { class: "warning" }, el("b", {}, "To test what is untested: "), run.remedy),
    table: table(run, only),
    wants(claim) {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      return boxes.some(box => box.input.checked && box.kind.key === claim.kind.key) && words.every(word => claim.find.includes(word));
    },
    shown(visible, all) { said.textContent = visible < all ? `${visible} of ${all} shown` : ""; },
    clear() {
      find.value = "";
      for (const { input } of boxes) input.checked = !input.disabled;
      changed();
    },
  };
}

function chip(kind, count) {
  const input = el("input", { type: "checkbox", value: kind.key, checked: count > 0, disabled: !count });
  return { kind, input, element: el("label", { class: `chip ${kind.key}${count ? "" : " none"}`, title: kind.meaning }, input, mark(kind),
                                    el("b", {}, String(count)), " ", el("span", {}, count === 1 ? kind.name : kind.many)) };
}

function bar(run) {
  return el("div", { class: "bar", "aria-hidden": "true" },
            run.counts.filter(([, count]) => count).map(([key, count]) => el("i", { class: key, style: `flex-grow:${count}` })));
}

/** What has changed since the run before. */
function since(change) {
  if (!change) return null;
  const lists = change.groups.filter(group => group.claims.length).map(({ title, claims }) =>
    el("details", { class: "change" }, el("summary", {}, title),
       el("ul", {}, claims.map(({ id, sentence, was, is }) => el("li", {},
         el(id ? "a" : "span", { href: id && `#${encodeURIComponent(id)}`, dir: "auto" }, sentence), " ", el("small", {}, [was, is].filter(Boolean).join(" → ")))))));
  return el("div", { class: "since" }, el("p", {}, change.sentence), lists);
}

/** Themes by verdicts. A theme's name finds its claims. */
function table(run, only) {
  const themes = [...Map.groupBy(run.claims, claim => claim.theme || "claims")].sort(([a], [b]) => a < b ? -1 : 1);
  if (themes.length < 2) return null;
  const kinds = run.counts.filter(([, count]) => count).map(([key]) => run.kinds.find(kind => kind.key === key));
  const cell = number => el("td", { class: number ? "" : "none" }, number ? String(number) : "·");
  const rows = themes.map(([theme, claims]) => el("tr", {},
    el("th", { scope: "row" }, el("button", { type: "button", click: () => only(theme) }, theme)),
    kinds.map(kind => cell(claims.filter(claim => claim.kind === kind.key).length)), el("td", {}, String(claims.length))));
  const calm = themes.length <= 14 && !run.claims.some(claim => claim.failed);
  return el("details", { class: "overview", open: calm },
    el("summary", {}, el("h2", {}, "Themes ", el("small", {}, `${themes.length}, by verdict`))),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Themes by verdict" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "theme"),
                                  kinds.map(kind => el("th", { scope: "col", title: kind.meaning }, mark(kind), kind.name)),
                                  el("th", { scope: "col" }, "all"))), el("tbody", {}, rows))));
}
