"use strict";
// Every chart is a function from the page's colours to a Plotly figure, so that it can be drawn
// again in other colours (dark, light, print) or on another scale.

const charts = [];
const FEW = 6; // runs that are drawn beside each other; of more, the reader chooses one
const DASHES = ["solid", "dash", "dot", "dashdot"];
const SYMBOLS = { critical: "x", warning: "triangle-up", note: "circle-open" };
const isCoarse = matchMedia("(pointer: coarse)").matches;

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue("--" + name).trim();
}

function narrow() {
  return document.documentElement.clientWidth < 620;
}

function baseLayout(colour, extra) {
  const axis = { gridcolor: colour("line"), zeroline: false, linecolor: colour("line"), tickfont: { size: 11 }, automargin: true, title: { font: { size: 12 } } };
  return {
    height: 280, margin: { l: 8, r: 12, t: 8, b: 8 }, showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif", size: 12, color: colour("soft") },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink"), size: 12 }, align: "left" },
    dragmode: isCoarse ? false : "zoom", hovermode: "closest",
    ...extra, xaxis: { ...axis, ...(extra.xaxis || {}) }, yaxis: { ...axis, ...(extra.yaxis || {}) },
  };
}

// one after the other, so that the page can be read meanwhile
async function drawAll() {
  for (const chart of [...charts]) {
    if (chart.node.isConnected) draw(chart);
    await new Promise((resume) => setTimeout(resume, 0));
  }
}

function draw(chart) {
  const { data, layout } = chart.build(colours(), chart.state);
  const isNew = !chart.node.on;
  chart.node.style.height = layout.height + "px"; // also where the page is laid out anew, as for print
  Plotly.react(chart.node, data, layout, { responsive: true, displaylogo: false, displayModeBar: isCoarse ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] });
  if (isNew) chart.node.on("plotly_click", (event) => {
    const id = event.points[0].customdata;
    if (typeof id === "string" && id.startsWith("finding-")) location.hash = id;
  });
}

function figure(title, label, build, options) {
  const settings = options || {};
  const node = make("div", { class: "plot", role: "img", "aria-label": label });
  const chart = { node, build, state: { log: Boolean(settings.log) } };
  charts.push(chart);
  return make("figure", { class: "card" },
    make("div", { class: "caption" }, make("h3", {}, settings.mark, title), settings.scale && scaleToggle(chart, title)),
    settings.under, node, settings.legend, settings.note && make("figcaption", { class: "small" }, settings.note));
}

function scaleToggle(chart, title) {
  const buttons = ["linear", "log"].map((scale) => make("button", {
    type: "button", "aria-pressed": String(chart.state.log === (scale === "log")), "aria-label": title + ": " + scale + " scale",
    on: { click: () => {
      chart.state.log = scale === "log";
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === scale)));
      draw(chart);
    } },
  }, scale));
  return make("div", { class: "toggle", role: "group", "aria-label": "Scale" }, buttons);
}

function wantsLog(lines) {
  let low = Infinity, high = 0;
  for (const line of lines) for (const y of unpack(line.y)) if (y > 0) { low = Math.min(low, y); high = Math.max(high, y); }
  const hasOther = lines.some((line) => unpack(line.y).some((y) => y <= 0));
  return !hasOther && high / low > 20;
}

// a point between two gaps would be invisible as a line: it gets a mark of its own
function lineTraces(line, name, colour, extra) {
  const x = unpack(line.x), y = Array.from(unpack(line.y), (v) => (Number.isFinite(v) ? v : null));
  const lonely = y.map((_, at) => at).filter((at) => y[at] !== null && (y[at - 1] ?? null) === null && (y[at + 1] ?? null) === null);
  const hovertemplate = plain(name) + "<br>step %{x:,}: %{y:.4~g}<extra></extra>";
  const traces = [{ type: "scatter", mode: "lines", x, y, connectgaps: false, line: { color: colour, width: 1.6, ...extra }, hovertemplate }];
  if (lonely.length) traces.push({ type: "scatter", mode: "markers", x: lonely.map((at) => x[at]), y: lonely.map((at) => y[at]), marker: { size: 5, color: colour }, hovertemplate });
  return traces;
}

