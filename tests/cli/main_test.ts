import assert from "node:assert/strict";
import { main } from "../../cli/main.ts";
import { integer } from "../../cli/base/options.ts";
import { defineVerb, type Verb } from "../../cli/base/verb.ts";
import { type VerbEntry, verbs } from "../../cli/verbs.ts";
import {
  DeviceError,
  FormatError,
  GateError,
  InternalError,
  InterruptedError,
  UsageError,
} from "../../lib/base/errors.ts";
import { VERSION } from "../../lib/base/version.ts";
import { imm } from "../support/cli/imm.ts";
import { memorySink } from "../support/cli/sink.ts";

const add = defineVerb({
  name: "add",
  summary: "add two numbers",
  usage: "imm add [options]",
  options: {
    a: integer({ help: "the first", default: 1 }),
    b: integer({ help: "the second", required: true }),
  },
  examples: [{ command: "imm add --b 2", does: "print 3" }],
  run(args, terminal) {
    terminal.say("adding");
    terminal.detail("carefully");
    terminal.warn("numbers may grow");
    terminal.result({ sum: args.a + args.b }, `the sum is ${args.a + args.b}`);
    return Promise.resolve();
  },
});

function failing(error: unknown): Verb {
  return defineVerb({
    name: "fail",
    summary: "fail",
    usage: "imm fail",
    options: {},
    examples: [],
    run: () => Promise.reject(error),
  });
}

async function run(args: string[], ...available: Verb[]) {
  const entries = available.map((verb): VerbEntry => ({
    name: verb.name,
    summary: verb.summary,
    load: () => Promise.resolve(verb),
  }));
  const [stdout, stderr] = [memorySink(), memorySink()];
  const code = await main(args, { stdout, stderr }, entries);
  return { code, stdout: stdout.text, stderr: stderr.text };
}

Deno.test("a verb's result goes to stdout and everything else to stderr", async () => {
  const { code, stdout, stderr } = await run(["add", "--b", "2"], add);
  assert.equal(code, 0);
  assert.equal(stdout, "the sum is 3\n");
  assert.equal(stderr, "adding\nwarning: numbers may grow\n");
});

Deno.test("--json makes the result one line of JSON on stdout", async () => {
  const { stdout } = await run(["add", "--b=2", "--json"], add);
  assert.deepEqual(JSON.parse(stdout), { sum: 3 });
  assert.equal(stdout.split("\n").length, 2);
});

Deno.test("--quiet leaves results and warnings, --verbose adds details", async () => {
  assert.equal((await run(["add", "--b=2", "-q"], add)).stderr, "warning: numbers may grow\n");
  assert.match((await run(["add", "--b=2", "-v"], add)).stderr, /^adding\ncarefully\n/);
});

Deno.test("--help shows usage, options, defaults and examples, whatever else is given", async () => {
  for (
    const args of [["add", "--help"], ["add", "-h"], ["help", "add"], ["add", "--wrong", "--help"]]
  ) {
    const { code, stdout } = await run(args, add);
    assert.equal(code, 0);
    assert.match(stdout, /^add: add two numbers\n\nUsage: imm add \[options\]\n/);
    assert.match(stdout, /^ {6}--a N {6,}the first \(default 1\)$/m);
    assert.match(stdout, /^ {6}--b N {6,}the second \(required\)$/m);
    assert.match(stdout, /^ {2}-q, --quiet {2,}say nothing/m);
    assert.match(stdout, /imm add --b 2\n {6}print 3/);
  }
});

Deno.test("an unknown verb is a usage error with a suggestion", async () => {
  const near = await run(["ad"], add);
  assert.deepEqual(near, {
    code: 2,
    stdout: "",
    stderr: 'error: imm has no verb "ad"; did you mean "add"?\n',
  });
  const far = await run(["multiply"], add);
  assert.equal(far.code, 2);
  assert.equal(far.stderr, 'error: imm has no verb "multiply"; the verbs are add.\n');
  const option = await run(["--b", "2"], add);
  assert.equal(option.code, 2);
  assert.match(option.stderr, /expects a verb before the options, but got --b/);
});

Deno.test("a verb of two words is told from its parts, and suggested", async () => {
  const verbs = ["prepare", "info"].map((word) => ({ ...add, name: `dataset ${word}` }));
  const message = async (...args: string[]) => {
    const { code, stderr } = await run(args, ...verbs);
    assert.equal(code, 2);
    return stderr;
  };
  assert.equal(
    await message("dataset", "--json"),
    "error: imm dataset expects what to do: prepare or info.\n",
  );
  assert.equal(
    await message("dataset", "prepar"),
    'error: imm dataset has no "prepar"; did you mean "prepare"?\n',
  );
  assert.equal(
    await message("dataset", "everything"),
    'error: imm dataset has no "everything"; there is prepare and info.\n',
  );
  assert.equal(
    await message("datset", "info"),
    'error: imm has no verb "datset"; did you mean "dataset info"?\n',
  );
});

