"use strict";
// The sections of the page, in reading order; each returns its element, or null with nothing to say.

const STATES = { critical: "✕ critical", warning: "▲ warning", note: "● note", healthy: "✓ healthy", empty: "○ empty" };
const VERDICTS = { holds: ["healthy", "✓ holds"], contradicted: ["critical", "✕ contradicted"], "not shown": ["note", "● not shown"] };

function badge(state, text) {
  return make("span", { class: "badge state-" + state }, text || STATES[state]);
}

function runSwatch(index, runs) {
  return runs.length > 1 ? swatch("run-" + (index % 8)) : null;
}

function numbersOf(run) {
  return make("dl", { class: "numbers" }, run.numbers.map((number) =>
    make("div", {}, make("dt", {}, number.label), make("dd", {}, number.value), number.detail && make("dd", { class: "detail" }, number.detail))));
}

function missingOf(run) {
  return run.missing.length > 0 && make("div", { class: "notice", role: "note" }, make("b", {}, "Not everything is here"), make("ul", {}, run.missing.map((sentence) => make("li", {}, sentence))));
}

// all of a few runs beside each other; of many, the one that the reader chooses
function chosen(entries, build) {
  if (entries.length <= FEW) return build(entries);
  const host = make("div", {});
  const show = (at) => {
    for (let place = charts.length - 1; place >= 0; place--) if (host.contains(charts[place].node)) charts.splice(place, 1);
    const before = charts.length;
    host.replaceChildren(...[build([entries[at]])].flat(2).filter(Boolean));
    if (host.isConnected) charts.slice(before).forEach(draw);
  };
  const choice = make("select", { "aria-label": "Run", on: { change: () => show(Number(choice.value)) } }, entries.map(({ run }, at) => make("option", { value: at }, run.name)));
  const broken = Math.max(0, entries.findIndex(({ run }) => run.state === "critical"));
  choice.value = String(broken);
  show(broken);
  return [make("div", { class: "bar" }, make("label", {}, "Run ", choice)), host];
}

function entriesOf(runs, wanted) {
  return runs.map((run, index) => ({ run, index, mark: runSwatch(index, runs) })).filter(({ run }) => wanted(run));
}

function overview(runs) {
  if (!runs.length) return null;
  if (runs.length === 1) return section("numbers", "Key numbers", null, missingOf(runs[0]), numbersOf(runs[0]));
  return section("numbers", "The runs", "Every colour stays with its run through the whole page.", make("div", { class: "runs" }, runs.map((run, index) => make("article", { class: "card" },
    make("div", { class: "caption" }, make("h3", {}, runSwatch(index, runs), run.name), badge(run.state)), make("p", { class: "break" }, run.sentence), missingOf(run)))), make("div", { class: "card" }, scrolling("Key numbers of the runs", numbersBeside(runs))));
}

// few runs are columns, many are rows
function numbersBeside(runs) {
  const labels = [...new Set(runs.flatMap((run) => run.numbers.map((number) => number.label)))];
  const cell = (run, label) => {
    const number = run.numbers.find((other) => other.label === label);
    return make("td", {}, number ? make("b", {}, number.value) : "-", number && number.detail && make("span", { class: "small soft under" }, number.detail));
  };
  const runHead = (run, scope) => make("th", { scope, class: "break" }, runSwatch(runs.indexOf(run), runs), run.name);
  const labelHead = (label, scope) => make("th", { scope, class: "soft" }, label);
  const isWide = runs.length <= FEW;
  const heads = isWide ? runs.map((run) => runHead(run, "col")) : labels.map((label) => labelHead(label, "col"));
  const rows = isWide ? labels.map((label) => [labelHead(label, "row"), runs.map((run) => cell(run, label))]) : runs.map((run) => [runHead(run, "row"), labels.map((label) => cell(run, label))]);
  return make("table", {}, make("thead", {}, make("tr", {}, make("td", {}), heads)), make("tbody", {}, rows.map(([head, cells]) => make("tr", {}, head, cells))));
}

