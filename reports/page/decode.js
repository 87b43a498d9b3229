// A run decoded: for each step who did what, which blocks whose, and what counts as a difference.

/** `4-6 9` as [4, 5, 6, 9]; of several KV cache groups (`1 2 | 3 4`) all in a row. */
export function ids(text) {
  const numbers = [];
  for (const piece of (text || "").split(" ")) {
    if (!piece) continue;
    const [first, last = first] = piece.split("-").map(Number);
    for (let id = first; id <= last; id++) numbers.push(id);
  }
  return numbers;
}

const NOTHING = { running: [], waiting: [], free: "", cached: "", usage: null, tables: null };

function state(written) {
  const [running, waiting, free, cached, usage = null, tables = null] = written;    // tables: where attention has a window
  return { running, waiting, free, cached, usage, tables };
}

/** One engine's run. `push` takes a step that came later. */
export class Decoded {
  constructor(timeline) {
    this.engine = timeline.engine;
    this.limits = timeline.limits ?? {};
    this.requests = [...(timeline.requests ?? [])];
    this.ended = timeline.ended ?? null;
    this.error = timeline.error ?? null;
    this.steps = [];
    this.seen = new Set();          // requests that were in a queue or were refused
    this.highestBlock = 0;          // that anybody has held
    this.prefilling = new Set();    // admitted, and no token has come out yet
    this.interrupted = new Set();   // preempted, and not admitted again
    for (const step of timeline.steps ?? []) this.push(step);
  }

  push(raw) {
    const before = this.steps.at(-1);
    const after = raw.state ? state(raw.state) : before?.updated ?? NOTHING;
    const updated = raw.updated ? state(raw.updated) : after;
    const scheduled = (raw.scheduled ?? []).map(([id, kind, tokens, computed, blocks, drafts]) => ({ id, kind, tokens, computed, blocks, drafts }));
    const step = { index: this.steps.length, raw, scheduled, state: after, updated,
                   tokens: scheduled.reduce((sum, share) => sum + share.tokens, 0), tables: this.#tables(before, scheduled, after),
                   cells: null };
    step.cells = this.#cells(step, before);
    for (const id of step.cells.keys()) this.seen.add(id);
    this.steps.push(step);
    return step;
  }

  /** Everything in which two engines can differ at a step, as a text to compare. */
  compared(index) {
    const { raw, state: after, updated } = this.steps[index];
    return JSON.stringify([raw.scheduled ?? [], raw.preempted ?? [], raw.finished ?? [], raw.refused ?? [], raw.resets ?? [],
                           raw.outputs ?? [], after, updated, raw.text ?? {}]);
  }

  /** Each block after a step's schedule(): {id, owners, free, cached, evicted, fresh}. As many as were ever touched, and a few more. */
  blocks(index) {
    const step = this.steps[index];
    const most = this.limits.num_blocks ?? Infinity;
    const blocks = Array.from({ length: Math.min(most, Math.max(this.highestBlock + 9, Math.min(most, 128))) },
                              (_, id) => ({ id, owners: [], free: false, cached: false, evicted: false, fresh: false }));
    const set = (numbers, name) => { for (const id of numbers) if (blocks[id]) blocks[id][name] = true; };
    for (const [owner, table] of step.tables) for (const id of table) blocks[id]?.owners.push(owner);
    set(ids(step.state.free), "free");
    set(ids(step.state.cached), "cached");
    const cachedBefore = new Set(ids(this.steps[index - 1]?.updated.cached));
    for (const share of step.scheduled) {
      const hit = share.kind === "running" ? 0 : Math.floor(share.computed / (this.limits.block_size ?? 16));
      const fresh = (share.blocks || "").split("|").flatMap(group => ids(group).slice(hit));
      set(fresh, "fresh");
      set(fresh.filter(id => cachedBefore.has(id)), "evicted");
    }
    return blocks;
  }

  #tables(before, scheduled, after) {
    if (after.tables) {     // what left a window is the null block, which belongs to nobody
      const held = Object.entries(after.tables).map(([id, table]) => [id, ids(table).filter(block => block)]);
      this.highestBlock = Math.max(this.highestBlock, ...held.flatMap(([, table]) => table));
      return new Map(held);
    }
    const tables = new Map(before?.tables);
    for (const { id, kind, blocks } of scheduled) {
      if (!blocks && kind === "running" && tables.has(id)) continue;
      const table = [...(kind === "running" ? tables.get(id) ?? [] : []), ...ids(blocks)];
      for (const block of table) this.highestBlock = Math.max(this.highestBlock, block);
      tables.set(id, table);
    }
    const holders = new Set(after.running);
    for (const id of tables.keys()) if (!holders.has(id)) tables.delete(id);
    return tables;
  }

  /** What each request does in this step: {kind, tokens?, computed?, again?, preempted?, end?}. */
  #cells(step, before) {
    const cells = new Map(), { raw } = step;
    for (const id of step.state.waiting) cells.set(id, { kind: "waiting", again: this.interrupted.has(id) });
    for (const id of step.state.running) cells.set(id, { kind: "idle" });
    for (const { id, kind, tokens, computed } of step.scheduled) {
      if (kind !== "running") { this.prefilling.add(id); this.interrupted.delete(id); }
      cells.set(id, { kind: this.prefilling.has(id) ? "prefill" : "decode", tokens, computed, admitted: kind !== "running", again: kind === "resumed" });
    }
    for (const id of raw.preempted ?? []) { this.interrupted.add(id); cells.set(id, { ...cells.get(id), kind: "preempted" }); }
    for (const id of raw.refused ?? []) cells.set(id, { kind: "refused" });
    for (const [id, tokens, reason] of raw.outputs ?? []) {
      if (tokens.length) this.prefilling.delete(id);
      if (reason) cells.set(id, { kind: "none", ...cells.get(id), end: reason === "abort" ? "aborted" : "finished" });
    }
    for (const id of [...before?.updated.running ?? [], ...before?.updated.waiting ?? []])
      if (!cells.has(id)) cells.set(id, { kind: "none", end: "aborted" });
    return cells;
  }
}

/** All requests of several runs in the order of their arrival; children stand where their parent would. */
export function laneIds(runs) {
  const seen = new Set(runs.flatMap(run => [...run.seen]));
  const childrenOf = Map.groupBy([...seen].filter(id => /^\d+_/.test(id)), id => id.replace(/^\d+_/, ""));
  const lanes = new Set();
  for (const { id } of runs.flatMap(run => run.requests)) for (const lane of childrenOf.get(id) ?? [id]) lanes.add(lane);
  for (const id of seen) lanes.add(id);
  return [...lanes];
}
