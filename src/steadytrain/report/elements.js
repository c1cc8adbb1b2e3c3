"use strict";
// Elements are made here and nowhere else: text goes in as text, so no name can become markup.

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

// the numbers of the page stand as base64 of little-endian floats: NaN and infinity included
function unpack(value) {
  const text = atob(value.f8 ?? value.f4);
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
  return value.f8 === undefined ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
}

// Plotly reads a little markup in its texts; a name must not speak it
function plain(text, length) {
  return shorten(text, length || 90).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("$", "&#36;").replaceAll("%{", "%&#8203;{");
}

// module paths differ in the middle least: their beginning says where, their end says what
function shorten(text, length) {
  const letters = Array.from(text), head = Math.floor(length * 0.45);
  return letters.length <= length ? text : letters.slice(0, head).join("") + "…" + letters.slice(letters.length - (length - head - 1)).join("");
}

function written(value) {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
}

function counted(number, one, many) {
  return number.toLocaleString("en-US") + " " + (number === 1 ? one : many);
}

// `code` in documentation becomes an element; everything else stays text
function prose(text) {
  return text.split(/`+([^`]+)`+/).map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

function section(id, title, lead, ...children) {
  return make("section", { id, "aria-labelledby": id + "-title" },
    make("h2", { id: id + "-title" }, title), lead && make("p", { class: "soft" }, lead), ...children);
}

function swatch(kind) {
  return make("span", { class: "swatch " + kind, "aria-hidden": "true" });
}

function stroke(kind) {
  return make("span", { class: "stroke " + kind, "aria-hidden": "true" });
}

function scrolling(label, child, tall) {
  return make("div", { class: tall ? "scroll tall" : "scroll", tabindex: "0", role: "region", "aria-label": label }, child);
}

function numberTable(columns, rows) {
  const isNumber = columns.map((_, at) => rows.length > 0 && rows.every((row) => row[at].number || row[at].text === "-"));
  const kind = (at) => (isNumber[at] ? "number" : "");
  return make("table", {},
    make("thead", {}, make("tr", {}, columns.map((column, at) => make("th", { scope: "col", class: kind(at) }, column)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell, at) => make("td", { class: kind(at) }, cell.text))))));
}

function pairs(rows, mono) {
  return make("table", { class: "fit" }, make("tbody", {}, rows.map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row", class: "soft" }, name), make("td", { class: mono ? "break mono" : "break" }, value)))));
}
