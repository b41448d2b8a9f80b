/**
 * The expected values are what the documentation of `@std/cli` says of `parseArgs`. With JSR
 * within reach the tests run on `@std/cli` itself, else on the adapter: either way the specifier
 * is the one that the command line imports.
 */

import assert from "node:assert/strict";
import { parseArgs } from "jsr:@std/cli@1.0.17/parse-args";

Deno.test("parseArgs() guesses types when nothing is declared", () => {
  assert.deepEqual({ ...parseArgs(["--foo", "--bar=baz", "./quux.txt"]) }, {
    foo: true,
    bar: "baz",
    _: ["./quux.txt"],
  });
  assert.deepEqual({ ...parseArgs(["--n", "5", "--hex=0x10", "7", "-k3"]) }, {
    n: 5,
    hex: 16,
    k: 3,
    _: [7],
  });
});

Deno.test("parseArgs() leaves declared strings alone and gives a bare one the empty string", () => {
  const args = parseArgs(["--seed", "007", "--name", "--out=1e3"], {
    string: ["seed", "name", "out"],
  });
  const seed: string | undefined = args.seed;
  assert.equal(seed, "007");
  assert.equal(args.name, "");
  assert.equal(args.out, "1e3");
  assert.equal(parseArgs([], { string: ["seed"] }).seed, undefined);
});

Deno.test("parseArgs() sets declared booleans to false and never gives them the next argument", () => {
  const args = parseArgs(["--json", "file"], { boolean: ["json", "quiet"] });
  const json: boolean = args.json;
  assert.equal(json, true);
  assert.equal(args.quiet, false);
  assert.deepEqual(args._, ["file"]);
  assert.equal(parseArgs(["--json=false"], { boolean: ["json"] }).json, false);
  assert.equal(parseArgs(["--json", "false"], { boolean: ["json"] }).json, false);
});

Deno.test("parseArgs() keeps the last value of a repeated option and collects where told", () => {
  const args = parseArgs(["--set", "a=1", "--steps", "1", "--steps", "2", "--set=b=2"], {
    string: ["set", "steps"],
    collect: ["set"],
  });
  const set: string[] = args.set;
  assert.deepEqual(set, ["a=1", "b=2"]);
  assert.equal(args.steps, "2");
  const once = parseArgs(["--set=x"], { string: ["set", "not"], collect: ["set", "not"] });
  assert.deepEqual([once.set, once.not], [["x"], []]);
});

Deno.test("parseArgs() negates only what is negatable", () => {
  const args = parseArgs(["--no-color", "--no-cache", "kept"], {
    boolean: ["color"],
    negatable: ["color"],
    default: { color: true },
  });
  assert.equal(args.color, false);
  assert.equal(args["no-cache"], "kept");
  assert.equal("cache" in args, false);
});

Deno.test("parseArgs() fills in defaults only for what was not given", () => {
  const options = {
    string: ["device"],
    boolean: ["grid"],
    default: { device: "auto", grid: true },
  } as const;
  assert.equal(parseArgs([], options).device, "auto");
  assert.equal(parseArgs([], options).grid, true);
  assert.equal(parseArgs(["--device", "wasm"], options).device, "wasm");
  assert.equal(parseArgs(["--grid=false"], options).grid, false);
});

Deno.test("parseArgs() sets every alias of an option", () => {
  const args = parseArgs(["-q", "-o", "x.png"], {
    boolean: ["quiet"],
    string: ["out"],
    alias: { quiet: "q", out: ["o", "output"] },
  });
  assert.deepEqual([args.quiet, args.q], [true, true]);
  assert.deepEqual([args.out, args.o, args.output], ["x.png", "x.png", "x.png"]);
});

Deno.test("parseArgs() splits groups of short options", () => {
  const args = parseArgs(["-abc", "-n5", "-o=x"]);
  assert.deepEqual([args.a, args.b, args.c, args.n, args.o], [true, true, true, 5, "x"]);
});

Deno.test("parseArgs() stops at the first positional argument with stopEarly", () => {
  const args = parseArgs(["--json", "train", "--json", "-x"], {
    boolean: ["json"],
    stopEarly: true,
  });
  assert.equal(args.json, true);
  assert.deepEqual(args._, ["train", "--json", "-x"]);
});

Deno.test("parseArgs() parses nothing after --", () => {
  assert.deepEqual(parseArgs(["a", "--", "--no-b", "7"], {})._, ["a", "--no-b", "7"]);
  const apart = parseArgs(["a", "--", "--b"], { "--": true });
  const rest: string[] = apart["--"];
  assert.deepEqual([apart._, rest], [["a"], ["--b"]]);
  assert.deepEqual(parseArgs([], { "--": true })["--"], []);
});

Deno.test("parseArgs() keeps numeric positional arguments as text when told to", () => {
  assert.deepEqual(parseArgs(["007", "x"], { string: ["_"] })._, ["007", "x"]);
});

Deno.test("parseArgs() treats all long flags as booleans with boolean: true", () => {
  const args = parseArgs(["--verbose", "file", "--k=2"], { boolean: true });
  assert.equal(args.verbose, true);
  assert.equal(args.k, 2);
  assert.deepEqual(args._, ["file"]);
});

Deno.test("parseArgs() tells the unknown callback the argument, its name and its value", () => {
  const seen: unknown[][] = [];
  const args = parseArgs(["--known", "x", "--what=five", "--no-thing", "-z", "word"], {
    string: ["known"],
    unknown: (arg, key, value) => {
      seen.push([arg, key, value]);
      return false;
    },
  });
  const byArgument = (a: unknown[], b: unknown[]) => String(a[0]) < String(b[0]) ? -1 : 1;
  assert.deepEqual(seen.sort(byArgument), [
    ["--no-thing", "no-thing", true],
    ["--what=five", "what", "five"],
    ["-z", "z", "word"],
  ]);
  assert.deepEqual({ ...args }, { known: "x", _: [] });
});

Deno.test("parseArgs() asks about unknown positional arguments too", () => {
  const args = parseArgs(["keep", "drop"], { unknown: (arg) => arg !== "drop" });
  assert.deepEqual(args._, ["keep"]);
});
