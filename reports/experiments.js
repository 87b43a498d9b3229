// Draws the plots. All numbers are in the tables as well: whoever cannot see a canvas loses nothing.
const plots = JSON.parse(document.getElementById("plots").textContent);
const drawn = [];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");

/** 1240 as "1,240", 0.4213 as "0.421". */
function said(value) {
  if (value === null || value === undefined) return "—";
  return value.toLocaleString("en", Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

/** A colour for each label; our engine is a line with small points, vLLM rings around them, joined by dashes. */
function lineOf(series, labels) {
  const stroke = colour(`colour${labels.indexOf(series.label) % 5}`), ours = series.engine === "impl";
  return {
    label: series.label, stroke, spanGaps: true, width: ours ? 2 : 1, dash: ours ? undefined : [5, 5],
    points: { show: true, size: ours ? 5 : 11, width: 1.5, stroke, fill: ours ? stroke : "transparent" },
  };
}

/** Room at both ends, so that no point lies on the frame. */
function rangeOfX(plot) {
  const first = Math.min(...plot.values), last = Math.max(...plot.values), room = plot.log ? (last / first) ** 0.04 : (last - first) * 0.04;
  return plot.log ? [first / room, last * room] : [first - room, last + room];
}

/** From zero: a point twice as high shall mean twice as much. */
function rangeOfY(plot) {
  return [0, Math.max(...plot.series.flatMap((series) => series.values), 0) * 1.1 || 1];
}

/** Under the plot, in words, what is under the pointer. */
function tell(plot, out) {
  return (chart) => {
    const at = chart.cursor.idx;
    const parts = plot.series.map((series) => `${series.label} (${series.engine}) ${said(series.values[at])}`);
    out.textContent = at === null || at === undefined ? "" : `${plot.x} ${said(plot.values[at])}: ${parts.join(", ")}`;
  };
}

/** The numbers on the axis, as many as have room. */
function places(plot, chart) {
  const shown = [];
  for (const value of plot.values) {
    if (!shown.length || Math.abs(chart.valToPos(value, "x") - chart.valToPos(shown.at(-1), "x")) >= 34) shown.push(value);
  }
  return shown;
}

function axes(plot) {
  const font = `11px ${colour("sans")}`, soft = colour("soft"), grid = { stroke: colour("line"), width: 1 };
  const told = (_, splits) => splits.map(said);
  return [
    { splits: (chart) => places(plot, chart), filter: (_, splits) => splits, values: told, font, stroke: soft, grid: { show: false }, ticks: { stroke: grid.stroke, size: 5 }, size: 30 },
    { values: told, font, stroke: soft, grid, ticks: { show: false }, size: 52 },
  ];
}

function draw(figure) {
  const [section, index] = figure.dataset.plot.split(".").map(Number);
  const plot = plots[section][index], place = figure.querySelector(".canvas"), labels = [...new Set(plot.series.map((series) => series.label))];
  place.replaceChildren();
  const chart = new uPlot({
    width: place.clientWidth, height: place.clientHeight, axes: axes(plot), legend: { show: false },
    hooks: { setCursor: [tell(plot, figure.querySelector(".readout"))] },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: false, distr: plot.log ? 3 : 1, log: 2, range: () => rangeOfX(plot) }, y: { range: () => rangeOfY(plot) } },
    series: [{}, ...plot.series.map((series) => lineOf(series, labels))],
  }, [plot.values, ...plot.series.map((series) => series.values)], place);
  drawn.push({ chart, place });
}

function drawAll() {
  for (const { chart } of drawn.splice(0)) chart.destroy();
  document.querySelectorAll("[data-plot]").forEach(draw);
}

drawAll();
dark.addEventListener("change", drawAll);
addEventListener("resize", () => drawn.forEach(({ chart, place }) => chart.setSize({ width: place.clientWidth, height: place.clientHeight })));
