/**
 * A picture in a terminal: two pixels per character, one above the other, as a half block in two
 * colours; where there are no colours, one character per pixel pair by its brightness.
 *
 * @module
 */

import { environmentVariable } from "../base/environment.ts";
import { type Image, toRgb } from "./image/pixels.ts";

/** What the terminal can show. */
export type ColourDepth = "truecolor" | "256" | "none";

/** What decides about colours. */
export interface TerminalEnvironment {
  readonly isTerminal: boolean;
  readonly get: (name: string) => string | undefined;
}

/** From dark to bright, on a dark background. */
const RAMP = " .:-=+*#%@";
const UPPER_HALF = "\u2580";
const RESET = "\x1b[0m";

/**
 * The colours of the terminal at `stream`, by the usual signs: NO_COLOR (any value) forbids them,
 * COLORTERM promises 24 bits, and a TERM with "256color" or any other but "dumb" is given 256.
 */
export function colourDepth(environment: TerminalEnvironment = standardOutput()): ColourDepth {
  const { isTerminal, get } = environment;
  if (!isTerminal || (get("NO_COLOR") ?? "") !== "") return "none";
  if (/^(truecolor|24bit)$/i.test(get("COLORTERM") ?? "")) return "truecolor";
  const term = get("TERM") ?? "";
  return term === "" || term === "dumb" ? "none" : "256";
}

/**
 * The picture as text, one line per two rows of pixels; every line ends with a line break.
 *
 * @param options.depth by default what standard output can show
 * @param options.columns widest line; a wider picture is reduced by averaging squares of pixels
 */
export function renderImage(
  image: Image,
  options: { depth?: ColourDepth; columns?: number } = {},
): string {
  const { depth = colourDepth(), columns = 80 } = options;
  const { width, height, data } = reduce(toRgb(image), Math.ceil(image.width / columns));
  const pixel = (x: number, y: number) =>
    data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3);
  let text = "";
  for (let y = 0; y < height; y += 2) {
    let line = "";
    let last = "";
    for (let x = 0; x < width; x++) {
      const upper = pixel(x, y);
      const lower = y + 1 < height ? pixel(x, y + 1) : null;
      if (depth === "none") {
        line += shade(
          lower === null ? brightness(upper) : (brightness(upper) + brightness(lower)) / 2,
        );
        continue;
      }
      // An odd last row has nothing below it: the terminal's own background.
      const colours = `\x1b[38;${code(upper, depth)}` +
        (lower === null ? "m\x1b[49m" : `;48;${code(lower, depth)}m`);
      line += (colours === last ? "" : colours) + UPPER_HALF;
      last = colours;
    }
    text += depth === "none" ? `${line.trimEnd()}\n` : `${line}${RESET}\n`;
  }
  return text;
}

/** Averages squares of `factor` x `factor` pixels of an RGB picture. */
function reduce(image: Image, factor: number): Image {
  if (factor <= 1) return image;
  const width = Math.ceil(image.width / factor);
  const height = Math.ceil(image.height / factor);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const right = Math.min((x + 1) * factor, image.width);
      const bottom = Math.min((y + 1) * factor, image.height);
      const sum = [0, 0, 0];
      for (let v = y * factor; v < bottom; v++) {
        for (let u = x * factor; u < right; u++) {
          for (let c = 0; c < 3; c++) sum[c] += image.data[(v * image.width + u) * 3 + c];
        }
      }
      const count = (right - x * factor) * (bottom - y * factor);
      data.set(sum.map((value) => Math.round(value / count)), (y * width + x) * 3);
    }
  }
  return { width, height, channels: 3, data };
}

/** The part of an SGR escape sequence behind `38;` or `48;`. */
function code(rgb: Uint8Array, depth: "truecolor" | "256"): string {
  return depth === "truecolor" ? `2;${rgb.join(";")}` : `5;${paletteIndex(rgb)}`;
}

/** The nearest of xterm's 24 greys (8, 18, …, 238), or of its 6 x 6 x 6 colours. */
function paletteIndex([red, green, blue]: Uint8Array): number {
  if (red === green && green === blue && red >= 4 && red < 247) {
    return 232 + Math.min(23, Math.round((red - 8) / 10));
  }
  // The levels of the cube are 0, 95, 135, 175, 215, 255.
  const level = (value: number) => value < 48 ? 0 : value < 115 ? 1 : Math.round((value - 55) / 40);
  return 16 + 36 * level(red) + 6 * level(green) + level(blue);
}

/** Luma of ITU-R BT.601. */
function brightness([red, green, blue]: Uint8Array): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

function shade(value: number): string {
  return RAMP[Math.min(RAMP.length - 1, Math.floor(value / 256 * RAMP.length))];
}

function standardOutput(): TerminalEnvironment {
  return { isTerminal: Deno.stdout.isTerminal(), get: environmentVariable };
}
