import assert from "node:assert/strict";
import { main } from "../../cli/main.ts";
import { Terminal } from "../../cli/base/terminal.ts";
import { textReport } from "../../lib/eval/reports/text.ts";
import { printable } from "../../lib/base/printable.ts";
import { memorySink } from "../support/cli/sink.ts";
import { EVALUATION } from "../support/examples/evaluation.ts";

/** A name that begins a line of its own, clears the screen, and turns the direction of writing. */
const NAME = "a\n::error::b\x1b[2J\x9b1m\u202egnp.exe\t";
const SHOWN = "a\\n::error::b\\x1b[2J\\x9b1m\\u202egnp.exe\\t";

Deno.test("printable shows what a terminal or a CI log would obey, and changes nothing else", () => {
  assert.equal(printable(NAME), SHOWN);
  assert.equal(printable(SHOWN), SHOWN);
  assert.equal(printable("C:\\new\\été 猫 👩‍🔬"), "C:\\new\\été 猫 👩‍🔬");
});

Deno.test("the terminal prints no control character in any of its lines", () => {
  const [stdout, stderr] = [memorySink(), memorySink()];
  const terminal = new Terminal({ stdout, stderr, verbose: true });
  terminal.say(NAME);
  terminal.detail([NAME, NAME]);
  terminal.warn(NAME);
  terminal.error([NAME, NAME]);
  terminal.result({}, () => [NAME, "second"]);
  const lines = [SHOWN, SHOWN, SHOWN, `warning: ${SHOWN}`, `error: ${SHOWN}`, SHOWN];
  assert.deepEqual(stderr.text.split("\n"), [...lines, ""]);
  assert.equal(stdout.text, `${SHOWN}\nsecond\n`);
  const json = memorySink();
  new Terminal({ json: true, stdout: json }).result({ NAME }, "");
  assert.match(json.text, /^[ -~]*\n$/);
  assert.deepEqual(JSON.parse(json.text), { NAME });
});

Deno.test("an error names a file without its control characters, with a stack as well", async () => {
  for (const verbose of [[], ["--verbose"]]) {
    const stderr = memorySink();
    assert.equal(await main(["info", NAME, ...verbose], { stderr }), 1);
    assert.ok(stderr.text.startsWith("error: ") && stderr.text.includes(SHOWN), stderr.text);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(stderr.text, /^::|[\x00-\x09\x0b-\x1f\x9b\u202e]/m);
  }
});

Deno.test("a report of an evaluation keeps names in their lines", () => {
  const samples = { ...EVALUATION.samples, name: NAME };
  const text = textReport({ ...EVALUATION, samples, warnings: [NAME] });
  assert.ok(text.includes(`  ${SHOWN}, `) && text.endsWith(`warning: ${SHOWN}\n`), text);
});

Deno.test("verbs give the terminal lines, never a text of several lines", async () => {
  const cli = new URL("../../cli/", import.meta.url);
  for await (const { name, isFile } of Deno.readDir(cli)) {
    // The help is split where it is printed.
    if (!isFile || name === "help.ts" || name === "dashboard_page.ts") continue;
    const source = await Deno.readTextFile(new URL(name, cli));
    assert.doesNotMatch(source, /\.join\(("|`)\\n\1\)/, `cli/${name}: give an array of lines`);
  }
});
