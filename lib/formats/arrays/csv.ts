/**
 * Comma-separated values, RFC 4180: fields in quotes may hold commas, line breaks and doubled
 * quotes.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";

/**
 * The lines of a file as objects with the names of its first line as keys. Fields that a line lacks
 * are left out; empty lines are passed over.
 *
 * @param name of the file, for messages
 * @throws {FormatError} when a quote is not closed, or a line has more fields than there are names
 */
export function parseCsv(text: string, name: string): Record<string, string>[] {
  const [head, ...lines] = fields(text.replace(/^\uFEFF/, ""), name);
  if (head === undefined) return [];
  return lines.map((line, i) => {
    if (line.length > head.length) {
      throw new FormatError(
        `${name} has ${line.length} fields in line ${
          i + 2
        }, but ${head.length} names in the first.`,
      );
    }
    return Object.fromEntries(line.map((value, column) => [head[column].trim(), value]));
  });
}

function fields(text: string, name: string): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  // A field, in quotes or not, and what ends it; matched one after the other without a gap.
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/y;
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (match === null) {
      throw new FormatError(
        `${name} is not valid CSV: a quote in line ${lines.length + 1} is odd.`,
      );
    }
    line.push(match[1]?.replaceAll('""', '"') ?? match[2]);
    if (match[3] === "," && field.lastIndex < text.length) continue;
    if (match[3] === ",") line.push("");
    if (line.length > 1 || line[0] !== "") lines.push(line);
    line = [];
  }
  return lines;
}
