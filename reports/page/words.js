// Two texts, the words in which they differ in <mark>.
import { el, shown } from "./dom.js";

const WORD = /[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu;
const MOST = 1_000_000; // pairs of words that are looked at

/** The children for either side. */
export function marked(ours, theirs) {
  const left = shown(ours).match(WORD) ?? [], right = shown(theirs).match(WORD) ?? [];
  let start = 0, end = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end++;
  const a = left.slice(start, left.length - end), b = right.slice(start, right.length - end);
  const [keptA, keptB] = a.length * b.length > MOST ? [new Set(), new Set()] : common(a, b);
  const around = nodes => [left.slice(0, start).join(""), ...nodes, end ? left.slice(-end).join("") : ""];
  return [around(runs(a, keptA)), around(runs(b, keptB))];
}

/** The places of a longest common subsequence, in either list. */
function common(a, b) {
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const inA = new Set(), inB = new Set();
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) { inA.add(i++); inB.add(j++); }
    else if (longest[i + 1][j] >= longest[i][j + 1]) i++;
    else j++;
  }
  return [inA, inB];
}

function runs(words, kept) {
  const nodes = [];
  for (let i = 0; i < words.length;) {
    const first = i, same = kept.has(i);
    while (i < words.length && kept.has(i) === same) i++;
    const text = words.slice(first, i).join("");
    nodes.push(same ? text : el("mark", {}, text));
  }
  return nodes;
}
