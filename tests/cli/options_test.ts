import assert from "node:assert/strict";
import {
  choice,
  flag,
  flagName,
  integer,
  number,
  type OptionTable,
  parseOptions,
  ranges,
  size,
  text,
} from "../../cli/base/options.ts";
import { UsageError } from "../../lib/base/errors.ts";

const table = {
  images: size({ help: "images to train on", default: 1024, min: 1 }),
  steps: integer({ help: "sampling steps", min: 1, max: 8 }),
  shift: number({ help: "a number", short: "s" }),
  out: text({ help: "where to write", value: "DIR", short: "o" }),
  set: text({ help: "override a key", value: "KEY=VALUE", repeat: true }),
  seeds: ranges({ help: "seeds", default: [0, 1, 2, 3] }),
  device: choice(["auto", "webgpu", "wasm"], { help: "device", default: "auto" }),
  dryRun: flag({ help: "only print" }),
  grid: flag({ help: "write a grid", default: true }),
} satisfies OptionTable;

const parse = (...args: string[]) => parseOptions("imm test", table, args);

function usageError(pattern: RegExp, ...args: string[]) {
  assert.throws(() => parse(...args), (error) => {
    assert.ok(error instanceof UsageError, String(error));
    assert.match(error.message, pattern);
    return true;
  });
}

Deno.test("parseOptions() gives defaults, typed, where nothing is said", () => {
  const args = parse();
  const images: number = args.images;
  const steps: number | undefined = args.steps;
  const set: readonly string[] = args.set;
  const device: "auto" | "webgpu" | "wasm" = args.device;
  const dryRun: boolean = args.dryRun;
  assert.deepEqual([images, steps, set, device, dryRun], [1024, undefined, [], "auto", false]);
  assert.deepEqual(args.seeds, [0, 1, 2, 3]);
  assert.equal(args.grid, true);
  assert.deepEqual(args._, []);
});

Deno.test("parseOptions() reads values after a space and after an equals sign", () => {
  const args = parse("--images", "8Mi", "--steps=2", "--seeds", "0-1,9", "--device=wasm");
  assert.deepEqual([args.images, args.steps, args.device], [8 * 2 ** 20, 2, "wasm"]);
  assert.deepEqual(args.seeds, [0, 1, 9]);
});

Deno.test("parseOptions() takes negative numbers and a lone dash as values", () => {
  assert.equal(parse("--shift", "-1.5").shift, -1.5);
  assert.equal(parse("--shift", "-.5e-3").shift, -0.0005);
  assert.equal(parse("-s", "-2").shift, -2);
  assert.equal(parse("--out", "-").out, "-");
});

Deno.test("parseOptions() keeps text that looks like a number, a flag's word or an assignment", () => {
  assert.equal(parse("--out", "007").out, "007");
  assert.equal(parse("--out", "true").out, "true");
  assert.equal(parse("--out=a=b=c").out, "a=b=c");
  assert.equal(parse("-o", "my dir/x").out, "my dir/x");
});

Deno.test("parseOptions() collects repeated options and lets the last of others count", () => {
  assert.deepEqual(parse("--set", "a=1", "--set=b=2").set, ["a=1", "b=2"]);
  assert.deepEqual(parse("--set", "a=1").set, ["a=1"]);
  assert.equal(parse("--steps", "1", "--steps", "4").steps, 4);
});

Deno.test("parseOptions() writes camelCase names with dashes and negates what is true by default", () => {
  assert.equal(flagName("dryRun"), "--dry-run");
  assert.equal(parse("--dry-run").dryRun, true);
  assert.equal(parse("--no-grid").grid, false);
  usageError(/^imm test has no option --no-dry-run/, "--no-dry-run");
});

Deno.test("parseOptions() never lets a flag swallow a positional argument", () => {
  const args = parseOptions("imm test", table, ["--dry-run", "a", "--", "--b"], {
    value: "FILE...",
    help: "files",
  });
  assert.equal(args.dryRun, true);
  assert.deepEqual(args._, ["a", "--b"]);
});

Deno.test("parseOptions() refuses unknown options and suggests the nearest", () => {
  usageError(/^imm test has no option --step; did you mean "--steps"\?$/, "--step=2");
  usageError(/^imm test has no option --imgaes; did you mean "--images"\?$/, "--imgaes", "5");
  usageError(
    /^imm test has no option --frobnicate; "imm test --help" lists them\.$/,
    "--frobnicate",
  );
  usageError(/^imm test has no option -x; /, "-x");
});

Deno.test("parseOptions() refuses a missing value and shows the form", () => {
  usageError(/^--out needs a value: --out DIR\.$/, "--out");
  usageError(/^--out needs a value: --out DIR\.$/, "--out", "--dry-run");
  usageError(/^--out needs a value: --out DIR\.$/, "--out=", "x");
  usageError(/^--steps needs a value: --steps N\.$/, "--steps", "");
});

Deno.test("parseOptions() refuses malformed values and says what was expected and found", () => {
  usageError(/^--steps expects a whole number, but got "two"\.$/, "--steps", "two");
  usageError(/^--steps expects a whole number, but got "2\.5"\.$/, "--steps", "2.5");
  usageError(/^--steps must be between 1 and 8, but is 9\.$/, "--steps", "9");
  usageError(/^--images must be at least 1, but is 0\.$/, "--images=0");
  usageError(/^--shift expects a number, but got "x"\.$/, "--shift", "x");
  usageError(/^--device expects one of auto, webgpu, wasm, but got "cuda"\.$/, "--device=cuda");
  usageError(/got "webgp"; did you mean "webgpu"\?$/, "--device=webgp");
  usageError(/^--seeds expects whole numbers and ascending ranges/, "--seeds", "9-1");
});

Deno.test("parseOptions() refuses too few and too many positional arguments", () => {
  usageError(/^imm test takes options only, but got "stray"/, "stray");
  const files = { value: "FILE", help: "a file", min: 1, max: 1 };
  assert.throws(() => parseOptions("imm x", {}, [], files), /^UsageError: imm x needs FILE/);
  assert.throws(
    () => parseOptions("imm x", {}, ["a", "b"], files),
    /imm x takes at most 1 of FILE, but got 2/,
  );
  assert.throws(
    () => parseOptions("imm x", {}, [""], files),
    /^UsageError: imm x was given an empty FILE; is a variable not set\?$/,
  );
});

Deno.test("parseOptions() insists on what is required", () => {
  const required = { out: text({ help: "where to write", value: "DIR", required: true }) };
  const out: string = parseOptions("imm x", required, ["--out", "d"]).out;
  assert.equal(out, "d");
  assert.throws(
    () => parseOptions("imm x", required, []),
    /imm x needs --out DIR \(where to write\); see "imm x --help"/,
  );
});
