/** Noise from files of other programs. */

import { deepEqual, equal } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { latentScale, readLatents } from "../../lib/sample/latents_file.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { permuteArray } from "../support/golden/layout.ts";

/** Two images of 2 x 3 pixels and 4 channels. */
const SHAPE = [2, 3, 4];
const LAST = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i));
const FIRST = permuteArray(LAST, [2, 2, 3, 4], [0, 3, 1, 2]);

Deno.test("latents are read from npz and safetensors, with channels first or last", () =>
  withTempFolder(async (folder) => {
    for (const [data, shape] of [[LAST, [2, 2, 3, 4]], [FIRST, [2, 4, 2, 3]]] as const) {
      const npz = join(folder, "a.npz");
      await writeNpz(npz, [["arr_0", { type: "f32", shape, data }]]);
      deepEqual(await readLatents(npz, SHAPE), { images: 2, values: LAST });
      const wide = { type: "f64", shape, data: Float64Array.from(data) } as const;
      const labels = { type: "u8", shape: [2], data: Uint8Array.of(1, 2) } as const;
      await writeNpz(npz, [["labels", labels], ["latents", wide]]);
      deepEqual(await readLatents(npz, SHAPE), { images: 2, values: LAST });
      const safe = join(folder, "a.safetensors");
      await writeSafetensors(safe, new Map([["noise", { dtype: "F32", shape, data }]]));
      deepEqual(await readLatents(safe, SHAPE), { images: 2, values: LAST });
    }
  }));

Deno.test("where both layouts fit, latents are taken as PyTorch's", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, "a.safetensors");
    const data = Float32Array.from({ length: 8 }, (_, i) => i);
    await writeSafetensors(
      path,
      new Map([["latents", { dtype: "F32", shape: [1, 2, 2, 2], data }]]),
    );
    const { values } = await readLatents(path, [2, 2, 2]);
    deepEqual([...values], [0, 4, 1, 5, 2, 6, 3, 7]);
  }));

Deno.test("latents of points are rows", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, "a.safetensors");
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    await writeSafetensors(path, new Map([["latents", { dtype: "F32", shape: [3, 2], data }]]));
    deepEqual(await readLatents(path, [2]), { images: 3, values: data });
  }));

Deno.test("files without latents for the model are refused, with what was expected", () =>
  withTempFolder(async (folder) => {
    const npz = join(folder, "a.npz");
    const array = (shape: number[]) =>
      ({ type: "f32", shape, data: new Float32Array(shape.reduce((a, b) => a * b)) }) as const;
    await writeNpz(npz, [["x", array([2, 5, 2, 3])]]);
    await assertFormatError(
      () => readLatents(npz, SHAPE),
      /a\.npz/,
      /\[N, 2, 3, 4\] or \[N, 4, 2, 3\]/,
      /found \[2, 5, 2, 3\]/,
    );
    await writeNpz(npz, [["x", array([2, 2, 3, 4])], ["y", array([1])]]);
    await assertFormatError(() => readLatents(npz, SHAPE), /holds x, y; .* name "latents"/);
    await writeNpz(npz, [["x", array([0, 2, 3, 4])]]);
    await assertFormatError(() => readLatents(npz, SHAPE), /found \[0, 2, 3, 4\]/);
    await assertFormatError(() => readLatents(join(folder, "b.npz"), SHAPE), /does not exist/);
    await assertFormatError(() => readLatents(join(folder, "a.pt"), SHAPE), /\.npz or a \.safet/);
  }));

Deno.test("the scale of latents is their root mean square", () => {
  equal(latentScale(Float32Array.of(3, -4, 0, 0)), 2.5);
});
