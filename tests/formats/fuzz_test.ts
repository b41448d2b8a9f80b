/**
 * Whole files that people are given by strangers: models, data sets, statistics, extractors.
 * Damaged in a few hundred ways, they are read or refused with a sentence that names them. The
 * tests of the formats beneath (zip, png, jpeg, npy, IDX, safetensors, pickles) have their own.
 */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { isLatents } from "../../lib/data/latents/dataset.ts";
import { openDataset, openImagesOrLatents } from "../../lib/data/open.ts";
import { readReference } from "../../lib/eval/references/files.ts";
import { OnnxGraph, readOnnxMetadata } from "../../lib/formats/onnx/model.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { readTar } from "../../lib/formats/archive/tar.ts";
import { ZipWriter } from "../../lib/formats/archive/zip_writer.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { immConfig } from "../../lib/imm/config.ts";
import { loadModel, saveModel } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { withTempFolder } from "../support/files.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import { withoutChecksums } from "../support/formats/safetensors.ts";
import { edm2Files, LABELS, LATENTS, MEANS, writeZip } from "../support/examples/latents.ts";

/** Fuzzes the reading of a file on disk, whose name errors must tell. */
async function fuzzFile(
  path: string,
  count: number,
  read: (path: string) => Promise<unknown>,
): Promise<void> {
  await read(path); // undamaged
  const name = path.split(/[\\/]/).at(-1)!;
  const damaged = join(path, "..", `damaged-${name}`);
  const bytes = await Deno.readFile(path);
  const whole = name.endsWith(".safetensors") ? withoutChecksums(bytes) : bytes;
  const { refused } = await fuzz(whole, name, count, async (bytes) => {
    await Deno.writeFile(damaged, bytes);
    await read(damaged);
  });
  assert.ok(refused > count / 10, `only ${refused} of ${count} damaged copies were refused`);
}

const pixels = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37) % 256);
const png = (seed: number) =>
  encodePng({ width: 4, height: 4, channels: 3, data: pixels(48).map((value) => value ^ seed) });

Deno.test("no mutation of a model file brings out anything but a FormatError", () =>
  withTempFolder(async (folder) => {
    const network = createNetwork({ type: "mlp", hidden: 4, depth: 1, timeChannels: 4 });
    const path = join(folder, "model.safetensors");
    const weights = network.parameters.initial(0);
    await saveModel(path, { network: network.config, imm: immConfig(), weights, notes: {} });
    await fuzzFile(path, 300, loadModel);
  }));

Deno.test("no mutation of a data set brings out anything but a FormatError", () =>
  withTempFolder(async (folder) => {
    const zip = join(folder, "photos.zip");
    await writeFileAtomic(zip, async (write) => {
      const writer = new ZipWriter(write);
      for (const name of ["0.png", "1.png"]) {
        const bytes = png(name.charCodeAt(0));
        await writer.add(name, [bytes], { size: bytes.length });
      }
      const labels = new TextEncoder().encode('{"labels": [["0.png", 0], ["1.png", 1]]}');
      await writer.add("dataset.json", [labels], { size: labels.length });
      await writer.finish();
    });
    const npz = join(folder, "images.npz");
    await writeNpz(npz, [
      ["arr_0", { type: "u8", shape: [2, 4, 4, 3], data: pixels(96) }],
      ["arr_1", { type: "i64", shape: [2], data: BigInt64Array.of(0n, 1n) }],
    ]);
    for (const path of [zip, npz]) {
      await fuzzFile(path, 150, async (damaged) => {
        const dataset = await openDataset(damaged);
        try {
          for (let i = 0; i < dataset.length; i++) dataset.image(i);
        } finally {
          dataset.close();
        }
      });
    }
  }));

Deno.test("no mutation of latents brings out anything but a FormatError", () =>
  withTempFolder(async (folder) => {
    const [zip, npz, tensors] = ["a.zip", "a.npz", "a.safetensors"].map((name) =>
      join(folder, name)
    );
    const shape = [LATENTS.count, LATENTS.channels, LATENTS.side, LATENTS.side];
    const labels = { type: "i64", shape: [6], data: BigInt64Array.from(LABELS, BigInt) } as const;
    await writeZip(zip, await edm2Files());
    await writeNpz(npz, [["latents", { type: "f32", shape, data: MEANS }], ["labels", labels]]);
    await writeSafetensors(tensors, [
      ["latents", { dtype: "F32", shape, data: MEANS }],
      ["labels", { dtype: "I64", shape: [6], data: labels.data }],
    ]);
    for (const path of [zip, npz, tensors]) {
      await fuzzFile(path, 150, async (damaged) => {
        using dataset = await openImagesOrLatents(damaged);
        const read = isLatents(dataset)
          ? (i: number) => dataset.stored(i)
          : (i: number) => dataset.image(i);
        for (let i = 0; i < dataset.length; i++) read(i);
      });
    }
  }));

Deno.test("no mutation of reference statistics brings out anything but a FormatError", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, "stats.npz");
    await writeNpz(path, [
      ["mu", { type: "f64", shape: [3], data: Float64Array.of(1, 2, 3) }],
      ["sigma", { type: "f64", shape: [3, 3], data: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) }],
    ]);
    await fuzzFile(path, 200, readReference);
  }));

Deno.test("no mutation of an ONNX file brings out anything but a FormatError", async () => {
  const graph = new OnnxGraph("test");
  const x = graph.input("x", "float32", [1, 4]);
  graph.output(graph.node("Relu", [x]), "y", "float32", [1, 4]);
  graph.metadata.set("imm.extractor", '{"version": 1}');
  await fuzz(graph.toBytes(), "net.onnx", 500, (bytes) => readOnnxMetadata(bytes, "net.onnx"));
});

Deno.test("no mutation of a tar archive brings out anything but a FormatError", async () => {
  const archive = tar([["a/0.bin", pixels(700)], ["a/1.bin", pixels(3)]]);
  assert.deepEqual([...readTar(archive, "a.tar").keys()], ["a/0.bin", "a/1.bin"]);
  await fuzz(archive, "a.tar", 300, (bytes) => readTar(bytes, "a.tar"));
  // Most damage only spoils the checksum: with it put right, more of the reader is reached.
  await fuzz(archive, "a.tar", 300, (bytes) => readTar(withChecksums(bytes), "a.tar"));
});

const BLOCK = 512;

/** A ustar archive. */
function tar(files: readonly (readonly [name: string, content: Uint8Array])[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const [name, content] of files) {
    const header = new Uint8Array(BLOCK);
    const put = (at: number, text: string) => header.set(new TextEncoder().encode(text), at);
    put(0, name);
    put(124, content.length.toString(8).padStart(11, "0"));
    put(156, "0");
    put(257, "ustar");
    const padded = new Uint8Array(BLOCK * Math.ceil(content.length / BLOCK));
    padded.set(content);
    blocks.push(header, padded);
  }
  blocks.push(new Uint8Array(2 * BLOCK));
  return withChecksums(Uint8Array.from(blocks.flatMap((block) => [...block])));
}

/** A copy in which every block that could be a header has the right checksum. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  for (let at = 0; at + BLOCK <= copy.length; at += BLOCK) {
    const header = copy.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) continue;
    header.fill(32, 148, 156);
    const sum = header.reduce((sum, byte) => sum + byte, 0);
    header.set(new TextEncoder().encode(sum.toString(8).padStart(6, "0")), 148);
    header[154] = 0;
  }
  return copy;
}
