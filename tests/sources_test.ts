/** Rules that all sources keep so that the program runs from a URL, compiled, and without JSR. */

import assert from "node:assert/strict";
import { fromFileUrl, join, relative, SEPARATOR } from "jsr:@std/path@1.0.8";
import config from "../deno.json" with { type: "json" };
import offline from "../offline/import_map.json" with { type: "json" };

const root = fromFileUrl(import.meta.resolve("../"));

function* sources(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(folder)) {
    const path = join(folder, entry.name);
    if (/^(\.|node_modules$|target$|runs$|dist$)/.test(entry.name)) continue;
    if (entry.isDirectory) yield* sources(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

interface Import {
  readonly file: string;
  readonly specifier: string;
}

/** Static and dynamic imports, re-exports and `import.meta.resolve`. */
function imports(): Import[] {
  const pattern =
    /(?:^|[;}]\s*)(?:import|export)\b[^;"'`]*?from\s*"([^"\n]+)"|^import\s+"([^"\n]+)"|\bimport\(\s*"([^"\n]+)"/gm;
  const found: Import[] = [];
  for (const path of sources(root)) {
    const file = relative(root, path).replaceAll(SEPARATOR, "/");
    // Examples in comments import as other people's programs do.
    const text = Deno.readTextFileSync(path).replace(/^\s*(?:\*|\/\/|\/\*).*$/gm, "");
    for (const match of text.matchAll(pattern)) {
      found.push({ file, specifier: match[1] ?? match[2] ?? match[3] });
    }
  }
  return found;
}

const all = imports();

Deno.test("the sources import nothing by a bare name, which a URL could not resolve", () => {
  assert.ok(all.length > 50);
  const bare = all.filter(({ specifier }) => !/^(\.\.?\/|node:|npm:|jsr:)/.test(specifier));
  assert.deepEqual(bare, []);
});

Deno.test("packages are named with an exact version", () => {
  const loose = all.filter(({ specifier }) =>
    /^(npm|jsr):/.test(specifier) &&
    !/^(npm|jsr):@?[^@]+@\d+\.\d+\.\d+(-[\w.]+)?(\/|$)/.test(specifier)
  );
  assert.deepEqual(loose, []);
});

Deno.test("deno.lock has every package that is imported, and what it must contain", () => {
  const lock = JSON.parse(Deno.readTextFileSync(join(root, "deno.lock")));
  const locked = Object.keys(lock.specifiers).sort();
  const named = all.map(({ specifier }) => /^(?:npm|jsr):@?[^@]+@[^/]+/.exec(specifier)?.[0])
    .filter((name) => name !== undefined);
  assert.deepEqual(locked, [...new Set([...named, ...config.compilerOptions.types])].sort());
  for (
    const [name, { integrity }] of Object.entries<{ integrity: string }>({
      ...lock.jsr,
      ...lock.npm,
    })
  ) {
    assert.ok(integrity.length >= 64, name);
  }
});

Deno.test("deno.json lists the packages that the program imports, with the same versions", () => {
  const withoutPath = (specifier: string) => /^(?:npm|jsr):@?[^@]+@[^/]+/.exec(specifier)![0];
  const used = all
    // Benchmarks bring rivals that are no part of the program.
    .filter(({ file, specifier }) => !file.startsWith("bench/") && /^(npm|jsr):/.test(specifier))
    .map(({ specifier }) => withoutPath(specifier));
  const types = config.compilerOptions.types;
  assert.deepEqual(
    [...new Set([...used, ...types])].sort(),
    Object.values(config.imports).sort(),
  );
});

Deno.test("the import map for networks without JSR covers exactly what the sources take from it", () => {
  const used = all.map(({ specifier }) => specifier).filter((name) => name.startsWith("jsr:"));
  assert.deepEqual([...new Set(used)].sort(), Object.keys(offline.imports).sort());
  for (const adapter of Object.values(offline.imports)) {
    assert.ok(Deno.statSync(join(root, "offline", adapter)).isFile);
  }
});

Deno.test("adapters import nothing from JSR themselves", () => {
  const wrong = all.filter(({ file, specifier }) =>
    file.startsWith("offline/") && specifier.startsWith("jsr:")
  );
  assert.deepEqual(wrong, []);
});

Deno.test("variables of the environment are read where that is allowed, and else passed over", () => {
  const allowed = ["lib/base/environment.ts", "lib/base/user_cache.ts"];
  const direct = [...sources(join(root, "lib")), ...sources(join(root, "cli"))]
    .filter((path) => /\bDeno\.env\b/.test(Deno.readTextFileSync(path)))
    .map((path) => relative(root, path).replaceAll(SEPARATOR, "/"))
    .filter((file) => !allowed.includes(file));
  assert.deepEqual(direct, [], "use environmentVariable of lib/base/environment.ts");
});

Deno.test("a test that a machine cannot run says what it needs", () => {
  const silent = [...sources(join(root, "tests"))].flatMap((path) =>
    Deno.readTextFileSync(path).split("\n")
      .filter((line) => /\bignore:/.test(line) && !/Deno\.build\.os/.test(line))
      .map((line) => `${relative(root, path)}: ${line.trim()}`)
  ).filter((line) => !/support.needs\.ts|sources_test\.ts/.test(line));
  assert.deepEqual(silent, [], "see tests/support/needs.ts");
});
