/** Pictures that turn out to be damaged while a run trains on them. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { encodePng } from "../../lib/formats/image/png.ts";
import { withTempFolder } from "../support/files.ts";
import { BATCH, imm, startArguments } from "../support/examples/runs.ts";

Deno.test("imm train --skip-corrupt goes on without pictures that cannot be read, and names each once", async () => {
  await withTempFolder(async (folder) => {
    const photos = join(folder, "photos");
    for (let i = 0; i < 12; i++) {
      const data = Uint8Array.from({ length: 64 }, (_, at) => at * (i + 1));
      const png = encodePng({ width: 8, height: 8, channels: 1, data });
      const path = join(photos, i < 6 ? "cat" : "dog");
      await Deno.mkdir(path, { recursive: true });
      // The header of one is damaged, the pixels of another.
      const bytes = i === 3 ? png.slice(0, 20) : i === 7 ? png.slice(0, 60) : png;
      await Deno.writeFile(join(path, `${i}.png`), bytes);
    }
    await Deno.writeFile(join(photos, "a.avif"), new Uint8Array(1));
    const settings = [`train.images=${4 * BATCH}`, "network.labelDim=2"];
    const run = async (out: string, ...more: string[]) =>
      await imm(...startArguments(join(folder, out), settings), "--data", photos, ...more);

    const failed = await run("a");
    assert.equal(failed.code, 1);
    assert.match(
      failed.stderr,
      /3\.png is not a PNG file, or is truncated.* with --skip-corrupt\.$/m,
    );

    const done = await run("b", "--skip-corrupt");
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /warning: .*3\.png is not a PNG file, or is truncated/);
    assert.equal(done.stderr.match(/7\.png is truncated/g)?.length, 1, done.stderr);
    assert.match(done.stderr, /1 picture of a kind that is not read \(a\.avif\)/);

    const strict = await run("c", "--skip-corrupt", "--strict");
    assert.equal(strict.code, 1);
    assert.match(strict.stderr, /not read \(a\.avif\)\. --strict refuses that\./);
  });
});
