// The keyboard: between claims, along a timeline, to the search.
import { el } from "./dom.js";

const KEYS = [["j k", "next, previous claim"], ["Enter", "open or close it"], ["← →", "previous, next step"], ["n p", "next, previous difference"],
              ["Home End", "first, last step"], ["space", "play, pause"], ["/", "search"], ["?", "this help"]];

/** `page`: {claims, focus(claim), timeline(), clear()}. */
export function listen(page) {
  const help = el("dialog", { class: "help", "aria-label": "Keys" }, el("h2", {}, "Keys"),
    el("dl", {}, KEYS.map(([keys, does]) => el("div", {}, el("dt", {}, keys.split(" ").map(key => [el("kbd", {}, key), " "]).flat()), el("dd", {}, does)))),
    el("form", { method: "dialog" }, el("button", {}, "Close")));
  document.body.append(help);
  document.querySelector(".keys")?.addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const { target, key } = event, find = document.querySelector(".find input");
    if (target === find && key === "Escape") return page.clear();
    if (target.matches("input:not([type=range], [type=checkbox]), textarea, select")) return;
    const does = key === "/" && find ? () => find.focus() : key === "?" ? () => help.showModal()
      : key === "j" ? () => walk(page, 1) : key === "k" ? () => walk(page, -1) : null;
    if (!does && (key === " " && target.matches("button, summary, input, a") || key.startsWith("Arrow") && target.matches("input[type=range]"))) return;
    if (does) does();
    else if (!page.timeline()?.key(key)) return;
    event.preventDefault();
  });
}

/** To the next claim that is shown. */
function walk({ claims, focus }, direction) {
  const shown = [...document.querySelectorAll(".claim:not([hidden])")].filter(element => !element.closest("[hidden]"));
  const here = shown.indexOf(document.activeElement.closest(".claim"));
  const element = shown[here < 0 ? (direction > 0 ? 0 : shown.length - 1) : here + direction];
  if (element) focus(claims.find(claim => claim.element === element));
}
