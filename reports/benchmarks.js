// Draws the plots. All numbers are in the tables as well: whoever cannot see a canvas loses nothing.
const plots = JSON.parse(document.getElementById("plots").textContent);
const drawn = [];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");

/** 1240 as "1,240", 0.42 as "0.42"; shares in percent. */
function said(plot, value) {
  if (value === null || value === undefined) return "—";
  if (plot.share) return `${Math.round(value * 100)} %`;
  return value.toLocaleString("en", Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

/** Engines differ by dash and point as well as by colour; the slowest in a hundred has a thin line. */
function lineOf(series) {
  const stroke = { ours: colour("ours"), vLLM: colour("theirs"), before: colour("before") }[series.side];
  const card = colour("card"), faint = series.tail || series.side === "before";
  return {
    label: series.label, stroke, spanGaps: true, width: faint ? 1.5 : 2.5,
    dash: { vLLM: [7, 5], before: [2, 4] }[series.side],
    points: { show: true, size: faint ? 5 : 9, width: 2, stroke, fill: series.side === "ours" ? stroke : card },
  };
}

/** Room at both ends, so that no point lies on the frame. */
function rangeOfX(plot) {
  const values = plot.x.values, [first, last] = [values[0], values.at(-1)];
  if (!plot.x.log) return [first - 0.4, last + 0.4];
  const room = Math.max((last / first) ** 0.06, 1.15);
  return [first / room, last * room];
}

/** From zero, unless the axis is logarithmic: a bar twice as high shall mean twice as much. */
function rangeOfY(plot) {
  const values = plot.series.flatMap((series) => series.values).filter((value) => value !== null);
  const most = Math.max(...values, plot.line ?? 0);
  return plot.log ? [Math.min(...values) / 1.6, most * 1.6] : [0, most * 1.15];
}

/** The line at which ours is as fast as the reference, or at the ceiling; below it, for a ratio, the losses. */
function drawLine(plot) {
  return (chart) => {
    const { ctx, bbox } = chart, y = chart.valToPos(plot.line, "y", true), scale = devicePixelRatio;
    ctx.save();
    if (plot.unit === "ratio") {
      ctx.fillStyle = colour("red");
      ctx.globalAlpha = 0.07;
      ctx.fillRect(bbox.left, y, bbox.width, bbox.top + bbox.height - y);
      ctx.globalAlpha = 1;
    }
    ctx.strokeStyle = ctx.fillStyle = colour("soft");
    ctx.lineWidth = scale;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * scale}px ${colour("sans")}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    if (plot.unit === "ratio") ctx.fillText("slower than vLLM", bbox.left + 6 * scale, bbox.top + bbox.height - 5 * scale);
    else ctx.fillText("the ceiling: what a copy or a large product reached", bbox.left + 6 * scale, y - 4 * scale);
    ctx.restore();
  };
}

/** Under the plot, in words, what is under the pointer. */
function tell(plot, out) {
  return (chart) => {
    const at = chart.cursor.idx;
    const parts = plot.series.map((series) => `${series.label} ${said(plot, series.values[at])}`);
    const unit = plot.share || plot.unit === "ratio" ? "" : ` ${plot.unit}`;
    out.textContent = at === null || at === undefined ? "" : `${plot.x.name} ${plot.x.labels[at]}: ${parts.join(", ")}${unit}`;
  };
}

function powersOfTen(least, most) {
  const first = Math.ceil(Math.log10(least)), last = Math.floor(Math.log10(most));
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

function axes(plot) {
  const font = `11px ${colour("sans")}`, soft = colour("soft"), grid = { stroke: colour("line"), width: 1 };
  const sizes = { splits: () => plot.x.values, values: () => plot.x.labels, filter: (_, splits) => splits, space: 10 };
  const steps = plot.log ? { splits: (_, __, least, most) => powersOfTen(least, most) } : {};
  return [
    { ...sizes, font, stroke: soft, grid: { show: false }, ticks: { stroke: grid.stroke, size: 5 }, label: plot.x.name, labelFont: font, labelSize: 18, size: 28 },
    { ...steps, font, stroke: soft, grid, ticks: { show: false }, size: 48, values: (_, splits) => splits.map((value) => said(plot, value)) },
  ];
}

function draw(figure) {
  const [section, index] = figure.dataset.plot.split(".").map(Number);
  const plot = plots[section][index], place = figure.querySelector(".canvas");
  const hooks = { setCursor: [tell(plot, figure.querySelector(".readout"))], ...(plot.line ? { drawAxes: [drawLine(plot)] } : {}) };
  const lines = [...plot.series].reverse();      // the first, ours or this run, is drawn last, on top
  place.replaceChildren();
  const chart = new uPlot({
    width: place.clientWidth, height: place.clientHeight, hooks, axes: axes(plot), legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: false, distr: plot.x.log ? 3 : 1, log: 2, range: () => rangeOfX(plot) }, y: { distr: plot.log ? 3 : 1, range: () => rangeOfY(plot) } },
    series: [{}, ...lines.map(lineOf)],
  }, [plot.x.values, ...lines.map((series) => series.values)], place);
  drawn.push({ chart, place });
}

function drawAll() {
  for (const { chart } of drawn.splice(0)) chart.destroy();
  document.querySelectorAll("[data-plot]").forEach(draw);
}

drawAll();
dark.addEventListener("change", drawAll);
addEventListener("resize", () => drawn.forEach(({ chart, place }) => chart.setSize({ width: place.clientWidth, height: place.clientHeight })));
