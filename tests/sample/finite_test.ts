/** Samples that are no numbers are an error that counts them, wherever a model makes samples. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { saveModel } from "../../lib/models/model_file.ts";
import { notFinite } from "../../lib/sample/finite.ts";
import { exists, withTempFolder } from "../support/files.ts";
import { tinyModel } from "../support/examples/models.ts";
import { imm, startArguments } from "../support/examples/runs.ts";

/** Elements of a sample of the model. */
const SIZE = 64;

Deno.test("samples with a number that is not finite are found, each once", () => {
  const values = new Float32Array(4 * SIZE);
  values[SIZE] = NaN;
  values[2 * SIZE - 1] = Infinity;
  values[4 * SIZE - 1] = -Infinity;
  assert.deepEqual(notFinite(values, SIZE), [1, 3]);
});

Deno.test("sample and eval refuse what exploded weights or broken noise make, and write nothing", async () => {
  await withTempFolder(async (folder) => {
    const file = (name: string) => join(folder, name);
    const good = tinyModel({ imgResolution: 8 });
    await saveModel(file("good.safetensors"), good);
    // Finite weights whose products are not.
    const weights = new Map(
      [...good.weights].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.map((value) => value * 1e30) },
      ]),
    );
    await saveModel(file("exploded.safetensors"), { ...good, weights });
    const noise = new Float32Array(5 * SIZE).fill(0.5);
    noise[2 * SIZE + 3] = NaN;
    noise[4 * SIZE] = Infinity;
    await writeNpz(file("noise.npz"), [
      ["latents", { type: "f32", shape: [5, 8, 8, 1], data: noise }],
    ]);
    const cases: [string[], RegExp][] = [
      [
        ["sample", "--checkpoint", "exploded.safetensors", "--seeds", "7-9", "--out", "out.png"],
        /^error: 3 of 3 samples made at once hold NaN or infinity, the first is that of seed 7; /m,
      ],
      [
        [
          "sample",
          "--checkpoint",
          "good.safetensors",
          "--latents",
          "noise.npz",
          "--out",
          "out.png",
        ],
        /^error: 2 of 5 latents of \S+noise\.npz hold NaN or infinity, the first is number 2; /m,
      ],
      [
        [
          ...["eval", "--checkpoint", "exploded.safetensors", "--num", "4", "--metrics", "fd"],
          ...["--extractor", "pixels", "--reference", "digits", "--save-stats", "out.npz"],
        ],
        /^error: 4 of 4 samples made at once hold NaN or infinity/m,
      ],
    ];
    for (const [args, message] of cases) {
      const paths = args.map((arg) => /\.(safetensors|npz|png)$/.test(arg) ? file(arg) : arg);
      const { code, stderr } = await imm(...paths, "--device", "wasm");
      assert.match(stderr, message);
      assert.equal(code, 1);
      assert.equal(await exists(file("out.png")), false);
      assert.equal(await exists(file("out.npz")), false);
    }
  });
});

Deno.test("a report while training counts the samples that are no numbers, and stops", async () => {
  await withTempFolder(async (folder) => {
    // The rate breaks the weights in the first step, whose own loss and gradient were finite.
    const settings = ["optimizer.lr=1e30", "report.samples=16", "train.ema.decay=0"];
    const { code, stderr } = await imm(...startArguments(join(folder, "run"), settings));
    assert.equal(code, 1);
    assert.match(stderr, /^error: samples stopped being finite .* \(4 of 4 samples made at once/m);
  });
});