Deno.test("the first word of verbs of two shows their help: asked for it is no mistake", async () => {
  const verbs = ["dataset prepare", "dataset info"].map((name) => ({ ...add, name }));
  const help =
    /^Usage: imm dataset prepare\|info \[options\]\n\nVerbs:\n {2}dataset prepare {2}add/;
  const alone = await run(["dataset"], ...verbs);
  assert.deepEqual([alone.code, alone.stdout], [2, ""]);
  assert.match(alone.stderr, help);
  for (const args of [["dataset", "--help"], ["dataset", "-h"], ["help", "dataset"]]) {
    const asked = await run(args, ...verbs);
    assert.deepEqual([asked.code, asked.stderr], [0, ""]);
    assert.match(asked.stdout, help);
  }
});

Deno.test("the help of a verb names those of two words that begin with it", async () => {
  const { stdout } = await run(["add", "--help"], add, { ...add, name: "add up" });
  assert.match(stdout, /^Also:\n {2}add up {2}add two numbers$/m);
  assert.doesNotMatch((await run(["add", "--help"], add)).stdout, /Also/);
});

Deno.test("version is a verb as well as an option", async () => {
  const [stdout, stderr] = [memorySink(), memorySink()];
  assert.equal(await main(["version"], { stdout, stderr }), 0);
  assert.equal(await main(["version", "--json"], { stdout, stderr }), 0);
  const [line, json] = stdout.text.split("\n");
  assert.equal(line, `imm ${VERSION}`);
  assert.deepEqual(JSON.parse(json), { version: VERSION, deno: Deno.version.deno });
});

Deno.test("no verb at all shows the help on stderr and is a usage error", async () => {
  const { code, stdout, stderr } = await run([], add);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /^Verbs:\n {2}add {2}add two numbers$/m);
});

Deno.test("the exit code tells the kind of error, and the error is one sentence", async () => {
  const cases: [Error, number][] = [
    [new FormatError("labels.gz is truncated."), 1],
    [new DeviceError("The GPU was lost."), 1],
    [new UsageError("There is no key imm.kk."), 2],
    [new GateError("FID 9.1 exceeds 8."), 3],
    [new InterruptedError("Stopped; the checkpoint is saved."), 130],
  ];
  for (const [error, code] of cases) {
    const result = await run(["fail"], failing(error));
    assert.deepEqual(result, { code, stdout: "", stderr: `error: ${error.message}\n` });
  }
});

Deno.test("--verbose adds the stack and the cause", async () => {
  const error = new FormatError("x.npz is damaged.", { cause: new RangeError("offset 7") });
  const { code, stderr } = await run(["fail", "--verbose"], failing(error));
  assert.equal(code, 1);
  assert.match(stderr, /^error: x\.npz is damaged\.\nFormatError: x\.npz is damaged\.\n +at /);
  assert.match(stderr, /^Caused by: RangeError: offset 7\n +at /m);
});

Deno.test("an unexpected error is called a bug and says how to report it", async () => {
  for (const error of [new TypeError("x is undefined"), new InternalError("no such slot")]) {
    const { code, stderr } = await run(["fail"], failing(error));
    assert.equal(code, 1);
    assert.ok(
      stderr.startsWith(
        `error: This is a bug in imm ${VERSION}: ${error.name}: ${error.message}\n`,
      ),
    );
    assert.match(stderr, /--verbose/);
    assert.match(
      stderr,
      /Please report it with the command, its output and what "imm doctor" prints\./,
    );
  }
  assert.match((await run(["fail"], failing("a string"))).stderr, /bug in imm .*: Error: a string/);
});

Deno.test("what the operating system or Deno's permissions refuse is not called a bug", async () => {
  const missing = Deno.readTextFile("/no/such/file").catch((error) => error);
  const system = await run(["fail"], failing(await missing));
  assert.equal(system.code, 1);
  assert.match(system.stderr, /^error: The operating system refused: .*\/no\/such\/file/);
  const refused = new Deno.errors.NotCapable('Requires read access to "x"');
  const permission = await run(["fail"], failing(refused));
  assert.match(
    permission.stderr,
    /^error: Deno did not allow this: Requires read access to "x"\.$/m,
  );
});

Deno.test("every registered verb has the name and summary of its file, and help that fits", async () => {
  for (const entry of verbs) {
    const verb = await entry.load();
    assert.deepEqual([verb.name, verb.summary], [entry.name, entry.summary]);
    assert.ok(verb.usage.startsWith(`imm ${verb.name}`), verb.usage);
    assert.ok(verb.examples.length > 0, `${verb.name} has no example`);
    const { code, stdout } = await runReal([verb.name, "--help"]);
    assert.equal(code, 0);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, `${verb.name}: ${line}`);
    for (const { command } of verb.examples) assert.ok(stdout.includes(command));
  }
});

async function runReal(args: string[]) {
  const [stdout, stderr] = [memorySink(), memorySink()];
  return { code: await main(args, { stdout, stderr }), stdout: stdout.text };
}

Deno.test("the program's own options and exit codes hold in a process of their own", async () => {
  const version = await imm(["--version"], { permissions: [] });
  assert.deepEqual(version, { code: 0, stdout: `imm ${VERSION}\n`, stderr: "" });
  const help = await imm(["--help"], { permissions: [] });
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^Verbs:\n(?: {2}\w+ +.*\n)+/m);
  const wrong = await imm(["docter"], { permissions: [] });
  assert.deepEqual(wrong, {
    code: 2,
    stdout: "",
    stderr: 'error: imm has no verb "docter"; did you mean "doctor"?\n',
  });
});
