// A run file that is still growing, shown as it grows; and what the person who watches may ask of the engine.
// A saved one is in the page itself: then there is no engine to ask.
import { code, el, put } from "./dom.js";
import { Requests } from "./live_requests.js";
import { Timeline } from "./timeline.js";
import { unpack } from "./unpack.js";

const AGAIN_MS = 1000, MOST_NOTES = 4;
const NAMES = { impl: "impl", vllm: "vLLM" };
const at = id => document.getElementById(id);

const requests = new Requests(at("requests"), id => ask("abort", { request_id: id }));
let runs = {}, timeline = null, place = "", control = { paused: false, steps_per_second: 8, crashed: false }, steps = 0, drawing = false;

/** Each line of a run file, by its type. */
const LINES = {
  header() {
    runs = {};
    timeline = null;
    steps = 0;
    requests.clear({});
    put(at("timeline"), []);
  },
  run({ side, model, timeline: run }) {
    runs[side] = run;
    const names = Object.fromEntries(Object.entries(runs).map(([each, { engine }]) => [each, NAMES[engine] ?? engine]));
    requests.clear(names);
    const box = el("div");
    put(at("timeline"), [box]);
    timeline = new Timeline(box, names, { moved: step => { timeline.following = step >= timeline.count - 1; later(); } });
    timeline.following = true;
    for (const [each, told] of Object.entries(runs)) timeline.setRun(each, told);
    tellSubject(names, model, run.limits);
    forget("starting");
  },
  request({ request }) {
    requests.add(request);
    timeline.addRequest(request);
  },
  step({ side, index, step }) {
    requests.step(side, step);
    timeline.append(side, index, step);
    steps = Math.max(steps, index + 1);
  },
  abort({ id }) { requests.aborted(id); },
  control(told) { control = told; },
  note({ text, kind }) { note(text, kind); },
  workload({ source }) { put(at("saved"), [code("The last run as Python, to make a claim of", source)]); },
};

function listen() {
  const stream = new EventSource(`/events?after=${encodeURIComponent(place)}`);
  stream.addEventListener("open", () => tellConnection("connected"));
  stream.addEventListener("message", ({ data, lastEventId }) => {
    if (lastEventId === place) return;
    place = lastEventId;
    const line = JSON.parse(data);
    LINES[line.type]?.(line);
    later();
  });
  stream.addEventListener("error", () => {
    tellConnection("reconnecting");
    if (stream.readyState !== EventSource.CLOSED) return;  // the browser tries again by itself, and says where it was
    setTimeout(listen, AGAIN_MS);
  });
}

/** Draw once for all lines that have come until then. */
function later() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; draw(); });
}

function draw() {
  requests.draw();
  at("quiet").hidden = requests.size > 0;
  at("timeline").hidden = steps === 0;
  at("pause").textContent = control.paused ? "Resume" : "Pause";
  const looksBack = timeline && steps > 0 && !timeline.following;
  put(at("clock"), [control.crashed ? "crashed" : control.paused ? "paused" : requests.busy ? "running" : "idle", ` · ${steps} ${steps === 1 ? "step" : "steps"}`, looksBack && " · looking back: End follows again"]);
  if (document.activeElement !== at("speed")) at("speed").value = Math.log2(control.steps_per_second);
  tellPace(control.steps_per_second);
}

function tellConnection(word) {
  at("connection").textContent = word;
  at("connection").dataset.word = word;
}

function tellSubject(names, model, limits) {
  at("subject").textContent = `${Object.values(names).join(" and ")}${Object.keys(names).length > 1 ? ", in step," : ""} on ${model}`;
  const { num_blocks: blocks, block_size: size, max_num_batched_tokens: budget, max_num_seqs: most, max_model_len: longest } = limits;
  const { scheduling_policy: policy = "fcfs", enable_prefix_caching: caching = true } = limits;
  at("limits").textContent = `${blocks} blocks of ${size} tokens · ${budget} tokens a step · ${most} requests at once · `
    + `sequences of ${longest} tokens · ${policy} · prefix cache ${caching ? "on" : "off"}`;
  const { engine, elements } = { engine: Object.keys(names).length > 1 ? "both" : names.ours ? "impl" : "vllm", elements: at("engine").elements };
  Object.assign(elements.engine, { value: engine });
  for (const [name, value] of Object.entries({ model, policy, num_blocks: blocks, block_size: size, max_num_batched_tokens: budget, max_num_seqs: most }))
    elements[name].value = value;
  elements.enable_prefix_caching.checked = caching;
}

function forget(kind) {
  for (const item of at("notes").querySelectorAll(`.${kind}`)) item.remove();
}

function note(text, kind) {
  if (kind === "error") forget("starting");
  const item = el("li", { class: kind || "plain", role: kind === "error" ? "alert" : null },
    el("span", {}, text), el("button", { type: "button", "aria-label": "Take this message away", click: () => item.remove() }, "×"));
  at("notes").prepend(item);
  while (at("notes").children.length > MOST_NOTES) at("notes").lastChild.remove();
}

/** Ask the driver for something; whether it was taken. */
async function ask(what, fields = {}) {
  try {
    const answer = await fetch("/control", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ do: what, ...fields }) });
    if (!answer.ok) note((await answer.text()).trim(), "error");
    return answer.ok;
  } catch {
    note("The server does not answer. Is it still running?", "error");
    return false;
  }
}

const whole = field => field.value === "" ? null : Number(field.value);

at("ask").addEventListener("submit", async event => {
  event.preventDefault();
  const { prompt, max_tokens, temperature, seed, priority } = event.target.elements;
  const fields = { prompt: prompt.value, max_tokens: whole(max_tokens), temperature: Number(temperature.value), seed: whole(seed), priority: whole(priority) };
  if (await ask("ask", fields)) prompt.select();  // it stays: to be asked again, or typed over
});
at("ask").elements.prompt.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("ask").requestSubmit();
});

at("engine").addEventListener("submit", event => {
  event.preventDefault();
  const fields = event.target.elements;
  const limits = { policy: fields.policy.value, enable_prefix_caching: fields.enable_prefix_caching.checked };
  for (const name of ["num_blocks", "block_size", "max_model_len", "max_num_batched_tokens", "max_num_seqs"])
    if (fields[name].value !== "") limits[name] = Number(fields[name].value);
  ask("engine", { engine: fields.engine.value, model: fields.model.value, limits });
});

at("pause").addEventListener("click", () => ask(control.paused ? "resume" : "pause"));
at("step").addEventListener("click", () => ask("step"));
at("save").addEventListener("click", () => ask("save"));
at("speed").addEventListener("input", () => tellPace(2 ** at("speed").value));
at("speed").addEventListener("change", () => ask("speed", { steps_per_second: 2 ** at("speed").value }));

function tellPace(perSecond) {
  at("pace").textContent = `${perSecond < 10 ? Math.round(perSecond * 10) / 10 : Math.round(perSecond)} a second`;
}

document.addEventListener("keydown", event => {
  if (event.target.matches("input, textarea, select, button") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (timeline?.key(event.key)) event.preventDefault();
});

function playBack(lines) {
  document.body.classList.add("saved");
  tellConnection("saved");
  for (const line of lines) LINES[line.type]?.(line);
  later();
}

if (at("lines")) playBack(await unpack("lines"));
else listen();
