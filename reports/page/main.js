// The page of a run: the first screen, the claims by theme, what is shown of them, links and keys.
import { el, number, put } from "./dom.js";
import { Claim, log, mark } from "./claim.js";
import { ConceptMap } from "./concepts.js";
import { firstScreen } from "./first_screen.js";
import { listen } from "./keys.js";
import { unpack } from "./unpack.js";

const MOST_OPEN = 8; // failures that are open from the start

const run = await unpack("run");
const kinds = Object.fromEntries(run.kinds.map(kind => [kind.key, kind]));
const claims = run.claims.map(data => new Claim(data, kinds[data.kind], moved));
const byName = new Map(claims.flatMap(claim => [[claim.data.nodeid, claim], [claim.data.id, claim]]));
const screen = firstScreen(run, show);
let focused = null; // the claim that the keys are for

put(document.querySelector("header"), screen.header);
put(document.querySelector("main"), [screen.filter, screen.notices, needsALook(), screen.table]);
await breath();
performance.mark("first screen");
await addThemes(document.querySelector("main"));
const concepts = new ConceptMap(run.concepts, claims);
put(document.querySelector("main").appendChild(el("div")), [tests(), concepts.element]);
if (location.hash) follow();
else for (const claim of claims.filter(claim => claim.data.failed).slice(0, MOST_OPEN)) claim.open();
show();
addEventListener("hashchange", follow);
listen({ claims, focus, clear: screen.clear,
         timeline: () => focused?.timeline ?? claims.find(claim => claim.timeline && claim.element.open)?.timeline });
document.addEventListener("focusin", event => {
  const element = event.target.closest?.(".claim");
  if (element) focused = claims.find(claim => claim.element === element);
});
document.documentElement.dataset.ready = "";

function needsALook() {
  const failed = claims.filter(claim => claim.data.failed);
  return failed.length > 0 && el("section", { class: "failures" }, heading("Needs a look", String(failed.length)), oneCause(failed), list(failed));
}

/** In what the engines part first: one broken line may make a hundred claims fail. */
function oneCause(failed) {
  const parted = failed.filter(claim => claim.data.finding?.what);
  if (parted.length < 3) return false;
  const counts = [...Map.groupBy(parted, claim => claim.data.finding.what)].sort(([, a], [, b]) => b.length - a.length);
  const said = counts.slice(0, 3).map(([what, all]) => `${what} (${all.length})`).join(", ");
  return el("p", { class: "quiet" }, `The engines part first in ${said}${counts.length > 3 ? ", …" : ""}. Many failures may have one cause.`);
}

/** Each theme with those of its claims that are not shown above. With thousands of claims the first screen does not wait for them. */
async function addThemes(main) {
  let since = performance.now();
  for (const [name, all] of [...Map.groupBy(claims, claim => claim.data.theme || "claims")].sort(([a], [b]) => a < b ? -1 : 1)) {
    const rest = all.filter(claim => !claim.data.failed), above = all.length - rest.length;
    if (!rest.length) continue;
    const title = name.split("/").flatMap((part, i) => i ? [el("i", {}, "/"), part] : [part]);
    const size = number(all.length, "claim") + (above ? `, ${above} of them above` : "");
    main.append(el("section", { class: "theme", "data-theme": name }, heading(title, size), list(rest)));
    if (performance.now() - since < 50) continue;
    await breath();
    since = performance.now();
  }
}

/** Let the browser draw, and listen to the person. */
function breath() {
  return new Promise(done => requestAnimationFrame(() => setTimeout(done)));
}

function heading(title, more) {
  return el("h2", {}, title, " ", el("small", {}, more));
}

function list(some) {
  return el("div", { class: "claims" }, some.map(claim => claim.element));
}

/** Ordinary tests: their number, and those that failed. */
function tests() {
  const { counts, failed } = run.tests;
  if (!counts.length) return null;
  return el("section", { class: "tests" }, heading("Other tests", counts.map(([outcome, count]) => `${count} ${outcome}`).join(", ")),
            failed.map(test => el("details", { class: "test", open: true }, el("summary", {}, test.nodeid), log(test.longrepr))));
}

/** Show the claims that the filter wants. */
function show() {
  let visible = 0;
  for (const claim of claims) {
    const wanted = screen.wants(claim);
    if (claim.element.hidden === wanted) claim.element.hidden = !wanted;
    visible += wanted;
  }
  for (const section of document.querySelectorAll(".theme, .failures")) section.hidden = !section.querySelector(".claim:not([hidden])");
  screen.shown(visible, claims.length);
}

/** The cursor of a claim's timeline has moved: the address says so. */
function moved(claim, step) {
  focused = claim;
  claim.step = step;
  history.replaceState(null, "", `#${encodeURIComponent(claim.data.id)}/step=${step}`);
}

/** Go where the address says: `#claim`, `#claim/step=7` or `#concept=block%20pool`. */
function follow() {
  let [, name, step] = location.hash.match(/^#(.*?)(?:\/step=(\d+))?$/);
  try { name = decodeURIComponent(name); } catch { /* a name with a bare per cent sign stands as it is */ }
  if (name.startsWith("concept=")) return concepts.open(name.slice("concept=".length));
  const claim = byName.get(name);
  if (!claim) return;
  if (claim.element.hidden) screen.clear();
  claim.open(step === undefined ? null : Number(step));
  focus(claim);
}

function focus(claim) {
  focused = claim;
  claim.element.querySelector("summary").focus({ preventScroll: true });
  claim.element.scrollIntoView({ block: "start" });
}
