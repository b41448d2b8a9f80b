/** What holds for all verbs: options of one name are one thing, and paths of Windows pass. */

import assert from "node:assert/strict";
import { flagName, type Option } from "../../cli/base/options.ts";
import { commonOptions, parseVerb } from "../../cli/base/verb.ts";
import { verbs } from "../../cli/verbs.ts";
import { userCacheFolder } from "../../lib/base/user_cache.ts";
import { outputFormat } from "../../lib/sample/output/open.ts";

const all = await Promise.all(verbs.map(({ load }) => load()));

/** Every option of every verb. */
function* options(): Generator<{ verb: string; name: string; option: Option<unknown> }> {
  for (const { name: verb, options } of all) {
    for (const [name, option] of Object.entries(options as Record<string, Option<unknown>>)) {
      yield { verb, name, option };
    }
  }
}

Deno.test("an option of one name takes a value in all verbs or in none", () => {
  const kinds = new Map<string, { kind: string; verb: string }>();
  for (const { verb, name, option: { kind } } of options()) {
    const first = kinds.get(name) ?? { kind, verb };
    kinds.set(name, first);
    assert.equal(kind, first.kind, `${flagName(name)} of ${verb} and of ${first.verb}`);
  }
});

Deno.test("what every verb does is named alike", () => {
  for (const { verb, name, option: { spec, words } } of options()) {
    const flag = `${verb} ${flagName(name)}`;
    assert.ok(!(name in commonOptions), `${flag} is an option that every verb has`);
    // Where to compute: the words of --device in one order.
    if (name === "device") {
      assert.deepEqual(words?.filter((word) => word !== "all"), ["auto", "webgpu", "wasm"], flag);
    }
    if (name === "out") assert.match(spec.value!, /DIR|FILE|PATH/, flag);
    // Help texts read alike: lower case unless it is a name, no full stop.
    assert.doesNotMatch(spec.help, /\.$/, flag);
    assert.doesNotMatch(spec.help, /^(The|A|An|Use|Set) /, flag);
  }
});

Deno.test("short names are of one option each", () => {
  for (const { name, options } of all) {
    const letters = Object.values<Option<unknown>>({ ...options, ...commonOptions })
      .flatMap(({ spec }) => spec.short ?? []);
    assert.equal(new Set(letters).size, letters.length, name);
  }
});

const WINDOWS_PATHS = [
  String.raw`C:\Users\Ann Lee\runs\digits`,
  String.raw`\\server\share\photos`,
  String.raw`..\a\b.npz`,
  "D:/mixed/slashes.zip",
];

Deno.test("paths of Windows reach the verbs as they are", () => {
  for (const { verb, name, option } of options()) {
    if (option.kind !== "value" || option.words || !/DIR|FILE|PATH|DATA/.test(option.spec.value!)) {
      continue;
    }
    const entry = all.find((each) => each.name === verb)!;
    const required = Object.entries<Option<unknown>>(entry.options)
      .filter(([other, { spec }]) => spec.required && other !== name)
      .flatMap(([other, { words }]) => [flagName(other), words?.[0] ?? "1"]);
    const positional = Array.from({ length: entry.positionals?.min ?? 0 }, () => "x");
    for (const path of WINDOWS_PATHS) {
      for (const given of [[flagName(name), path], [`${flagName(name)}=${path}`]]) {
        const args: Record<string, unknown> = parseVerb(entry, [
          ...positional,
          ...required,
          ...given,
        ]);
        assert.equal([args[name]].flat()[0], path, `${verb} ${given}`);
      }
    }
  }
});

Deno.test("a name that ends like a folder is one, on Windows also with its own slash", async () => {
  assert.equal(await outputFormat(String.raw`C:\out\samples` + "\\", "windows"), "folder");
  assert.equal(await outputFormat("C:/out/samples/", "windows"), "folder");
  assert.equal(await outputFormat(String.raw`C:\out\a.png`, "windows"), "grid");
  await assert.rejects(outputFormat("a.b\\", "linux"), /expected a name that ends in/);
});

Deno.test("the cache lies where Windows has caches", () => {
  const env = (name: string) => ({ LOCALAPPDATA: String.raw`C:\Users\Ann\AppData\Local` })[name];
  assert.match(userCacheFolder("windows", env), /AppData\\Local[\\/]imm$/);
});
