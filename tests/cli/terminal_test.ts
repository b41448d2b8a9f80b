import assert from "node:assert/strict";
import { Terminal, terminalColumns } from "../../cli/base/terminal.ts";
import { memorySink } from "../support/cli/sink.ts";

function terminal(options: { quiet?: boolean; json?: boolean; isTerminal?: boolean } = {}) {
  const stdout = memorySink();
  const stderr = memorySink({ isTerminal: options.isTerminal, columns: 100 });
  return { stdout, stderr, terminal: new Terminal({ ...options, stdout, stderr }) };
}

Deno.test("Terminal shows a bar on a terminal and takes it away before other words", () => {
  const { stdout, stderr, terminal: t } = terminal({ isTerminal: true });
  const progress = t.progress("train", 10, "images");
  progress.update(5);
  t.result(null, "a result");
  assert.equal(stdout.text, "a result\n");
  assert.match(stderr.text, /^\rtrain \[#{12}-{12}\] 50% 5\/10 images/);
  assert.ok(stderr.text.endsWith("\r\x1b[K"));
  progress.update(6);
  t.say("a word");
  // deno-lint-ignore no-control-regex -- the sequence that clears a line
  assert.match(stderr.text, /60% 6\/10 images.*\x1b\[K\r\x1b\[Ka word\n$/);
});

Deno.test("a terminal that does not know its width is taken for one of 80 columns", () => {
  assert.equal(terminalColumns(() => ({ columns: 132 })), 132);
  assert.equal(terminalColumns(() => ({ columns: 0 })), 80);
  assert.equal(
    terminalColumns(() => {
      throw new Error("no terminal");
    }),
    80,
  );
});

Deno.test("Terminal draws no bar where nobody looks and nothing with --quiet", () => {
  for (const options of [{ isTerminal: false }, { isTerminal: true, quiet: true }]) {
    const { stderr, terminal: t } = terminal(options);
    const progress = t.progress("train", 10, "images");
    for (let done = 0; done <= 10; done++) progress.update(done);
    assert.equal(stderr.text, "");
  }
});

Deno.test("Terminal writes NaN and infinities as null in JSON", () => {
  const { stdout, terminal: t } = terminal({ json: true });
  t.result({ fid: NaN, kid: -Infinity, n: 1 }, "text");
  assert.equal(stdout.text, '{"fid":null,"kid":null,"n":1}\n');
});

Deno.test("Terminal prints errors without colours where there is no terminal", () => {
  const { stderr, terminal: t } = terminal({ quiet: true });
  t.error("The file is gone.");
  t.warn("Careful.");
  assert.equal(stderr.text, "error: The file is gone.\nwarning: Careful.\n");
});

Deno.test("results have one name for one thing: others are an error of types", async () => {
  const stdout = memorySink();
  const terminal = new Terminal({ json: true, stdout, stderr: memorySink() });
  terminal.result({ path: "x", sha256: "y", count: 1 }, "");
  // @ts-expect-error -- it is called `path` in results
  terminal.result({ folder: "x" }, "");
  // @ts-expect-error -- it is called `sha256`
  terminal.result({ path: "x", contentHash: "y" }, "");
  const documented = await Deno.readTextFile(new URL("../../docs/formats.md", import.meta.url));
  for (const name of Object.keys(JSON.parse(stdout.text.split("\n")[0]))) {
    assert.match(documented, new RegExp(`^\\| \`${name}\` `, "m"));
  }
});
