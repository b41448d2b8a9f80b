/**
 * The page of `imm train --dashboard`: one document without anything from elsewhere.
 *
 * @module
 */

/** The document. `nonce` is that of its style and script in the content security policy. */
export function dashboardPage(nonce: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>imm train</title>
<style nonce="${nonce}">
  :root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
  body { margin: 1.5rem auto; padding: 0 1rem; max-width: 72rem; }
  h1 { font-size: 1.2rem; margin: 0; }
  h2 { font-size: 1rem; margin: 0 0 .4rem; font-weight: 600; }
  #state { margin: .2rem 0 1rem; opacity: .75; }
  progress { width: 100%; height: .6rem; }
  main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
  [hidden] { display: none; }
  svg { width: 100%; height: 12rem; display: block; }
  svg text { font-size: 10px; fill: currentColor; opacity: .7; }
  svg path { fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
  svg line { stroke: currentColor; opacity: .2; }
  #samples { grid-column: 1 / -1; }
  #grids { display: flex; flex-wrap: wrap; gap: 1.5rem; }
  figure { flex: 1 1 20rem; max-width: 36rem; margin: 0; }
  figcaption { font-size: 12px; margin-bottom: .2rem; }
  .columns { display: grid; font-size: 10px; text-align: center; }
  .columns span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding: 0 1px; }
  .rows { font-size: 11px; margin: .3rem 0 0; padding-left: 1.5rem; opacity: .8; }
  img { width: 100%; display: block; image-rendering: pixelated; border-radius: 4px; }
  ul { list-style: none; margin: .3rem 0 0; padding: 0; font-size: 12px; display: flex; gap: .2rem .8rem; flex-wrap: wrap; }
  .swatch { display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin-right: .3em; }
</style>
<h1 id="name">imm train</h1>
<p id="state">waiting for the first line of the log</p>
<progress id="progress" max="1" value="0"></progress>
<main>
  <section id="loss"></section>
  <section id="bins"></section>
  <section id="scores"></section>
  <section id="speed"></section>
  <section id="norms"></section>
  <section id="time"></section>
  <section id="samples"></section>
</main>
<script nonce="${nonce}">
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const token = new URLSearchParams(location.search).get("token") ?? "";
const url = (path) => path + (path.includes("?") ? "&" : "?") + "token=" + encodeURIComponent(token);
const colour = (i, n) => "hsl(" + Math.round(220 - 220 * i / Math.max(1, n - 1)) + " 70% 50%)";
const short = (v) => v === 0 ? "0" : Math.abs(v) < 0.01 || Math.abs(v) >= 1e5 ? v.toExponential(1) : String(+v.toPrecision(3));

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** series: [{ name, points: [[x, y], ...] }]; log draws logarithms. */
function chart(id, title, series, { log = false } = {}) {
  const section = document.getElementById(id);
  const usable = series.map(({ name, points }) => ({
    name,
    points: points.filter(([, y]) => Number.isFinite(y) && (!log || y > 0)),
  })).filter(({ points }) => points.length > 0);
  section.replaceChildren();
  section.hidden = usable.length === 0;
  if (section.hidden) return;
  const heading = document.createElement("h2");
  heading.textContent = title;
  const f = log ? Math.log10 : (y) => y;
  const xs = usable.flatMap(({ points }) => points.map(([x]) => x));
  const ys = usable.flatMap(({ points }) => points.map(([, y]) => f(y)));
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const [w, h, left, bottom] = [400, 190, 44, 16];
  const X = (x) => left + (w - left) * (x1 > x0 ? (x - x0) / (x1 - x0) : 0.5);
  const Y = (y) => (h - bottom) * (1 - (y1 > y0 ? (y - y0) / (y1 - y0) : 0.5)) + 4;
  const svg = element("svg", { viewBox: "0 0 " + w + " " + (h + 6), role: "img" });
  svg.append(element("title", {}, title));
  for (let i = 0; i <= 3; i++) {
    const y = y0 + (y1 - y0) * i / 3;
    svg.append(element("line", { x1: left, x2: w, y1: Y(y), y2: Y(y) }));
    svg.append(element("text", { x: left - 4, y: Y(y) + 3, "text-anchor": "end" }, short(log ? 10 ** y : y)));
  }
  svg.append(element("text", { x: left, y: h + 4 }, short(x0)));
  svg.append(element("text", { x: w, y: h + 4, "text-anchor": "end" }, short(x1) + " images"));
  const list = document.createElement("ul");
  usable.forEach(({ name, points }, i) => {
    const d = points.map(([x, y], k) => (k ? "L" : "M") + X(x).toFixed(1) + " " + Y(f(y)).toFixed(1)).join("");
    const path = element("path", { d: points.length > 1 ? d : d + "h.1", stroke: colour(i, usable.length) });
    path.style.strokeLinecap = "round";
    svg.append(path);
    const item = document.createElement("li");
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = colour(i, usable.length);
    item.append(swatch, name + " " + short(points.at(-1)[1]));
    list.append(item);
  });
  section.append(heading, svg, list);
}

/** A grid with its number of steps and the names of its classes. */
function grid(file, { columns, rows }) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = file.replace(/^\\d+-(\\d+)-(steps?)\\.png$/, "$1 $2");
  const image = document.createElement("img");
  image.src = url("samples/" + encodeURIComponent(file));
  image.alt = "samples in " + caption.textContent;
  const header = document.createElement("div");
  header.className = "columns";
  header.style.gridTemplateColumns = "repeat(" + columns.length + ", minmax(0, 1fr))";
  header.append(...columns.map((name) => {
    const label = document.createElement("span");
    label.textContent = label.title = name;
    return label;
  }));
  const list = document.createElement("ol");
  list.className = "rows";
  list.append(...rows.map((names) => {
    const item = document.createElement("li");
    item.textContent = names;
    return item;
  }));
  figure.append(caption, ...(columns.length ? [header] : []), image, ...(rows.length ? [list] : []));
  return figure;
}

