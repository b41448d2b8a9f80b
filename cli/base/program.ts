/**
 * What the program is called here, so that its hints can be typed as they are.
 *
 * All texts of the program call it `imm`; the terminal puts what the person typed in its place.
 *
 * @module
 */

import process from "node:process";
import { basename, fromFileUrl, relative } from "jsr:@std/path@1.0.8";
import { environmentVariable } from "../../lib/base/environment.ts";
import { verbs } from "../verbs.ts";

let typed = "imm";

/** `imm` before a verb, an option or a placeholder, where it is no part of a path. */
const CALL = new RegExp(
  `(?<![\\w./\\\\-])imm(?= (?:${
    [...new Set(verbs.map(({ name }) => name.split(" ")[0])), "VERB", "help", "version", "--help"]
      .join("|")
  })(?![\\w./]))`,
  "g",
);

/** A line in which the program is called what the person called it. */
export function asTyped(line: string, name: string = typed): string {
  return name === "imm" ? line : line.replace(CALL, () => name);
}

/** Says for all that is printed from now on what the program is called. */
export function nameProgram(name: string): void {
  typed = name;
}

/** How a program was started. */
export interface Start {
  /** URL of cli/main.ts. */
  readonly url: string;
  /** `IMM_PROGRAM`: the launcher says how it was called. */
  readonly launcher: string | undefined;
  /** First word of the command line, for an executable of its own. */
  readonly executable: string | undefined;
  /** Folder that relative paths are of; null where that may not be asked. */
  readonly folder: string | null;
}

/** What a person has to type to start the program again. */
export function nameOf({ url, launcher, executable, folder }: Start): string {
  if (launcher) return quoted(launcher);
  if (executable !== undefined) return quoted(executable);
  if (!url.startsWith("file:")) return `deno run -A ${url}`;
  const path = fromFileUrl(url);
  const near = folder === null ? path : relative(folder, path);
  return `deno run -A ${quoted(near.length < path.length ? near : path)}`;
}

/** How this process was started. */
export function currentStart(url: string): Start {
  return {
    url,
    launcher: environmentVariable("IMM_PROGRAM"),
    executable: Deno.build.standalone ? process.argv0 || basename(Deno.execPath()) : undefined,
    folder: Deno.permissions.querySync({ name: "read", path: "." }).state === "granted"
      ? Deno.cwd()
      : null,
  };
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w./\\:@%+~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