function experiment(found, at) {
  const charted = (chart) => figure(chart.title, chart.title + ": " + chart.series.map((series) => series.name).join(", "), chartFigure(chart), { log: chart.log_y, scale: true, note: chart.note,
    legend: chart.series.length > 1 && legendOf(chart.series.map((series, index) => [swatch("run-" + (index % 8)), series.name])) });
  return section("experiment-" + at, at ? found.title : found.claims.length ? "Expected and measured" : "What was measured", at ? found.summary : null,
    make("p", { class: "small soft" }, found.data),
    found.claims.length > 0 && make("div", { class: "card" }, found.claims.map(claimRow)),
    found.tables.map((table) => make("div", { class: "card" }, make("h3", {}, table.title), scrolling(table.title, numberTable(table.columns, table.rows)), table.note && make("p", { class: "small soft" }, table.note))),
    make("div", { class: "grid wide" }, found.charts.map(charted)),
    found.settings.length > 0 && make("details", { class: "card" }, make("summary", {}, "Settings of the experiment"), pairs(found.settings, true)));
}

function claimRow(claim) {
  const [state, text] = VERDICTS[claim.verdict] || ["note", claim.verdict];
  const part = (label, value) => make("div", {}, make("span", { class: "label" }, label), value);
  return make("div", { class: "claim" }, make("div", { class: "question" }, claim.question), part("expected", claim.expected), part("measured", claim.measured),
    make("div", {}, badge(state, text)), claim.comment && make("div", { class: "comment" }, claim.comment));
}

function legendOf(entries) {
  return make("ul", { class: "legend" }, entries.map(([mark, text]) => make("li", {}, mark, text)));
}

function findings(runs, rules) {
  const total = runs.reduce((sum, run) => sum + run.num_findings, 0);
  if (!runs.some((run) => run.num_steps > 0 || run.num_findings > 0)) return null;
  if (!total) return section("findings", "Findings", "No rule found anything.");
  const places = new Map(rules.map((rule, at) => [rule.name, at]));
  return section("findings", "Findings", "In order of step: what a rule saw, with its numbers.", runs.map((run, index) => run.num_findings > 0 && make("div", {},
    runs.length > 1 && make("h3", { class: "run-title" }, runSwatch(index, runs), run.name), longList(run.findings.map((finding, at) => findingCard(finding, "finding-" + index + "-" + at, places)), runs.length > FEW ? 3 : 12),
    run.num_findings > run.findings.length && make("p", { class: "small soft" }, "The " + run.findings.length + " gravest of " + counted(run.num_findings, "finding", "findings") + " are shown."))));
}

function longList(cards, limit) {
  const rest = make("div", { hidden: true }, cards.slice(limit));
  if (cards.length <= limit) return cards;
  const button = make("button", { type: "button", class: "more", on: { click: () => { rest.hidden = false; button.remove(); } } }, "Show " + (cards.length - limit) + " more");
  return [...cards.slice(0, limit), rest, button];
}