function show({ name, total, lines, scores, samples, labels }) {
  document.getElementById("name").textContent = name;
  document.title = name;
  const last = lines.at(-1);
  if (last) {
    const left = (total - last.images) / last.imagesPerSecond;
    document.getElementById("state").textContent = last.images.toLocaleString() + " of " +
      total.toLocaleString() + " images, loss " + short(last.loss) + ", " +
      short(last.imagesPerSecond) + " images/s" +
      (left > 0 ? ", " + Math.ceil(left / 60) + " min left" : ", done");
    document.getElementById("progress").value = last.images / total;
  }
  const curve = (name, f) => ({ name, points: lines.map((line) => [line.images, f(line)]) });
  chart("loss", "Loss", [curve("mean", (line) => line.loss)], { log: true });
  chart("bins", "Loss by t, ten parts from eps to T",
    (last?.lossByTime ?? []).map((_, i) => curve("t" + i, (line) => line.lossByTime[i] ?? NaN)), { log: true });
  chart("speed", "Images per second", [curve("images/s", (line) => line.imagesPerSecond)]);
  chart("norms", "Norm of the update by layers",
    Object.keys(last?.layers ?? {}).map((key) => curve(key, (line) => line.layers[key]?.update ?? NaN)), { log: true });
  chart("time", "Seconds between lines",
    Object.keys(last?.time ?? {}).map((key) => curve(key, (line) => line.time[key])));
  const keys = Object.keys(scores.at(-1)?.values ?? {}).filter((key) => !key.endsWith("_std"));
  chart("scores", "Scores", keys.map((key) => ({
    name: key,
    points: scores.map((line) => [line.images, line.values[key]]),
  })));
  const section = document.getElementById("samples");
  const shown = section.dataset.names;
  if (samples.join() !== shown) {
    section.dataset.names = samples.join();
    const heading = document.createElement("h2");
    heading.textContent = "Samples after " + Number(samples[0].split("-")[0]).toLocaleString() + " images";
    const row = document.createElement("div");
    row.id = "grids";
    row.append(...samples.map((file) => grid(file, labels)));
    section.replaceChildren(heading, row);
  }
}

async function poll() {
  try {
    const answer = await fetch(url("state"));
    if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
    show(await answer.json());
  } catch (error) {
    document.getElementById("state").textContent = "the run does not answer: " + error.message;
  }
  setTimeout(poll, 2000);
}
poll();
</script>
`;
}
