/**
 * Stands in for `jsr:@std/path@1.0.8` on networks where JSR cannot be reached (see `import_map.json`).
 *
 * Deno's `node:path` follows the same rules as `@std/path`, for the paths of the system it runs
 * on; only the names of the URL conversions and of the constants differ.
 *
 * @module
 */

import { delimiter, isAbsolute, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export {
  basename,
  dirname,
  extname,
  format,
  isAbsolute,
  join,
  normalize,
  parse,
  relative,
  resolve,
} from "node:path";

/** Between the segments of a path: `/`, or `\` on Windows. */
export const SEPARATOR: "/" | "\\" = sep;

/** Between the paths of a list such as `PATH`: `:`, or `;` on Windows. */
export const DELIMITER: ":" | ";" = delimiter;

/** The path of a `file:` URL. Throws a `TypeError` for any other URL. */
export function fromFileUrl(url: string | URL): string {
  return fileURLToPath(url);
}

/** The `file:` URL of an absolute path. Throws a `TypeError` for a relative one. */
export function toFileUrl(path: string): URL {
  if (!isAbsolute(path)) {
    throw new TypeError(`Path must be absolute: received "${path}"`);
  }
  return pathToFileURL(path);
}
