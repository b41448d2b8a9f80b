/** What the program is called in its hints. */

import assert from "node:assert/strict";
import { asTyped, nameOf, nameProgram } from "../../cli/base/program.ts";
import { main } from "../../cli/main.ts";
import { verbs } from "../../cli/verbs.ts";
import { memorySink } from "../support/cli/sink.ts";

Deno.test("the name is what starts the program again, however it was started", () => {
  const start = {
    url: "file:///home/me/imm/cli/main.ts",
    launcher: undefined,
    executable: undefined,
    folder: "/home/me/imm",
  };
  const ignoreWindows = Deno.build.os === "windows";
  assert.equal(nameOf({ ...start, launcher: "./imm" }), "./imm");
  assert.equal(nameOf({ ...start, launcher: "/a folder/imm" }), "'/a folder/imm'");
  assert.equal(nameOf({ ...start, executable: "./imm-linux" }), "./imm-linux");
  const url = "https://example.org/imm/cli/main.ts";
  assert.equal(nameOf({ ...start, url }), `deno run -A ${url}`);
  if (ignoreWindows) return;
  assert.equal(nameOf(start), "deno run -A cli/main.ts");
  assert.equal(nameOf({ ...start, folder: "/home/me" }), "deno run -A imm/cli/main.ts");
  assert.equal(nameOf({ ...start, folder: null }), "deno run -A /home/me/imm/cli/main.ts");
});

Deno.test("every verb is called by that name, and nothing else is touched", () => {
  for (const { name } of verbs) {
    assert.equal(asTyped(`go on with: imm ${name} x`, "./imm"), `go on with: ./imm ${name} x`);
  }
  assert.equal(asTyped('see "imm --help"; imm VERB', "I"), 'see "I --help"; I VERB');
  const others = "imm.k=1, /data/imm train, my-imm train, imm 0.1.0, imm trainer, method imm";
  assert.equal(asTyped(others, "./imm"), others);
  assert.equal(asTyped("imm train", "a $& b"), "a $& b train");
});

Deno.test("help, hints and errors call the program as it was called", async () => {
  nameProgram("./imm");
  try {
    for (const args of [["train", "--help"], ["sample"], ["eval", "--x"], ["dataset"]]) {
      const [stdout, stderr] = [memorySink(), memorySink()];
      await main(args, { stdout, stderr });
      const text = stdout.text + stderr.text;
      assert.match(text, /\.\/imm /, text);
      assert.doesNotMatch(text, /(?<!\.\/)\bimm (?!has)[a-z-]/, text);
    }
    const script = memorySink();
    await main(["completions", "bash"], { stdout: script });
    assert.doesNotMatch(script.text, /\.\/imm/, "scripts complete the name that there is");
  } finally {
    nameProgram("imm");
  }
});
