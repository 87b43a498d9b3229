// Elements made from data. Whatever a run says becomes text here, and nothing else.

// Shown as an escape: control characters, those that reorder the text around them, and halves of characters.
const INVISIBLE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const LONGEST = 20_000; // characters of one text

/** Any value as text that can be seen. Of a long one, the beginning. */
export function shown(value) {
  const text = String(value ?? "");
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${(text.length - LONGEST).toLocaleString("en")} more characters)` : text;
  return cut.replace(INVISIBLE, escaped);
}

function escaped(character) {
  const code = character.charCodeAt(0);
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** An element. Attributes that are functions listen; false, null and undefined are left out; so are such children. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? "" : shown(value));
  }
  put(made, children);
  return made;
}

/** Put these children into an element, in the place of what it had. */
export function put(element, children) {
  const nodes = children.flat().filter(child => child !== null && child !== undefined && child !== false && child !== "");
  element.replaceChildren(...nodes.map(child => child instanceof Node ? child : document.createTextNode(shown(child))));
}

/** `2 steps`, `1 step`. */
export function number(count, what) {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

/** A link if it leads to the web, else the label alone. */
export function link(address, label) {
  return /^https?:\/\//.test(address) ? el("a", { href: address, rel: "noreferrer" }, label) : shown(label);
}

/** Where the page shows a concept. */
export function conceptLink(name) {
  return `#concept=${encodeURIComponent(name)}`;
}

/** Something to copy. */
export function code(caption, source, kind = "") {
  const pre = el("pre", { tabindex: "0", "aria-label": caption }, source);
  const button = el("button", { type: "button", class: "copy", click: () => copy(source, pre, button) }, "Copy");
  return el("figure", { class: `code ${kind}` }, el("figcaption", {}, caption, button), pre);
}

async function copy(source, pre, button) {
  try {
    await navigator.clipboard.writeText(source);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } catch {
    getSelection().selectAllChildren(pre); // no leave to copy: the rest is one key
  }
}
