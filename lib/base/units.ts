/**
 * Numbers as people write and read them: sizes (`8Mi`), lists of seeds (`0-63,70`), durations.
 *
 * @module
 */

import { UsageError } from "./errors.ts";

const SUFFIXES: Readonly<Record<string, number>> = { "": 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** More than anyone samples in one run, and few enough to hold in memory. */
const MAX_LIST = 2 ** 24;

/**
 * A count with an optional binary suffix: `500`, `64Ki` (65536), `1.5Mi` (1572864), `2Gi`.
 * Throws `UsageError` unless it is a whole number of at least 0; `name` is what it is for.
 */
export function parseSize(text: string, name: string): number {
  const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi)?$/.exec(text);
  const size = match ? Number(match[1]) * SUFFIXES[match[2] ?? ""] : NaN;
  if (!Number.isSafeInteger(size)) {
    throw new UsageError(
      `${name} expects a whole number, as in 500, 64Ki, 1.5Mi or 2Gi, but got "${text}".`,
    );
  }
  return size;
}

/** The shortest exact text that {@linkcode parseSize} reads back: 65536 is `64Ki`, 1000 `1000`. */
export function formatSize(size: number): string {
  for (const suffix of ["Gi", "Mi", "Ki"]) {
    if (size !== 0 && size % SUFFIXES[suffix] === 0) return `${size / SUFFIXES[suffix]}${suffix}`;
  }
  return String(size);
}

/** Bytes for people: `512 B`, `1.4 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = "B";
  for (const larger of ["KiB", "MiB", "GiB", "TiB"]) {
    if (value < 1024) break;
    [value, unit] = [value / 1024, larger];
  }
  return `${unit === "B" || value >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}`;
}

/** Bytes of memory that something needs, rounded up: `1434 MiB`. */
export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

/**
 * A list of whole numbers and inclusive ranges: `0-3,70` is 0, 1, 2, 3, 70, in the order written.
 * Throws `UsageError`; `name` is what it is for.
 */
export function parseRanges(text: string, name: string): number[] {
  const numbers: number[] = [];
  for (const part of text.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    const first = match ? Number(match[1]) : NaN;
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || last < first) {
      throw new UsageError(
        `${name} expects whole numbers and ascending ranges, as in 0-63,70, but got "${text}".`,
      );
    }
    if (numbers.length + (last - first + 1) > MAX_LIST) {
      throw new UsageError(`${name} expects at most ${MAX_LIST} numbers, but "${text}" has more.`);
    }
    for (let number = first; number <= last; number++) numbers.push(number);
  }
  return numbers;
}

/** The shortest text that {@linkcode parseRanges} reads back: 0, 1, 2, 70 is `0-2,70`. */
export function formatRanges(numbers: readonly number[]): string {
  const parts: [first: number, last: number][] = [];
  for (const number of numbers) {
    const open = parts.at(-1);
    if (open && number === open[1] + 1) open[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([first, last]) => first === last ? `${first}` : `${first}-${last}`).join(",");
}

/** Seconds for people: `8 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  if (total < 60) return `${total} s`;
  const [minutes, hours, days] = [total / 60, total / 3600, total / 86400].map(Math.floor);
  const both = (large: string, rest: number, small: string) =>
    rest === 0 ? large : `${large} ${rest} ${small}`;
  if (hours === 0) return both(`${minutes} min`, total % 60, "s");
  if (days === 0) return both(`${hours} h`, minutes % 60, "min");
  return both(`${days} d`, hours % 24, "h");
}

/** A number with its noun: `1 class`, `1,234 classes`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
