/** The action for GitHub: its step runs here as it would there. */

import assert from "node:assert/strict";
import { fromFileUrl, join } from "jsr:@std/path@1.0.8";
import { parseVerb } from "../../cli/base/verb.ts";
import { verb } from "../../cli/eval/eval.ts";
import { withTempFolder } from "../support/files.ts";
import { commands } from "../support/cli/shell.ts";

const root = fromFileUrl(import.meta.resolve("../../"));
const read = (path: string) => Deno.readTextFile(join(root, path));

/** Runs the step with inputs, in a folder that is not the project's. */
async function step(folder: string, inputs: Record<string, string>) {
  const output = join(folder, "output");
  await Deno.writeTextFile(output, "");
  const { code, stderr } = await new Deno.Command("bash", {
    args: [join(root, "tools/action.sh")],
    cwd: folder,
    env: {
      ...Object.fromEntries(
        Object.entries(inputs).map(([name, value]) => [`INPUT_${name}`, value]),
      ),
      INPUT_FOLDER: join(folder, "reports"),
      GITHUB_OUTPUT: output,
      GITHUB_ACTIONS: "false",
    },
    stdin: "null",
    stdout: "null",
  }).output();
  const lines = (await Deno.readTextFile(output)).trimEnd().split("\n");
  const outputs = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s, 2)));
  return { code, outputs, stderr: new TextDecoder().decode(stderr) };
}

const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();

Deno.test({
  name: "the action scores, gates, and leaves its reports behind",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withTempFolder(async (folder) => {
      const inputs = {
        SAMPLES: "digits",
        REFERENCE: "digits",
        METRICS: "fd",
        ARGUMENTS: "--num=300\n--extractor=pixels\n",
      };
      const passed = await step(folder, { ...inputs, FAIL_IF: "  fd>5\n\n fd<-1" });
      assert.equal(passed.code, 0, passed.stderr);
      const reports = join(folder, "reports");
      assert.deepEqual(await names(reports), [
        "junit.xml",
        "report.html",
        "result.json",
        "summary.md",
      ]);
      assert.equal(passed.outputs.passed, "true");
      assert.equal(passed.outputs.folder, reports);
      const result = JSON.parse(await Deno.readTextFile(join(reports, "result.json")));
      assert.deepEqual(JSON.parse(passed.outputs.values), result.values);
      assert.equal(result.samples.count, 300);
      assert.equal(result.gate.thresholds.length, 2);

      const baseline = join(folder, "last.json");
      await Deno.writeTextFile(baseline, JSON.stringify({ values: { fd: result.values.fd / 2 } }));
      const worse = { ...inputs, BASELINE: baseline, TOLERANCE: "fd=2%" };
      const failed = await step(folder, worse);
      assert.equal(failed.code, 3);
      assert.equal(failed.outputs.passed, "false");
      assert.ok(JSON.parse(failed.outputs.values).fd > 0);

      const broken = await step(folder, { ...inputs, SAMPLES: "no such folder" });
      assert.equal(broken.code, 1);
      assert.deepEqual(Object.keys(broken.outputs), ["folder", "values"]);
      assert.equal(broken.outputs.values, "");
      assert.match(await Deno.readTextFile(join(reports, "junit.xml")), /errors="1"/);
    });
  },
});

Deno.test("every input of the action reaches the script, and every output comes from it", async () => {
  const [action, script] = [await read("action.yml"), await read("tools/action.sh")];
  const block = (name: string) =>
    new RegExp(`^${name}:\\n((?:  .*\\n|\\n)+)`, "m").exec(action)![1];
  const keys = (text: string) => [...text.matchAll(/^ {2}([\w-]+):$/gm)].map(([, key]) => key);
  const variables = [...action.matchAll(/^ {8}INPUT_(\w+): \$\{\{ inputs\.([\w-]+) \}\}$/gm)];
  for (const [, variable, input] of variables) {
    assert.equal(variable, input.toUpperCase().replaceAll("-", "_"));
    assert.ok(script.includes(`INPUT_${variable}`), variable);
  }
  const used = new Set([...action.matchAll(/inputs\.([\w-]+)/g)].map(([, name]) => name));
  assert.deepEqual([...used].sort(), keys(block("inputs")).sort());
  for (const output of keys(block("outputs"))) {
    assert.ok(action.includes(`steps.evaluate.outputs.${output} }}`));
    assert.match(script, new RegExp(`echo "${output}=`));
  }
});

Deno.test("the examples for CI use inputs and options that there are", async () => {
  const action = await read("action.yml");
  const github = await read("docs/ci/github-workflow.yml");
  const used = /^ {8}with:\n((?: {10}.*\n)+)/m.exec(github)![1];
  for (const [, name] of used.matchAll(/^ {10}([\w-]+):/gm)) {
    assert.match(action, new RegExp(`^  ${name}:$`, "m"));
  }
  const gitlab = await read("docs/ci/gitlab-ci.yml");
  const folded = /^ {4}- >\n((?: {6}.*\n)+)/m.exec(gitlab)![1].replace(/\s*\n\s*/g, " ").trim();
  const [command] = commands(folded);
  assert.deepEqual(command.slice(0, 2), ["imm/imm", "eval"]);
  parseVerb(verb, command.slice(2));
});
