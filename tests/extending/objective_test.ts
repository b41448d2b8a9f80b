/** The chapter of docs/extending.md on objectives, followed word by word. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { runModule } from "../support/cli/imm.ts";
import { asFile, codeOf, copyProject, touched, withRow } from "../support/extending.ts";
import { withTempFolder } from "../support/files.ts";

const FILE = "lib/objectives/denoising.ts";
const REGISTRY = "lib/objectives/registry.ts";

Deno.test("an objective is one new file and one row", async () => {
  const [file, row] = codeOf("An objective");
  await withTempFolder(async (folder) => {
    await copyProject(folder);
    await Deno.writeTextFile(join(folder, FILE), asFile(file, FILE));
    const registry = await Deno.readTextFile(join(folder, REGISTRY));
    await Deno.writeTextFile(
      join(folder, REGISTRY),
      withRow(registry, row, { table: "KINDS", type: "ObjectiveConfig" }),
    );
    const { added, changed } = touched(folder);
    assert.deepEqual(added, [FILE]);
    assert.deepEqual(Object.keys(changed), [REGISTRY]);
    assert.equal(changed[REGISTRY].length, 3, "the row, its import and its type");

    const imm = async (...args: string[]) => {
      const permissions = ["--allow-all", "--no-check"];
      const done = await runModule(join(folder, "cli/main.ts"), args, { permissions });
      assert.equal(done.code, 0, done.stderr);
      return done.stdout;
    };
    const run = join(folder, "run");
    const settings = ["objective.type=denoising", "train.batch=16", "train.images=64"];
    await imm(
      ...["train", "--preset", "toy2d", "--device", "wasm", "--out", run],
      ...settings.flatMap((setting) => ["--set", setting]),
    );
    const points = join(folder, "points.safetensors");
    await imm("sample", "--checkpoint", run, "--sampler", "line", "--out", points);
  });
});