// vertical bands where something was NaN or infinite
function badBands(line, colour, isAlone) {
  return (line.bad || []).map(([first, last]) => ({ type: "rect", xref: "x", yref: "paper", x0: first - 0.5, x1: last + 0.5, y0: 0, y1: isAlone ? 1 : 0.025, layer: "below", line: { width: 1, color: colour("bad") }, fillcolor: colour("bad"), opacity: isAlone ? 0.16 : 0.9 }));
}

// over several decades only the powers of ten are named
function valueAxis(isLog, values) {
  if (!isLog) return { type: "linear", exponentformat: "power", minexponent: 6, separatethousands: true };
  let low = Infinity, high = 0;
  for (const value of values) if (value > 0 && value < Infinity) { low = Math.min(low, value); high = Math.max(high, value); }
  return { type: "log", exponentformat: "power", ...(high / low > 100 ? { dtick: 1 } : high / low > 5 ? { dtick: "D2" } : {}) };
}

function heights(lines) {
  return lines.flatMap((line) => (line ? Array.from(unpack(line.y)) : []));
}

// steps are whole numbers, also between two ticks of a short run
function stepAxis(low, high) {
  return { title: { text: "step" }, range: [low, high], ...(high - low < 8 ? { dtick: 1 } : {}) };
}

// the first to the last step, without the margin that marks would add
function reach(lines) {
  let low = Infinity, high = -Infinity;
  for (const line of lines) {
    for (const x of unpack(line.x)) { low = Math.min(low, x); high = Math.max(high, x); }
    for (const [first, last] of line.bad || []) { low = Math.min(low, first); high = Math.max(high, last); }
  }
  const margin = Math.max(0.5, (high - low) * 0.008);
  return [low - margin, high + margin];
}

function valueAt(x, y, step) {
  let value = null;
  for (let at = 0; at < x.length; at++) {
    if (x[at] > step && value !== null) break;
    if (Number.isFinite(y[at])) value = y[at];
  }
  return value;
}

function findingMarks(run, index, colour) {
  const line = run.lines.loss;
  const x = unpack(line.x), y = unpack(line.y);
  return ["note", "warning", "critical"].flatMap((severity) => {
    const found = run.findings.map((finding, at) => ({ finding, at, y: valueAt(x, y, finding.step) }))
      .filter((item) => item.finding.severity === severity && item.y !== null);
    if (!found.length) return [];
    return [{ type: "scatter", mode: "markers", x: found.map((item) => item.finding.step), y: found.map((item) => item.y),
      marker: { symbol: SYMBOLS[severity], size: severity === "critical" ? 12 : 11, color: colour(severity), line: { width: 1, color: colour("panel") } },
      text: found.map((item) => "<b>" + plain(item.finding.rule) + "</b> at step " + item.finding.step.toLocaleString("en-US") + (item.finding.site ? "<br>" + plain(item.finding.site, 60) : "")),
      customdata: found.map((item) => "finding-" + index + "-" + item.at), hovertemplate: "%{text}<extra></extra>" }];
  });
}

function eventLines(run, colour) {
  return run.events.map((event) => ({ type: "line", xref: "x", yref: "paper", x0: event.step, x1: event.step, y0: 0, y1: 1, line: { width: 1, dash: "dot", color: colour("note") } }));
}

function eventMarks(run, colour) {
  if (!run.events.length) return [];
  return [{ type: "scatter", mode: "markers", x: run.events.map((event) => event.step), y: run.events.map(() => 0.98), yaxis: "y2",
    marker: { symbol: "triangle-down", size: 9, color: colour("note") },
    text: run.events.map((event) => "<b>" + plain(event.kind) + "</b> at step " + event.step.toLocaleString("en-US") + "<br>" + plain(event.reason, 70)), hovertemplate: "%{text}<extra></extra>" }];
}

function lossFigure(runs) {
  return (colour, state) => {
    const drawn = runs.map((run, index) => ({ run, index })).filter(({ run }) => run.lines.loss);
    const data = drawn.flatMap(({ run, index }) => {
      const own = colour("run-" + (index % 8)), dash = DASHES[Math.floor(index / 8) % 4];
      const traces = lineTraces(run.lines.loss, run.name + ", loss", own, { dash });
      if (run.lines.validation_loss && drawn.length <= FEW) traces.push(...lineTraces(run.lines.validation_loss, run.name + ", validation loss", own, { dash: "dot", width: 2.2 }));
      return [...traces, ...findingMarks(run, index, colour), ...eventMarks(run, colour)];
    });
    const shapes = drawn.flatMap(({ run }) => [...badBands(run.lines.loss, colour, drawn.length === 1), ...eventLines(run, colour)]);
    return { data, layout: baseLayout(colour, { height: 340, shapes, xaxis: stepAxis(...reach(drawn.map(({ run }) => run.lines.loss))), yaxis: valueAxis(state.log, heights(drawn.map(({ run }) => run.lines.loss))), yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true } }) };
  };
}

