/**
 * The evaluation as one page that needs nothing else: scores, pictures, what was compared.
 *
 * @module
 */

import { enlargement, imageGrid, ofOneSize } from "../../formats/image/grid.ts";
import type { Image } from "../../formats/image/pixels.ts";
import { encodePng } from "../../formats/image/png.ts";
import { printable } from "../../base/printable.ts";
import type { Evaluation } from "../evaluate.ts";
import { formatValue } from "./format_value.ts";
import type { Gallery, GalleryImage } from "./gallery.ts";
import type { GateOutcome } from "../gate.ts";
import { reportFacts, reportRows, verdict } from "./text.ts";

/** What a page shows beside the scores. */
export interface HtmlReportOptions {
  /** What was required. */
  readonly gate?: GateOutcome;
  /** Pictures. */
  readonly gallery?: Gallery;
  /** When it was made, for the foot of the page. Default: it does not say. */
  readonly date?: Date;
}

/** The page, as UTF-8 text. It holds no scripts, and loads nothing. */
export function htmlReport(evaluation: Evaluation, options: HtmlReportOptions = {}): string {
  const { gate, gallery, date } = options;
  const { floor, warnings, failed, seed, versions, samples } = evaluation;
  const status = gate ? `<p class="${gate.passed ? "ok" : "failed"}">${outcome(gate)}</p>` : "";
  const head = ["", "samples", ...(floor ? ["real"] : []), ...(gate ? ["gate"] : []), ""];
  const rows = reportRows(evaluation, gate).map((row) =>
    `<tr><th scope="row">${escapeHtml(row.metric)}</th><td class="number">${row.value}</td>` +
    (floor ? `<td class="number">${row.floor}</td>` : "") +
    (gate
      ? `<td>${
        row.outcomes.map((o) =>
          `<span class="${o.met ? "ok" : "failed"}">${escapeHtml(verdict(o))}</span>`
        ).join("<br>")
      }</td>`
      : "") +
    `<td>${escapeHtml(row.title)}</td></tr>`
  );
  const facts = [
    ...reportFacts(evaluation),
    ["seed", String(seed)] as const,
    ["versions", `imm ${versions.imm}, Deno ${versions.deno}`] as const,
    ...(date ? [["made", date.toISOString()] as const] : []),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>imm eval: ${escapeHtml(samples.name)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Evaluation of ${escapeHtml(samples.name)}</h1>
${status}
<table class="scores">
<thead><tr>${
    head.map((cell) =>
      `<th scope="col"${
        cell === "samples" || cell === "real" ? ' class="number"' : ""
      }>${cell}</th>`
    ).join("")
  }</tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table>
${warnings.map((text) => `<p class="warning">${escapeHtml(text)}</p>`).join("\n")}
${
    Object.entries(failed).map(([metric, why]) =>
      `<p class="failed">${escapeHtml(metric)} was not computed: ${escapeHtml(why)}</p>`
    ).join("\n")
  }
${gallery ? pictures(gallery) : ""}
<h2>What was compared</h2>
<dl>
${facts.map(([name, text]) => `<dt>${name}</dt><dd>${escapeHtml(text)}</dd>`).join("\n")}
</dl>
</body>
</html>
`;
}

function outcome({ passed, thresholds, baseline }: GateOutcome): string {
  const all = [...thresholds, ...baseline];
  const missed = all.filter(({ met }) => !met).length;
  return passed
    ? `Passed: all ${all.length} requirements are met.`
    : `Failed: ${missed} of ${all.length} requirements ${missed === 1 ? "is" : "are"} not met.`;
}

function pictures({ samples, neighbours, classesLeftOut }: Gallery): string {
  const parts: string[] = [];
  if (samples.length > 0) {
    const images = ofOneSize(samples.map(({ image }) => image), 128);
    const scale = enlargement(images[0].width, 48);
    const grid = imageGrid(images, { padding: 1, background: 128, scale });
    parts.push(
      `<h2>Samples</h2>\n<p>The first ${samples.length}.</p>\n` +
        picture(grid, `${samples.length} samples side by side`, "grid"),
    );
  }
  if (neighbours.length > 0) {
    const rows = neighbours.map(({ sample, nearest }) =>
      `<tr><td class="sample">${captioned(sample, "sample", label(sample))}</td>` +
      nearest.map((real) =>
        `<td>${
          captioned(
            real,
            "real image",
            [label(real), formatValue(Number(real.distance.toPrecision(3)))].filter(Boolean)
              .join(", "),
          )
        }</td>`
      ).join("") +
      `</tr>`
    );
    parts.push(
      `<h2>Nearest real images</h2>\n<p>Some samples (left) with the real images whose features ` +
        `are nearest, and their distances. Copies of real images show that a model remembers ` +
        `instead of generating.${
          classesLeftOut
            ? ` They are of ${classesLeftOut.shown} of the ${classesLeftOut.all} classes.`
            : ""
        }</p>\n<table class="neighbours">\n${rows.join("\n")}\n</table>`,
    );
  }
  return parts.join("\n");
}

function label({ label, className }: GalleryImage): string {
  return className ?? (label === null ? "" : `class ${label}`);
}

function captioned({ image }: GalleryImage, alt: string, caption: string): string {
  return `<figure>${picture(image, alt, "")}<figcaption>${
    escapeHtml(caption)
  }</figcaption></figure>`;
}

/** Small pictures are enlarged by the browser, without smoothing. */
function picture(image: Image, alt: string, kind: string): string {
  const scale = kind === "grid" ? 1 : enlargement(image.width, 64);
  const [width, height] = [image.width * scale, image.height * scale];
  const data = encodePng(image).toBase64();
  return `<img class="${kind}" alt="${alt}" width="${width}" height="${height}" ` +
    `src="data:image/png;base64,${data}">`;
}

function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --failed: #cf222e; --warn: #9a6700 }
@media (prefers-color-scheme: dark) {
  :root { --ok: #3fb950; --failed: #f85149; --warn: #d29922 }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin-top: 2rem }
table { border-collapse: collapse }
.scores th, .scores td { padding: .3rem .8rem; border-bottom: 1px solid var(--line) }
.scores th { text-align: left }
.scores .number { text-align: right }
.number { text-align: right; font-variant-numeric: tabular-nums }
p.ok, p.failed { font-weight: 600; font-size: 1.1rem }
.ok { color: var(--ok) }
.failed { color: var(--failed) }
.warning { color: var(--warn) }
img { image-rendering: pixelated; max-width: 100%; height: auto; vertical-align: top }
figure { margin: .3rem; text-align: center }
figcaption { font-size: .8rem; opacity: .8 }
.neighbours .sample { border-right: 2px solid var(--line); padding-right: .6rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem }
dt { font-weight: 600 }
dd { margin: 0; overflow-wrap: anywhere }
`;
