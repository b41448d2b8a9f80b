/** Latents made of pictures, by a network in an ONNX file. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { LatentEncoder } from "../../lib/data/latents/encoder.ts";
import { isLatents } from "../../lib/data/latents/dataset.ts";
import { openImagesOrLatents } from "../../lib/data/open.ts";
import { OnnxGraph } from "../../lib/formats/onnx/model.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { imm } from "../support/examples/runs.ts";

/**
 * An encoder by a factor of two: channel c of the mean is the mean of four pixels of colour c, and
 * the second half is half of it, where there is one.
 */
function model(second: "no" | "half", outputs = 1): Uint8Array<ArrayBuffer> {
  const graph = new OnnxGraph("encoder");
  const pixels = graph.input("sample", "float32", ["N", 3, "H", "W"]);
  const mean = graph.node("AveragePool", [pixels], { kernel_shape: [2, 2], strides: [2, 2] });
  const half = () => graph.node("Mul", [mean, graph.constant(Float32Array.of(0.5), [1])]);
  const output = second === "no" ? mean : graph.node("Concat", [mean, half()], { axis: 1 });
  for (let i = 0; i < outputs; i++) graph.output(output, `latent${i}`, "float32");
  return graph.toBytes();
}

/** Two pictures of 4 x 4 in two folders. */
async function pictures(folder: string): Promise<Uint8Array[]> {
  const all = [0, 1].map((n) => Uint8Array.from({ length: 48 }, (_, i) => (i * 5 + n * 91) % 256));
  for (const [n, data] of all.entries()) {
    await Deno.mkdir(join(folder, `${n}`), { recursive: true });
    const png = encodePng({ width: 4, height: 4, channels: 3, data });
    await Deno.writeFile(join(folder, `${n}/a.png`), png);
  }
  return all;
}

/** What {@link model} makes of a picture, [2, 2, 3]. */
function means(data: Uint8Array): number[] {
  return Array.from({ length: 12 }, (_, i) => {
    const [y, x, c] = [Math.floor(i / 6), Math.floor(i / 3) % 2, i % 3];
    const at = (dy: number, dx: number) => data[((2 * y + dy) * 4 + 2 * x + dx) * 3 + c];
    return (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4 / 127.5 - 1;
  });
}

Deno.test("imm dataset prepare --encoder writes what EDM2's tool would, whatever the workers", async () => {
  await withTempFolder(async (folder) => {
    const source = join(folder, "photos");
    const all = await pictures(source);
    const files = new Map(
      [["latents", "no"], ["mean-std", "half"], ["mean-logvar", "half"]] as const,
    );
    for (const [output, second] of files) {
      const network = join(folder, `${output}.onnx`);
      await Deno.writeFile(network, model(second));
      const archives: Uint8Array[] = [];
      for (const workers of [1, 2]) {
        const out = join(folder, `${output}${workers}.zip`);
        const { code, stdout, stderr } = await imm(
          ...["dataset", "prepare", source, "--out", out, "--workers", `${workers}`],
          ...["--encoder", network, "--encoded", output],
        );
        assert.equal(code, 0, stderr);
        const channels = output === "latents" ? 3 : 6;
        assert.match(stdout, new RegExp(`^2 latents of 2 x 2 x ${channels} in 2 classes: `));
        archives.push(await Deno.readFile(out));
        using dataset = await openImagesOrLatents(out);
        assert(isLatents(dataset));
        assert.equal(dataset.moments, output === "latents" ? null : "mean-std");
        assert.deepEqual([0, 1].map((n) => dataset.label(n)), [0, 1]);
        for (const [n, data] of all.entries()) {
          const stored = dataset.stored(n);
          means(data).forEach((mean, i) => {
            const [pixel, c] = [Math.floor(i / 3), i % 3];
            assert(Math.abs(stored[pixel * channels + c] - mean) < 1e-6);
            if (channels === 3) return;
            const std = output === "mean-std" ? mean / 2 : Math.exp(mean / 4);
            assert(Math.abs(stored[pixel * channels + 3 + c] - std) < 1e-6);
          });
        }
      }
      assert.deepEqual(archives[0], archives[1]);
    }
  });
});

Deno.test("what is no encoder is refused in a sentence", async () => {
  await withTempFolder(async (folder) => {
    const network = join(folder, "net.onnx");
    await Deno.writeFile(network, model("no", 2));
    await assertFormatError(
      () => LatentEncoder.load(network, "latents"),
      /net\.onnx is no encoder: expected one input and one output, found sample and latent0, lat/,
    );
    await Deno.writeFile(network, model("no"));
    {
      await using encoder = await LatentEncoder.load(network, "mean-std");
      await assertFormatError(
        () => encoder.encode({ width: 4, height: 4, channels: 3, data: new Uint8Array(48) }),
        /no encoder to mean-std: expected float32 of \[1, 2C, H, W\], found float32 of \[1, 3, 2, 2\]/,
      );
    }
    await Deno.writeTextFile(network, "oops");
    await assertFormatError(
      () => LatentEncoder.load(network, "latents"),
      /net\.onnx cannot be run/,
    );
    const out = join(folder, "out.zip");
    for (
      const more of [["--encoder", network], ["--encoded", "latents"]]
    ) {
      const { code, stderr } = await imm("dataset", "prepare", "digits", "--out", out, ...more);
      assert.deepEqual([code, /belong together/.test(stderr)], [2, true], stderr);
    }
  });
});
