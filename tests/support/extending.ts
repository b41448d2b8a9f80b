/** Follows docs/extending.md in a copy of the project, and counts what had to be touched. */

import { dirname, fromFileUrl, join, relative, SEPARATOR } from "jsr:@std/path@1.0.8";

const root = fromFileUrl(import.meta.resolve("../../"));

/** What a program needs; tests and documentation stay behind. */
const COPIED = /^(lib|cli|offline|wasm)(\/|$)|^(mod\.ts|deno\.json)$/;
const LEFT_OUT = /^wasm\/(kernels|statistics|.*\.rs)\/|\/(target|node_modules)\//;

/** The blocks of code of a chapter, in their order. */
export function codeOf(chapter: string): string[] {
  const text = Deno.readTextFileSync(join(root, "docs/extending.md"));
  const [, body] = text.split(`\n## ${chapter}\n`);
  const [own] = body.split(/^## /m);
  return [...own.matchAll(/^```.*\n([^]*?)^```$/gm)].map(([, code]) => code);
}

/** The code of the documentation as a file of the project: its imports lead to the same files. */
export function asFile(code: string, path: string): string {
  return code.replace(/(from|import\() ?"(\.\.?\/[^"]+)"/g, (_, word, specifier) => {
    const target = relative(join(root, dirname(path)), join(root, "docs", specifier));
    const local = target.replaceAll(SEPARATOR, "/");
    return `${word} "${local.startsWith(".") ? local : `./${local}`}"`;
  });
}

/**
 * A registry with the row that the documentation shows: its import, `| Type` for a union of types,
 * and what stands in the table itself.
 */
export function withRow(
  text: string,
  row: string,
  { table, type }: { readonly table: string; readonly type?: string },
): string {
  return row.trim().split("\n").reduce((text, line) => {
    if (line.startsWith("import ")) return text.replace(/^import /m, `${line}\nimport `);
    const place = line.startsWith("| ")
      ? new RegExp(`^export type ${type} =[^;]*`, "m")
      : new RegExp(`^const ${table}\\b[^=]*= \\[[^\\]]*`, "m");
    const added = line.startsWith("| ") ? ` ${line}` : `, ${line.replace(/,$/, "")}`;
    if (!place.test(text)) throw new Error(`there is no place for ${line}`);
    return text.replace(place, (old) => old.replace(/,?\s*$/, "") + added);
  }, text);
}

/** Copies what a program needs of the project into a folder. */
export async function copyProject(folder: string): Promise<void> {
  for (const path of filesOf(root)) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.copyFile(join(root, path), join(folder, path));
  }
}

/** Files of a copy that are new, and others that have changed with the lines that they gained. */
export function touched(
  folder: string,
): { readonly added: readonly string[]; readonly changed: Readonly<Record<string, string[]>> } {
  const before = new Set(filesOf(root));
  const added: string[] = [];
  const changed: Record<string, string[]> = {};
  for (const path of filesOf(folder)) {
    if (!before.delete(path)) {
      added.push(path);
      continue;
    }
    const [old, text] = [root, folder].map((base) => Deno.readTextFileSync(join(base, path)));
    if (old === text) continue;
    const lines = new Set(old.split("\n"));
    changed[path] = text.split("\n").filter((line) => !lines.has(line));
  }
  if (before.size > 0) throw new Error(`${[...before]} are not in the copy`);
  return { added, changed };
}

function* filesOf(base: string, folder = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(join(base, folder))) {
    const path = folder + name;
    if (!COPIED.test(path) || LEFT_OUT.test(isDirectory ? `${path}/` : path)) continue;
    if (isDirectory) yield* filesOf(base, `${path}/`);
    else yield path;
  }
}