function findingCard(finding, id, places) {
  const place = places.get(finding.rule);
  return make("article", { class: "card finding state-" + finding.severity, id, tabindex: "-1" },
    make("div", { class: "head" }, badge(finding.severity), make("h3", {}, finding.rule), make("span", { class: "soft" }, "step " + finding.step.toLocaleString("en-US")), finding.site && make("code", {}, finding.site)),
    make("p", {}, finding.message),
    finding.evidence.length > 0 && make("dl", { class: "evidence", "aria-label": "Evidence" }, finding.evidence.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    finding.causes.length > 0 && make("div", { class: "causes" }, make("span", { class: "small soft" }, "Points to"), make("ul", {}, finding.causes.map(([name, meaning]) => make("li", {}, make("b", {}, name), meaning && ": " + meaning)))),
    make("div", { class: "foot" },
      place !== undefined && make("a", { href: "#rule-" + place }, "What this rule sees, and what to do (" + finding.code + ")")));
}

function events(runs) {
  if (!runs.some((run) => run.num_events > 0)) return null;
  const rows = runs.flatMap((run) => run.events.map((event) => [run.name, event]));
  const total = runs.reduce((sum, run) => sum + run.num_events, 0);
  return section("events", "Events", "What was done to the run while it was going.", make("div", { class: "card" }, scrolling("Events", make("table", {},
    make("thead", {}, make("tr", {}, [...(runs.length > 1 ? ["run"] : []), "step", "what", "why"].map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, rows.map(([name, event]) => make("tr", {}, runs.length > 1 && make("td", {}, name), make("td", {}, event.step.toLocaleString("en-US")), make("td", {}, event.kind), make("td", { class: "break" }, event.reason))))), true),
  total > rows.length && make("p", { class: "small soft" }, "The first " + rows.length + " of " + total + " are shown.")));
}

function curves(runs) {
  const norms = entriesOf(runs, (run) => run.lines.grad_norm_total), others = [...rateCurves(runs), metricCurve(runs), scaleCurve(runs)].filter(Boolean);
  if (!norms.length && !others.length) return null;
  const normFigures = norms.length ? chosen(norms, (few) => make("div", { class: "grid wide" }, norms.length <= FEW && others.splice(0), few.map(normCurve))) : null;
  return section("curves", "Rates and norms", null, others.length > 0 && make("div", { class: "grid wide" }, others), normFigures);
}

function thinned(lines) {
  const most = Math.max(...lines.map((line) => line.num));
  const drawn = Math.max(...lines.map((line) => unpack(line.x).length));
  return most > drawn ? "Drawn from " + most.toLocaleString("en-US") + " measured steps: of every stretch its lowest and its highest value." : "";
}

function lossCurve(runs) {
  const drawn = runs.filter((run) => run.lines.loss);
  if (!drawn.length) return null;
  const lines = drawn.map((run) => run.lines.loss), legend = runs.length > 1 ? runs.map((run, index) => [runSwatch(index, runs), run.name]) : [];
  const numBad = lines.reduce((sum, line) => sum + line.num_bad, 0);
  if (numBad) legend.push([swatch("bad"), "not finite, " + counted(numBad, "step", "steps")]);
  const seen = (severity) => drawn.some((run) => run.findings.some((finding) => finding.severity === severity));
  for (const [severity, mark] of [["critical", "✕"], ["warning", "▲"], ["note", "○"]]) if (seen(severity)) legend.push([make("b", { class: "mark state-" + severity }, mark), severity + " finding"]);
  if (drawn.some((run) => run.events.length)) legend.push([make("b", { class: "mark state-note" }, "▼"), "event"]);
  if (drawn.some((run) => run.lines.validation_loss)) legend.push([stroke("dot " + (runs.length > 1 ? "plain" : "run-0")), "validation loss"]);
  return section("loss", "Loss", null, figure("Training loss", "Loss over the steps of " + drawn.map((run) => run.name + ": " + run.sentence).join(" "), lossFigure(runs), { scale: true, log: wantsLog(lines), note: thinned(lines), legend: legend.length > 0 && legendOf(legend) }));
}

function rateCurves(runs) {
  const entries = runs.flatMap((run, index) => run.rates.map((rate, group) => ({ line: rate, name: run.name + (run.rates.length > 1 ? ", " + rate.name : ""), colour: "run-" + ((runs.length > 1 ? index : group) % 8), dash: runs.length > 1 ? DASHES[group % 4] : "solid" })));
  if (!entries.length) return [];
  const legend = runs.length === 1 && entries.length > 1 ? runs[0].rates.map((rate, group) => [swatch("run-" + (group % 8)), rate.name]) : [];
  return [figure("Learning rate", "Learning rate over the steps", linesFigure(entries), { scale: true, note: thinned(entries.map((entry) => entry.line)), legend: legend.length > 0 && legendOf(legend) })];
}

function normCurve({ run, index, mark }) {
  const { grad_norm_total: before, grad_norm_clipped: after, max_grad_norm: limit } = run.lines;
  const own = "run-" + (index % 8), entries = [{ line: before, name: "before clipping", colour: own }], legend = [[stroke(own), "before clipping"]];
  if (after) { entries.push({ line: after, name: "after clipping", colour: "soft", dash: "dot" }); legend.push([stroke("dot plain"), "after clipping"]); }
  if (limit) { entries.push({ line: limit, name: "threshold of the clip", colour: "warning", dash: "dash", width: 1.2 }); legend.push([stroke("dash state-warning"), "threshold"]); }
  if (before.num_bad) legend.push([swatch("bad"), "not finite, " + counted(before.num_bad, "step", "steps")]);
  return figure(mark ? "Gradient norm, " + run.name : "Gradient norm", "Norm of all gradients together over the steps of " + run.name, linesFigure(entries), { mark: copyOf(mark), scale: true, log: wantsLog([before, ...(limit ? [limit] : [])]), note: thinned([before]), legend: legendOf(legend) });
}

function copyOf(mark) {
  return mark && mark.cloneNode(true);
}

function metricCurve(runs) {
  const entries = runs.map((run, index) => ({ line: run.lines.validation_metric, name: run.name, colour: "run-" + (index % 8) })).filter((entry) => entry.line);
  return entries.length ? figure("Validation metric", "Validation metric over the steps, higher is better", linesFigure(entries), { scale: true, note: "Higher is better." }) : null;
}

function scaleCurve(runs) {
  const entries = runs.map((run, index) => ({ line: run.lines.loss_scale, name: run.name, colour: "run-" + (index % 8) })).filter((entry) => entry.line);
  return entries.length ? figure("Loss scale", "Loss scale over the steps", linesFigure(entries), { scale: true, log: wantsLog(entries.map((entry) => entry.line)) }) : null;
}

function layers(runs) {
  const entries = entriesOf(runs, (run) => run.maps.length);
  if (!entries.length) return null;
  const stats = [...new Set(entries.flatMap(({ run }) => run.maps.map((map) => map.stat)))];
  const range = (stat) => {
    const maps = entries.flatMap(({ run }) => run.maps.filter((map) => map.stat === stat));
    return [Math.min(...maps.map((map) => map.low)), Math.max(...maps.map((map) => map.high))];
  };
  const ranges = new Map(stats.map((stat) => [stat, range(stat)]));
  return section("layers", "Layer by layer", "First layer on top. Colours are powers of ten; between runs they mean the same.", chosen(entries, (few) => stats.map((stat) =>
    make("div", { class: few.length > 1 ? "grid wide" : "" }, few.map((entry) => mapFigure(entry, stat, ranges.get(stat)))))));
}

function mapFigure({ run, mark }, stat, [low, high]) {
  const map = run.maps.find((other) => other.stat === stat);
  return map && figure(mark ? map.title + ", " + run.name : map.title, map.title + " of every layer over the steps of " + run.name, heatFigure(map, low, high),
    { mark: copyOf(mark), note: map.meaning + mapNote(map), legend: mapLegend(map) });
}

function mapLegend(map) {
  const cells = unpack(map.cells), entries = [];
  if (cells.includes(Infinity)) entries.push([swatch("bad"), "NaN or infinite"]);
  if (cells.includes(0)) entries.push([swatch("zero"), "exactly zero"]);
  if (cells.includes(NaN)) entries.push([swatch("none"), "not measured"]);
  return entries.length > 0 && legendOf(entries);
}

function mapNote(map) {
  const columns = unpack(map.steps).length, rows = map.rows.length, parts = [];
  if (map.num_steps > columns) parts.push(counted(map.num_steps, "measured step", "measured steps") + " as " + columns + " columns");
  if (map.num_sites > rows) parts.push(counted(map.num_sites, map.what.slice(0, -1), map.what) + " as " + rows + " rows");
  return parts.length ? " Reduced: " + parts.join(", ") + "; every cell is the largest value of what it stands for." : "";
}

function spreads(runs) {
  const entries = entriesOf(runs, (run) => run.spread.length);
  let low = Infinity, high = 0;
  for (const { run } of entries) for (const at of run.spread) for (const value of unpack(at.values)) if (value > 0 && Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  if (!(high > 0)) return null;
  const range = [Math.max(Math.floor(Math.log10(low) - 0.05), Math.log10(high) - 15), Math.log10(high) + 0.15];
  return section("spread", "Spread over the layers", "The gradient norm of every parameter, before clipping, at named steps.", chosen(entries, (few) => few.map((entry) => make("div", {},
    entry.mark && make("h3", { class: "run-title" }, copyOf(entry.mark), entry.run.name), make("div", { class: "grid" }, entry.run.spread.map((at) => spreadAt(entry, at, range)))))));
}

function spreadAt({ run, index }, at, range) {
  const values = unpack(at.values), notes = [];
  const zeros = values.filter((value) => value === 0).length, none = values.filter((value) => !Number.isFinite(value)).length;
  if (zeros) notes.push(counted(zeros, "parameter", "parameters") + " with a gradient of exactly zero not drawn");
  if (none) notes.push(counted(none, "parameter", "parameters") + " not measured or not finite");
  return figure("step " + at.step.toLocaleString("en-US"), "Gradient norm of every parameter at step " + at.step, spreadFigure(values, run.sites, range, index), { note: notes.join("; ") });
}

function parameterTable(runs) {
  const drawn = runs.map((run, index) => ({ run, index })).filter(({ run }) => run.parameters);
  if (!drawn.length) return null;
  const host = make("div", {});
  const show = (at) => host.replaceChildren(sortableTable(drawn[at].run.parameters));
  const choice = make("select", { "aria-label": "Run", on: { change: () => show(Number(choice.value)) } }, drawn.map(({ run }, at) => make("option", { value: at }, run.name)));
  show(0);
  return section("parameters", "Parameters", "The newest measured value of every parameter. A heading sorts.", make("div", { class: "card" }, drawn.length > 1 && make("div", { class: "bar" }, choice), host));
}

function sortableTable(table) {
  const columns = table.columns.map((column) => unpack(column.values)), order = table.names.map((_, at) => at);
  const body = make("tbody", {}), more = make("button", { type: "button", class: "more" }), count = make("span", { class: "small soft", role: "status" });
  const filter = make("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter parameters by name" });
  const state = { by: -1, down: false, limit: 100 };
  const compare = (a, b) => {
    if (state.by < 0) return state.down ? b - a : a - b;
    const x = columns[state.by][a], y = columns[state.by][b];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || a - b;
    return (state.down ? y - x : x - y) || a - b;
  };
  const fill = () => {
    const word = filter.value.toLowerCase(), rows = order.filter((at) => table.names[at].toLowerCase().includes(word)).sort(compare);
    body.replaceChildren(...rows.slice(0, state.limit).map((at) => make("tr", {}, make("th", { scope: "row", class: "break mono" }, table.names[at]), columns.map((column) => make("td", { class: "number" }, written(column[at]))))));
    more.hidden = rows.length <= state.limit;
    more.textContent = "Show " + Math.min(200, rows.length - state.limit) + " more";
    count.textContent = Math.min(state.limit, rows.length).toLocaleString("en-US") + " of " + table.num.toLocaleString("en-US") + (table.num > table.names.length ? " (the page carries the first " + table.names.length.toLocaleString("en-US") + ")" : "");
  };
  const heads = [{ title: "parameter", meaning: "In the order of the model." }, ...table.columns].map((column, at) => {
    const head = make("th", { scope: "col", class: at ? "number" : "", title: column.meaning, "aria-sort": at ? "none" : "ascending" }, make("button", { type: "button", on: { click: () => {
      state.down = state.by === at - 1 ? !state.down : at > 0;
      state.by = at - 1;
      heads.forEach((other) => other.setAttribute("aria-sort", other === head ? (state.down ? "descending" : "ascending") : "none"));
      fill();
    } } }, column.title));
    return head;
  });
  filter.addEventListener("input", () => { state.limit = 100; fill(); });
  more.addEventListener("click", () => { state.limit += 200; fill(); });
  fill();
  return make("div", {}, make("div", { class: "bar" }, filter, count), scrolling("Parameters", make("table", {}, make("thead", {}, make("tr", {}, heads)), body), true), more);
}

function settingsOf(runs) {
  const entries = entriesOf(runs, (run) => run.settings.length);
  if (!entries.length) return null;
  return section("settings", "Settings", null, chosen(entries, (few) => make("div", { class: "grid wide" }, few.map(({ run, mark }) => make("div", { class: "card" }, mark && make("h3", {}, copyOf(mark), run.name), scrolling("Settings of " + run.name, pairs(run.settings, true), true))))));
}

function rulePages(rules) {
  if (!rules.length) return null;
  return section("rules", "Rules that spoke", null, rules.map((rule, at) => make("details", { class: "card rule", id: "rule-" + at },
    make("summary", {}, rule.name + " ", make("span", { class: "soft" }, rule.code)), make("p", {}, prose(rule.summary)), blocksOf(rule.blocks))));
}

function blocksOf(blocks) {
  const nodes = [];
  for (const block of blocks) {
    const last = nodes[nodes.length - 1];
    if (block.kind === "heading") nodes.push(make("h4", {}, block.text));
    else if (block.kind === "code") nodes.push(make("pre", { tabindex: "0" }, block.text));
    else if (block.kind !== "item") nodes.push(make("p", {}, prose(block.text)));
    else if (last && last.tagName === "UL") last.append(make("li", {}, prose(block.text)));
    else nodes.push(make("ul", {}, make("li", {}, prose(block.text))));
  }
  return nodes;
}
