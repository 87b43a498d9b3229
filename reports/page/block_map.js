// The pool at one moment: a cell for each block, with its owner.
import { el, put, shown } from "./dom.js";
import { hue, short } from "./lanes.js";

export class BlockMap {
  constructor(name) {
    this.grid = el("div", { class: "blocks", role: "img" });
    this.rest = el("p", { class: "quiet" });
    this.element = el("div", {}, this.grid, this.rest);
    this.name = name;
    this.cells = [];
  }

  /** `others`: the other side's blocks, to mark in which ones the two differ; null if there is nothing to compare. */
  show(blocks, lanes, others, total) {
    while (this.cells.length < blocks.length) {
      const cell = { element: el("span"), drawn: "" };
      this.cells.push(cell);
      this.grid.append(cell.element);
    }
    while (this.cells.length > blocks.length) this.cells.pop().element.remove();
    blocks.forEach((block, id) => {
      const differs = others !== null && key(block) !== key(others[id]);
      const drawn = key(block) + differs;
      if (this.cells[id].drawn !== drawn) draw(this.cells[id].element, block, lanes, differs);
      this.cells[id].drawn = drawn;
    });
    const count = name => blocks.filter(block => block[name]).length;
    const held = blocks.filter(block => block.owners.length).length;
    this.grid.setAttribute("aria-label", `${this.name}: ${held} blocks held, ${count("cached")} cached, ${count("evicted")} evicted`);
    put(this.rest, [total > blocks.length ? `and ${(total - blocks.length).toLocaleString("en")} more that nobody ever held` : ""]);
  }
}

function key(block) {
  return block ? JSON.stringify([block.owners, block.free, block.cached, block.evicted]) : "";
}

function draw(element, block, lanes, differs) {
  const { id, owners } = block;
  const state = id === 0 ? "null" : owners.length > 1 ? "shared" : owners.length ? "owned" : block.free ? "free" : "held";
  const tokens = [state, block.cached && "cached", block.evicted && "evicted", differs && "differs"].filter(Boolean);
  element.className = tokens.join(" ");
  element.dataset.block = id;
  if (owners.length) element.style.setProperty("--h", hue(lanes.indexOf(owners[0])));
  const label = id === 0 ? "∅" : owners.length > 1 ? `${short(shown(owners[0]), 2)}+${owners.length - 1}` : owners.length ? short(shown(owners[0]), 4) : "";
  const sign = block.evicted ? "×" : block.cached ? "•" : "";
  put(element, [el("i", {}, String(id)), el("b", {}, label), sign && el("u", {}, sign)]);
  element.title = `block ${id}: ${says(state, owners)}${block.cached ? ", cached" : ""}`
    + (block.evicted ? ", what it cached is gone" : "") + (differs ? ", differs" : "");
}

function says(state, owners) {
  const named = owners.slice(0, 20).map(shown).join(", ");
  return { null: "the null block, nobody's", free: "free", held: "neither free nor in a running request's table",
           owned: `held by ${named}`, shared: `shared by ${named}` }[state];
}