function linesFigure(entries, options) {
  return (colour, state) => ({
    data: entries.flatMap((entry) => lineTraces(entry.line, entry.name, colour(entry.colour), { dash: entry.dash || "solid", width: entry.width || 1.6 })),
    layout: baseLayout(colour, { height: (options && options.height) || 250, shapes: entries.flatMap((entry) => badBands(entry.line, colour, true)),
      xaxis: stepAxis(...reach(entries.map((entry) => entry.line))), yaxis: { ...valueAxis(state.log, heights(entries.map((entry) => entry.line))), rangemode: state.log ? "normal" : "tozero" } }),
  });
}

function decadeTicks(low, high) {
  const first = Math.ceil(low - 1e-9), last = Math.floor(high + 1e-9);
  const every = Math.max(1, Math.ceil((last - first + 1) / 6));
  const ticks = [];
  for (let decade = first; decade <= last; decade += every) ticks.push(decade);
  return ticks.length ? ticks : [low, high];
}

function powerOfTen(decade) {
  return "10<sup>" + String(Number(decade.toFixed(1))).replace("-", "−") + "</sup>";
}

function heatFigure(map, low, high) {
  return (colour) => {
    const cells = unpack(map.cells), starts = Array.from(unpack(map.steps));
    const width = starts.length, rows = map.rows.length, y = map.rows.map((_, row) => row);
    const value = (row) => Array.from(cells.subarray(row * width, (row + 1) * width));
    const x = [...starts, Math.max(map.last_step, starts[width - 1]) + 1];
    const z = y.map((row) => value(row).map((v) => (Number.isFinite(v) ? (v > 0 ? Math.log10(v) : null) : null)));
    const only = (wanted) => y.map((row) => value(row).map((v) => (v === wanted ? 1 : null)));
    const names = map.rows.map((name, row) => new Array(width).fill(plain(name, 60) + (map.each[row] > 1 ? " and " + (map.each[row] - 1) + " more" : "")));
    const exact = y.map((row) => value(row).map(written));
    const span = (at) => (x[at + 1] - x[at] > 1 ? x[at].toLocaleString("en-US") + "–" + (x[at + 1] - 1).toLocaleString("en-US") : x[at].toLocaleString("en-US"));
    const stretch = starts.map((_, at) => span(at));
    const hover = exact.map((row) => row.map((text, at) => "step " + stretch[at] + ": " + text));
    const ticks = decadeTicks(low, high), slim = narrow();
    const height = Math.min(560, Math.max(190, rows * 15)) + (slim ? 60 : 40);
    const labels = Math.max(1, Math.ceil(rows / Math.floor(height / 16)));
    const shown = y.filter((row) => row % labels === 0);
    const shared = { type: "heatmap", x, y, xgap: 0, text: names, customdata: hover, hovertemplate: "%{text}<br>%{customdata}<extra></extra>", hoverongaps: false };
    const bar = { thickness: 10, outlinewidth: 0, tickvals: ticks, ticktext: ticks.map(powerOfTen), tickfont: { size: 11 },
      ...(slim ? { orientation: "h", x: 0.5, y: 1, yanchor: "bottom", len: 1 } : { len: 1, y: 0.5, x: 1.01 }) };
    const data = [{ ...shared, z, zmin: low, zmax: high, colorscale: "Viridis", colorbar: bar }];
    // what has no logarithm has a colour outside the scale
    for (const [wanted, name, words] of [[0, "zero", "exactly zero"], [Infinity, "bad", "NaN or infinite"]]) {
      if (cells.includes(wanted)) data.push({ ...shared, z: only(wanted), zmin: 0, zmax: 1, colorscale: [[0, colour(name)], [1, colour(name)]], showscale: false, customdata: y.map(() => stretch.map((steps) => "step " + steps + ": " + words)) });
    }
    return { data, layout: baseLayout(colour, { height, margin: { l: 8, r: 8, t: 8, b: 8 },
      xaxis: { ...stepAxis(x[0], x[width]), showgrid: false },
      yaxis: { autorange: "reversed", tickvals: shown, ticktext: shown.map((row) => plain(map.rows[row], slim ? 16 : 28)), tickfont: { size: 10.5 }, showgrid: false, ticks: "" } }) };
  };
}

