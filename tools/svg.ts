/** Small diagrams side by side, as SVG. @module */

type Point = readonly [x: number, y: number];

/** One diagram. */
export interface Panel {
  readonly title: string;
  readonly x: readonly [low: number, high: number];
  readonly y: readonly [low: number, high: number];
  /** A logarithmic y axis. */
  readonly log?: boolean;
  /** Numbers beside the axes; default true. */
  readonly ticks?: boolean;
  readonly lines?: readonly { readonly label: string; readonly points: readonly Point[] }[];
  /** The corner of the labels; default `top left`. */
  readonly legend?: `${"top" | "bottom"} ${"left" | "right"}`;
  /** Dots. */
  readonly points?: readonly Point[];
  /** Thin lines behind the dots. */
  readonly paths?: readonly (readonly Point[])[];
}

const [SIZE, GAP, TOP] = [220, 48, 28];
/** Distinct in hue and in lightness. */
const COLOURS = ["#0b5fa5", "#d1660a", "#1d7f4e", "#8a2f86"];

/** The diagrams in a row. */
export function svg(panels: readonly Panel[]): string {
  const width = panels.length * (SIZE + GAP) + 8;
  const height = TOP + SIZE + 28;
  const body = panels.map((panel, i) =>
    `<g transform="translate(${GAP - 8 + i * (SIZE + GAP)},${TOP})">\n${draw(panel)}\n</g>`
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `width="${width}" height="${height}" font-family="sans-serif" font-size="11">\n` +
    `<rect width="100%" height="100%" fill="white"/>\n${body.join("\n")}\n</svg>\n`;
}

function draw(panel: Panel): string {
  const { title, x, y, log, ticks = true, legend = "top left" } = panel;
  const { lines = [], points = [], paths = [] } = panel;
  const scaleY = log ? Math.log10 : (value: number) => value;
  const [low, high] = y.map(scaleY);
  const place = ([px, py]: Point): Point => [
    (px - x[0]) / (x[1] - x[0]) * SIZE,
    (1 - (scaleY(py) - low) / (high - low)) * SIZE,
  ];
  const polyline = (all: readonly Point[]) =>
    all.map((point) => place(point).map((value) => value.toFixed(1)).join(",")).join(" ");
  const parts = [
    `<rect width="${SIZE}" height="${SIZE}" fill="none" stroke="#888"/>`,
    `<text x="${SIZE / 2}" y="-9" text-anchor="middle" font-size="13">${title}</text>`,
  ];
  if (ticks) {
    for (const value of x) {
      parts.push(
        `<text x="${place([value, y[0]])[0]}" y="${
          SIZE + 15
        }" text-anchor="middle">${value}</text>`,
      );
    }
    parts.push(`<text x="${SIZE / 2}" y="${SIZE + 15}" text-anchor="middle">t</text>`);
    for (const value of y) {
      const at = place([x[0], value])[1] + 4;
      parts.push(`<text x="-5" y="${at}" text-anchor="end">${label(value)}</text>`);
    }
  }
  // An SVG within the SVG cuts off what lies outside.
  parts.push(`<svg width="${SIZE}" height="${SIZE}">`);
  for (const path of paths) {
    parts.push(
      `<polyline points="${polyline(path)}" fill="none" stroke="${COLOURS[1]}" ` +
        `stroke-opacity=".45" stroke-width=".7"/>`,
    );
  }
  if (points.length > 0) {
    const dots = points.map((point) => `M${place(point).map((v) => v.toFixed(1)).join(" ")}h0`);
    parts.push(
      `<path d="${dots.join("")}" stroke="${COLOURS[0]}" stroke-width="2.6" ` +
        `stroke-linecap="round"/>`,
    );
  }
  const [left, anchor] = legend.endsWith("left") ? [8, "start"] : [SIZE - 8, "end"];
  const top = legend.startsWith("top") ? 16 : SIZE - 14 * lines.length + 4;
  lines.forEach(({ label: name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    parts.push(
      `<polyline points="${polyline(points)}" fill="none" stroke="${colour}" stroke-width="1.6"/>`,
      `<text x="${left}" y="${
        top + 14 * i
      }" text-anchor="${anchor}" fill="${colour}">${name}</text>`,
    );
  });
  return [...parts, "</svg>"].join("\n");
}

/** `1e-6` rather than `0.000001`. */
function label(value: number): string {
  return value !== 0 && Math.abs(value) < 0.01 ? value.toExponential(0) : `${value}`;
}
