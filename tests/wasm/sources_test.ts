import { deepStrictEqual } from "node:assert/strict";
import { sha256 } from "../../lib/base/hash.ts";

const FOLDER = new URL("../../wasm/", import.meta.url);
/** Built from the workspace as a whole, not only from the crate's own folder. */
const SHARED = ["Cargo.lock", "Cargo.toml", "build.sh"];

async function* filesUnder(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(folder, FOLDER))) {
    if (entry.isDirectory) yield* filesUnder(`${folder}${entry.name}/`);
    else yield `${folder}${entry.name}`;
  }
}

for await (const { name } of Deno.readDir(FOLDER)) {
  if (!name.endsWith(".wasm")) continue;
  const module = name.slice(0, -".wasm".length);
  const crate = module.replace(/-plain$/, "");
  Deno.test(`wasm/${name} was built from the sources beside it`, async () => {
    const actual: Record<string, string> = {};
    for (const file of [...SHARED, ...await Array.fromAsync(filesUnder(`${crate}/`))]) {
      actual[file] = sha256(await Deno.readFile(new URL(file, FOLDER)));
    }
    const list = await Deno.readTextFile(new URL(`${module}.sources.sha256`, FOLDER));
    const recorded: Record<string, string> = {};
    for (const line of list.trim().split("\n")) {
      const [hash, file] = line.split("  ");
      recorded[file] = hash;
    }
    deepStrictEqual(actual, recorded, "run wasm/build.sh");
  });
}