function spreadFigure(values, names, range, index) {
  return (colour) => {
    const there = Array.from(values, (value, at) => ({ value, at })).filter((item) => Number.isFinite(item.value) && item.value > 0);
    const own = colour("run-" + (index % 8)), ticks = decadeTicks(range[0], range[1]);
    if (values.length <= 60) {
      return { data: [{ type: "bar", x: there.map((item) => item.at), y: there.map((item) => item.value), marker: { color: own },
        text: there.map((item) => plain(names[item.at], 60)), textposition: "none", hovertemplate: "%{text}<br>%{y:.3~g}<extra></extra>" }],
      layout: baseLayout(colour, { height: 200, bargap: 0.25, xaxis: { title: { text: "parameters, first to last" }, showgrid: false, range: [-0.7, values.length - 0.3], showticklabels: false }, yaxis: { type: "log", range, tickvals: ticks.map((decade) => 10 ** decade), ticktext: ticks.map(powerOfTen) } }) };
    }
    const bins = 40, counts = new Array(bins).fill(0);
    for (const item of there) counts[Math.min(bins - 1, Math.max(0, Math.floor(((Math.log10(item.value) - range[0]) / (range[1] - range[0])) * bins)))] += 1;
    const left = counts.map((_, bin) => range[0] + ((bin + 0.5) / bins) * (range[1] - range[0]));
    return { data: [{ type: "bar", x: left, y: counts, marker: { color: own }, hovertemplate: "%{y} parameters<extra></extra>" }],
      layout: baseLayout(colour, { height: 200, bargap: 0.04, xaxis: { title: { text: "gradient norm" }, tickvals: ticks, ticktext: ticks.map(powerOfTen), showgrid: false }, yaxis: { title: { text: "parameters" } } }) };
  };
}

function chartFigure(chart) {
  return (colour, state) => {
    const data = chart.series.flatMap((series, index) => {
      const own = colour("run-" + (index % 8)), x = Array.isArray(series.x) ? series.x.map((name) => plain(name, 30)) : Array.from(unpack(series.x));
      const clean = (packed) => Array.from(unpack(packed), (v) => (Number.isFinite(v) ? v : null));
      const y = clean(series.y), low = clean(series.low), high = clean(series.high);
      const hovertemplate = plain(series.name) + "<br>%{x}: %{y:.4~g}<extra></extra>";
      if (chart.kind === "bar") {
        const error = low.length ? { error_y: { type: "data", symmetric: false, array: high.map((v, at) => v - y[at]), arrayminus: low.map((v, at) => y[at] - v), color: colour("ink"), thickness: 1.2, width: 4 } } : {};
        return [{ type: "bar", x, y, name: plain(series.name, 40), marker: { color: own }, hovertemplate, ...error }];
      }
      const band = low.length ? [
        { type: "scatter", mode: "lines", x, y: low, line: { width: 0 }, hoverinfo: "skip", showlegend: false },
        { type: "scatter", mode: "lines", x, y: high, line: { width: 0 }, fill: "tonexty", fillcolor: own + "26", hoverinfo: "skip", showlegend: false }] : [];
      return [...band, { type: "scatter", mode: x.length > 40 ? "lines" : "lines+markers", x, y, name: plain(series.name, 40), line: { color: own, width: 1.8, dash: DASHES[Math.floor(index / 8) % 4] }, marker: { size: 5 }, hovertemplate }];
    });
    // names that look like numbers ("3e-4") would otherwise be drawn as numbers
    const named = chart.series.some((series) => Array.isArray(series.x)) ? { type: "category" } : {};
    return { data, layout: baseLayout(colour, { height: 300, barmode: "group", bargap: 0.3, xaxis: { ...named, title: { text: plain(chart.x_label) }, showgrid: chart.kind !== "bar" }, yaxis: { ...valueAxis(state.log, heights(chart.series)), title: { text: plain(chart.y_label) } } }) };
  };
}
