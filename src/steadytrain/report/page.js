"use strict";

function heading(data) {
  const runs = data.runs, grave = ["critical", "warning", "note", "healthy", "empty"];
  const lab = data.experiments[0];
  const one = runs.length === 1 ? runs[0] : null;
  const worst = grave.find((state) => runs.some((run) => run.state === state));
  const brand = make("div", { class: "brand" }, make("b", {}, "steadytrain"), make("span", {}, lab ? (lab.claims.length ? "experiment" : "results") : one ? one.name : counted(runs.length, "run", "runs") + " side by side"));
  if (lab) {
    const verdicts = lab.claims.map((claim) => claim.verdict), count = (verdict) => verdicts.filter((other) => other === verdict).length;
    const tally = [["holds", count("holds") === 1 ? "holds" : "hold"], ["contradicted", "contradicted"], ["not shown", "not shown"]].filter(([verdict]) => count(verdict)).map(([verdict, text]) => count(verdict) + " " + text).join(", ");
    return [brand, make("div", { class: "verdict state-note" }, tally && badge("note", counted(verdicts.length, "claim", "claims") + ": " + tally), make("h1", {}, lab.title), make("p", { class: "lead" }, lab.summary))];
  }
  const sentence = one ? one.sentence : comparison(runs);
  return [brand, make("div", { class: "verdict state-" + worst }, badge(worst), make("h1", {}, sentence))];
}

function comparison(runs) {
  const count = (state) => runs.filter((run) => run.state === state).length;
  const parts = [["healthy", "healthy"], ["note", "without a verdict"], ["warning", "to look at"], ["critical", "with critical findings"], ["empty", "empty"]].filter(([state]) => count(state)).map(([state, text]) => count(state) + " " + text);
  return "Of " + runs.length + " runs: " + parts.join(", ") + ".";
}

function footing(data) {
  return [make("p", {}, "Written by steadytrain on " + data.written + ". This page is one file: it opens offline and loads nothing. Values that were not measured are left out, not drawn as zero.")];
}

// a link into a folded section unfolds it
function reveal() {
  const target = document.getElementById(location.hash.slice(1));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const runs = data.runs;
  document.title = (data.experiments.length ? data.experiments[0].title : runs.length === 1 ? runs[0].name : runs.length + " runs") + " · steadytrain report";
  document.getElementById("top").append(...heading(data));
  const parts = [data.missing.length > 0 && section("missing", "Missing", null, missingOf(data)), ...data.experiments.map(experiment), overview(runs), lossCurve(runs), findings(runs, data.rules), curves(runs), events(runs), layers(runs), spreads(runs), parameterTable(runs), settingsOf(runs), rulePages(data.rules)].filter(Boolean);
  document.getElementById("main").append(...parts);
  document.getElementById("nav").append(make("ul", {}, parts.map((part) => make("li", {}, make("a", { href: "#" + part.id }, part.querySelector("h2").textContent)))));
  document.getElementById("foot").append(...footing(data));
  addEventListener("hashchange", reveal);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { document.querySelectorAll("details").forEach((part) => { part.open = true; }); charts.forEach(draw); });
  addEventListener("afterprint", drawAll);
  // Plotly stands after this script, so that the words are there before the pictures
  addEventListener("load", () => { reveal(); drawAll().then(() => { document.documentElement.dataset.ready = "yes"; }); });
}

start();
