/** The chapter of docs/extending.md on data sources, followed word by word. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { runModule } from "../support/cli/imm.ts";
import { asFile, codeOf, copyProject, touched, withRow } from "../support/extending.ts";
import { withTempFolder } from "../support/files.ts";

const FILE = "lib/data/images/csv.ts";
const REGISTRY = "lib/data/open.ts";

Deno.test("a data source is one new file and one row", async () => {
  const [file, row] = codeOf("A data source");
  await withTempFolder(async (folder) => {
    await copyProject(folder);
    await Deno.writeTextFile(join(folder, FILE), asFile(file, FILE));
    const registry = await Deno.readTextFile(join(folder, REGISTRY));
    await Deno.writeTextFile(join(folder, REGISTRY), withRow(registry, row, { table: "SOURCES" }));
    const { added, changed } = touched(folder);
    assert.deepEqual(added, [FILE]);
    assert.deepEqual(Object.keys(changed), [REGISTRY]);
    assert.equal(changed[REGISTRY].length, 2, "the row and its import");

    const imm = async (...args: string[]) => {
      const permissions = ["--allow-all", "--no-check"];
      const done = await runModule(join(folder, "cli/main.ts"), args, { permissions });
      assert.equal(done.code, 0, done.stderr);
      return done.stdout;
    };
    const path = join(folder, "grey.csv");
    await Deno.writeTextFile(path, "label,a,b,c,d\n1,0,64,128,255\n0,9,8,7,6\n");
    const { count, imageShape, classCounts } = JSON.parse(
      await imm("dataset", "info", path, "--json"),
    );
    assert.deepEqual({ count, imageShape, classCounts }, {
      count: 2,
      imageShape: [2, 2, 1],
      classCounts: [1, 1],
    });
  });
});
