/** The chapter of docs/extending.md on metrics, followed word by word. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { runModule } from "../support/cli/imm.ts";
import { asFile, codeOf, copyProject, touched } from "../support/extending.ts";
import { withTempFolder } from "../support/files.ts";

const FILE = "lib/eval/metrics/mean_distance.ts";
const REGISTRY = "lib/eval/metrics/registry.ts";

Deno.test("a metric is one new file and one row", async () => {
  const [file, row] = codeOf("A metric");
  await withTempFolder(async (folder) => {
    await copyProject(folder);
    await Deno.writeTextFile(join(folder, FILE), asFile(file, FILE));
    const registry = await Deno.readTextFile(join(folder, REGISTRY));
    const changed = registry
      .replace("\nimport ", `\nimport { MEAN_DISTANCE } from "./mean_distance.ts";\nimport `)
      .replace("\n} as const satisfies", `\n  ${row.trim()}\n} as const satisfies`);
    await Deno.writeTextFile(join(folder, REGISTRY), changed);
    const { added, changed: lines } = touched(folder);
    assert.deepEqual(added, [FILE]);
    assert.deepEqual(Object.keys(lines), [REGISTRY]);
    assert.equal(lines[REGISTRY].length, 2, "the row and its import");

    // Pixels of black images are -1, of white ones 1: a distance of 2 in each of 4.
    const paths = await Promise.all([0, 255].map(async (byte) => {
      const path = join(folder, `${byte}.npz`);
      const data = new Uint8Array(32).fill(byte);
      await writeNpz(path, [["arr_0", { type: "u8", shape: [8, 2, 2, 1], data }]]);
      return path;
    }));
    const { stdout, stderr, code } = await runModule(join(folder, "cli/main.ts"), [
      ...["eval", paths[0], "--reference", paths[1], "--metrics", "fd,mean_distance"],
      ...["--fail-if", "mean_distance>3", "--json"],
    ], { permissions: ["--allow-all", "--no-check"] });
    assert.equal(code, 3, stderr);
    const { values, floor, gate } = JSON.parse(stdout);
    assert.deepEqual(values, { fd: 16, mean_distance: 4 });
    assert.deepEqual(floor, { fd: 0, mean_distance: 0 });
    assert.equal(gate.thresholds[0].value, 4);
  });
});
