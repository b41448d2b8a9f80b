/** The order of lib's rooms, and that nothing imports in a circle, followed from the imports. */

import { deepStrictEqual } from "node:assert/strict";
import { dirname, fromFileUrl, join, normalize, relative } from "jsr:@std/path@1.0.8";

/** A room imports rooms before it only. */
const ROOMS = [
  "base",
  "random",
  "formats",
  "files",
  "data",
  "tensor",
  "compile",
  "device",
  "nn",
  "imm",
  "objectives",
  "models",
  "convert",
  "sample",
  "eval",
  "train",
  "measure",
];

/** Files of one kind in a folder: more are hard to survey. */
const MOST_FILES = 14;
/** One file per operation, per question of the compiler, and per part of a shader. */
const LARGE = ["lib/tensor", "lib/compile", "lib/device/webgpu/wgsl"];

interface Import {
  readonly to: string;
  /** Whether it is there when the program runs, and before the importing file does. */
  readonly runs: boolean;
}

const root = fromFileUrl(new URL("../", import.meta.url));
const files = new Map<string, Import[]>();
for (const folder of ["lib", "cli"]) await addFiles(folder);

async function addFiles(folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory) await addFiles(path);
    else if (/(?<!\.d)\.ts$/.test(name)) {
      files.set(path, importsOf(path, await Deno.readTextFile(join(root, path))));
    }
  }
}

function importsOf(path: string, source: string): Import[] {
  const code = source.replace(/\/\*.*?\*\//gs, "").replace(/^\s*\/\/.*$/gm, "");
  const target = (specifier: string) =>
    relative(root, normalize(join(root, dirname(path), specifier))).replaceAll("\\", "/");
  const found = code.matchAll(/^(?:import|export)\s([^;"]*?\sfrom\s*)?"(\.[^"]+)"/gm);
  const later = code.matchAll(/\bimport\("(\.[^"]+)"\)/g);
  return [
    ...found.map(([, what = "", specifier]) => {
      const names = /^\{(.*)\}\s*from/s.exec(what)?.[1].split(",").filter((name) => name.trim());
      const isType = /^type\s/.test(what) || names?.every((name) => /^\s*type\s/.test(name));
      return { to: target(specifier), runs: !isType };
    }),
    ...later.map(([, specifier]) => ({ to: target(specifier), runs: false })),
  ];
}

/** The room of a file in lib; undefined elsewhere. */
function roomOf(path: string): string | undefined {
  return /^lib\/([^/]+)\//.exec(path)?.[1];
}

Deno.test("every folder of lib is a room with a place in their order, and no file lies loose", () => {
  const rooms = new Set([...files.keys()].filter((path) => path.startsWith("lib/")).map(roomOf));
  deepStrictEqual([...rooms].sort(), ROOMS.toSorted());
});

Deno.test("no room of lib imports one above it, types included, and none the command line", () => {
  const upwards = [...files].flatMap(([path, imports]) => {
    const room = roomOf(path);
    if (room === undefined) return [];
    return imports.filter(({ to }) => {
      const other = roomOf(to);
      return to.startsWith("cli/") || other && ROOMS.indexOf(other) > ROOMS.indexOf(room);
    }).map(({ to }) => `${path} imports ${to}`);
  });
  deepStrictEqual(upwards, []);
});

Deno.test("no imports that run go in a circle", () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, above: readonly string[]) => {
    if (above.includes(path)) {
      circles.push([...above.slice(above.indexOf(path)), path].join(" -> "));
    }
    if (done.has(path)) return;
    done.add(path);
    for (const { to, runs } of files.get(path) ?? []) if (runs) visit(to, [...above, path]);
  };
  for (const path of files.keys()) visit(path, []);
  deepStrictEqual(circles, []);
});

Deno.test(`no folder of lib and cli holds more than ${MOST_FILES} files, a few aside`, () => {
  const counts = Map.groupBy(files.keys(), (path) => dirname(path));
  const large = [...counts].filter(([folder, { length }]) =>
    length > MOST_FILES && !LARGE.includes(folder)
  );
  deepStrictEqual(large, []);
});
