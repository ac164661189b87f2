/* What the parts of the report share: elements, numbers, colours, steps, the data of one chart.
   Text enters the page through textContent only. */

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const home = document.getElementById("charts");
const SHOWN = 12; // names shown at first where there are many
const HUES = 12; // colours in the style sheet
const LANES = 8; // rows of finding marks above a chart
const groups = data.axes.map((axis) => ({ axis, full: roomy(axis.range), zoom: roomy(axis.range), panels: [] }));
const colours = new Map();
const found = new Map(data.findings.map((one) => [one.id, one]));
let selected = null;
let drawn = 0;

function roomy([a, b]) {
  return a === b ? [a - 1, b + 1] : [a, b];
}

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter(Boolean));
  return made;
}

/* ---- numbers and colours ---- */

function short(value) {
  if (value == null) return "not finite";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

/* A share in two significant digits: it never rounds to nothing. */
function percent(value) {
  const size = 100 * value;
  if (Math.abs(size) >= 9.95) return `${Math.round(size)}%`;
  return `${String(Number(size.toPrecision(2))).replace("e+", "e")}%`;
}

/* Labels of an axis in percent, close to each other where it is short. */
function percentLabel(value) {
  return `${String(Number((100 * value).toPrecision(3))).replace("e+", "e")}%`;
}

function css(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

function colour(one, panel, hues) {
  if (one.total) return css("--ink");
  if (panel.series.every((other) => other.name === one.name)) return css(one.solid ? "--s0" : "--s1");
  return css(`--s${hues.get(one.name)}`);
}

/* Names keep their colour over all charts; where two of one chart share it, the second gives way. */
function huesOf(names) {
  const taken = new Set();
  return new Map(names.map((name) => {
    let hue = (colours.get(name) ?? 0) % HUES;
    for (let tries = 0; names.length <= HUES && taken.has(hue) && tries < HUES; tries++) hue = (hue + 1) % HUES;
    taken.add(hue);
    return [name, hue];
  }));
}

/* In a stack neighbours must differ: a colour that is taken gives way to the next free one. */
function stackColours(series) {
  const taken = new Set();
  return new Map(series.map((one) => {
    let hue = (colours.get(one.name) ?? 0) % HUES;
    for (let tries = 0; taken.has(hue) && tries < HUES; tries++) hue = (hue + 1) % HUES;
    taken.add(hue);
    return [one, one.rest ? css("--quiet") : css(`--s${hue}`)];
  }));
}

function faded(hex, alpha) {
  const value = parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
}

/* ---- steps: positions grow over restarts, labels are the steps of the log ---- */

function start(axis, x) {
  let low = 0;
  for (let k = 1; k < axis.firsts.length && axis.firsts[k] <= x + 1e-6; k++) low = k;
  return low;
}

/* Where the mouse is, in words; the axis of a loss function's card holds powers of ten. */
function placeWords(axis, x) {
  return `${axis.name} ${axis.power ? short(10 ** x) : stepAt(axis, x).toLocaleString("en-US")}`;
}

function stepAt(axis, x) {
  return Math.round(x) - axis.offsets[start(axis, x)];
}

function splits(axis, min, max, incr) {
  if (!axis.offsets.some(Boolean)) {
    const plain = [];
    for (let x = Math.ceil(min / incr) * incr; x <= max; x += incr) plain.push(x);
    return plain;
  }
  const out = [];
  for (let k = start(axis, min); k < axis.firsts.length && axis.firsts[k] <= max; k++) {
    const end = k + 1 < axis.firsts.length ? Math.min(axis.firsts[k + 1] - 1e-6, max) : max;
    const from = Math.max(axis.firsts[k], min) - axis.offsets[k];
    for (let step = Math.ceil(from / incr) * incr; step + axis.offsets[k] <= end; step += incr) {
      const x = step + axis.offsets[k];
      if (!out.length || x - out[out.length - 1] > 0.6 * incr) out.push(x);
    }
  }
  return out;
}

function stepLabels(axis, positions, incr) {
  if (axis.power) return positions.map((x) => short(10 ** x));
  const steps = positions.map((x) => stepAt(axis, x));
  const top = Math.max(...steps.map(Math.abs));
  const scaled = (unit, sign) => steps.map((one) => (one === 0 ? "0" : (one / unit).toLocaleString("en-US") + sign));
  if (incr % 1e5 === 0 && top >= 1e6) return scaled(1e6, "M");
  if (incr % 1e3 === 0 && top >= 1e4) return scaled(1e3, "k");
  return steps.map((one) => one.toLocaleString("en-US"));
}

const INCREMENTS = [];
for (let ten = 1; ten < 1e16; ten *= 10) INCREMENTS.push(ten, 2 * ten, 5 * ten);

/* Labels of logarithmic axes: powers of ten first, then 2 and 5, as far as there is room. */
function roomForLabels(u, positions) {
  const rank = (v) => {
    if (v === 0) return 0;
    const digit = Math.round(Math.abs(v) / 10 ** Math.floor(Math.log10(Math.abs(v)) + 1e-9));
    return digit === 1 ? 1 : digit === 2 || digit === 5 ? 2 : 3;
  };
  const kept = [];
  const { min, max } = u.scales.y;
  const order = positions.map((v, i) => [rank(v), i]).filter(([, i]) => positions[i] >= min && positions[i] <= max).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  for (const [, i] of order) {
    const at = u.valToPos(positions[i], "y");
    if (kept.every(([, other]) => Math.abs(other - at) >= 20)) kept.push([i, at]);
  }
  const keep = new Set(kept.map(([i]) => i));
  return positions.map((v, i) => (keep.has(i) ? v : null));
}

/* ---- data of one chart ---- */

function trace(one, weighted) {
  if (!weighted) return { x: one.x, y: one.y };
  if (one.wx) return { x: one.wx, y: one.wy };
  if (one.weight == null) return { x: one.x, y: one.y };
  return { x: one.x, y: one.y.map((v) => (v == null ? null : v * one.weight)) };
}

/* Repeated steps are drawn beside each other, a millionth of the axis apart. */
function rising(x, width) {
  for (let i = 1; i < x.length; i++) {
    if (x[i] <= x[i - 1]) {
      const out = Float64Array.from(x);
      for (let j = i; j < out.length; j++) if (out[j] <= out[j - 1]) out[j] = out[j - 1] + width * 1e-6;
      return out;
    }
  }
  return x;
}

function joined(traces) {
  if (!traces.length) return [[]];
  const first = traces[0].x;
  if (traces.every((one) => one.x === first || (one.x.length === first.length && one.x.every((v, i) => v === first[i]))))
    return [first, ...traces.map((one) => one.y)];
  let size = 0;
  for (const one of traces) size += one.x.length;
  const all = new Float64Array(size);
  let at = 0;
  for (const one of traces) { all.set(one.x, at); at += one.x.length; }
  all.sort();
  const x = [];
  for (let i = 0; i < size; i++) if (i === 0 || all[i] !== all[i - 1]) x.push(all[i]);
  const columns = traces.map((one) => {
    const y = new Array(x.length).fill(undefined);
    for (let i = 0, j = 0; j < one.x.length; i++) if (x[i] === one.x[j]) y[i] = one.y[j++];
    return y;
  });
  return [x, ...columns];
}

function stacked([x, ...columns]) {
  const sums = new Array(x.length).fill(0);
  return [x, ...columns.map((y) => y.map((v, i) => (v == null ? null : (sums[i] += v))))];
}

function threshold(values, otherwise) {
  const sizes = values.map(Math.abs).filter((v) => v > 0).sort((a, b) => a - b);
  if (!sizes.length) return otherwise;
  return 10 ** Math.max(Math.floor(Math.log10(sizes[Math.floor(sizes.length / 100)])), -300);
}
