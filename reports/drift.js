"use strict";
const drift = JSON.parse(document.getElementById("drift").textContent);
const NOT_ASKED = "not asked yet";
const MARKS = { holds: "●", fails: "✕", vacuous: "◌", absent: "–", error: "!", [NOT_ASKED]: "?" };
const answered = drift.releases.filter((release) => !release.error).map((release) => release.version);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** What a claim's answer is called: its verdict, or that there is none. */
const verdictOf = (claim, version) => claim.answers[version]?.[0] ?? NOT_ASKED;

function mark(verdict, apart = false) {
  const kind = verdict === NOT_ASKED ? "unasked" : verdict;
  return element("span", { className: `mark ${kind}${apart ? " apart" : ""}`, title: `${verdict}: ${drift.verdicts[verdict]}` }, MARKS[verdict]);
}

function cell(claim, version, before) {
  const told = claim.answers[version] ?? [], verdict = verdictOf(claim, version);
  const turn = before && verdict !== verdictOf(claim, before);
  const made = element("td", { className: turn ? "turn" : "" }, mark(verdict, Boolean(told[2])));
  made.setAttribute("aria-label", `${version}: ${verdict}`);
  return made;
}

function header() {
  const columns = drift.releases.map((release) => element("th", { scope: "col", className: release.error ? "missing" : "", title: release.error ?? "" },
    release.version, element("small", {}, release.error ? "no answer" : release.built)));
  document.querySelector("#matrix thead").replaceChildren(element("tr", {}, element("th", { scope: "col" }, "sentence"), ...columns,
    element("th", { scope: "col", className: "truth" }, "true")));
}

function rowOf(claim) {
  const button = element("button", { type: "button" }, claim.sentence,
    element("small", {}, claim.theme + (claim.misconception ? " · a misconception" : "")));
  button.setAttribute("aria-expanded", "false");
  const cells = drift.releases.map((release) => release.error ? element("td")
    : cell(claim, release.version, answered[answered.indexOf(release.version) - 1]));
  const row = element("tr", { className: "claim", id: claim.name }, element("th", { scope: "row" }, button), ...cells,
    element("td", { className: "truth" }, claim.truth));
  row.addEventListener("click", () => toggle(claim, row, button));
  return row;
}

/** Opens or closes what there is to say about a claim. */
function toggle(claim, row, button) {
  const open = row.classList.toggle("open");
  button.setAttribute("aria-expanded", String(open));
  if (!open) return row.nextElementSibling.remove();
  const place = element("td", { colSpan: drift.releases.length + 2 }, reasons(claim), ...sources(claim));
  row.after(element("tr", { className: "details" }, place));
  return undefined;
}

/** Each release's answer in words; neighbours that say the same share a line. */
function reasons(claim) {
  const groups = [];
  for (const version of answered) {
    const [verdict = NOT_ASKED, why = "", apart = ""] = claim.answers[version] ?? [];
    const said = [verdict, why && `: ${why}`, apart && ` · impl decides otherwise: ${apart}`].join("");
    if (groups.at(-1)?.said === said) groups.at(-1).last = version;
    else groups.push({ first: version, last: version, verdict, said });
  }
  const lines = groups.map(({ first, last, verdict, said }) => element("li", {}, mark(verdict), " ",
    element("b", {}, first === last ? first : `${first} – ${last}`), " ", said));
  return element("ul", {}, ...lines);
}

function sources(claim) {
  const named = element("p", {}, "It is about ", element("code", {}, claim.vllm), ", asked by ", element("code", {}, claim.name), ".");
  return [named, ...drift.changes.filter((change) => change.claim === claim.name).flatMap((change) => [
    element("h3", {}, `${change.from} → ${change.to}, where the run passes`), difference(drift.diffs[change.diff])])];
}

function difference(text) {
  if (!text) return element("p", {}, "No line of the scheduler differs where this run passes.");
  const kinds = { "+": "add", "-": "remove", "@": "place", "…": "place" };
  return element("pre", {}, ...text.split("\n").map((line) => element("span", { className: kinds[line[0]] ?? "" }, `${line}\n`)));
}

function show() {
  const only = document.getElementById("changed").checked, wanted = document.getElementById("find").value.trim().toLowerCase();
  const claims = drift.claims.filter((claim) => (!only || claim.changed || !Object.keys(claim.answers).length)
    && `${claim.sentence} ${claim.name} ${claim.theme} ${claim.vllm} ${claim.truth}`.toLowerCase().includes(wanted));
  document.querySelector("#matrix tbody").replaceChildren(...claims.map(rowOf));
  document.getElementById("shown").textContent = `${claims.length} of ${drift.claims.length}`;
}

document.getElementById("legend").replaceChildren(...Object.entries(drift.verdicts).map(([verdict, words]) =>
  element("li", {}, mark(verdict), ` ${words}`)), element("li", {}, element("span", { className: "mark apart" }, ""), " impl, which mirrors the newest, decides otherwise"));
header();
show();
document.querySelector(".filter").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("changed").addEventListener("change", show);
document.getElementById("find").addEventListener("input", show);
document.getElementById(decodeURIComponent(location.hash.slice(1)))?.querySelector("button").click();
