/** Latents as the programs of others write them, made up. */

import { join } from "node:path";
import { writeFileAtomic } from "../../../lib/formats/atomic.ts";
import { npyByteLength, npyChunks } from "../../../lib/formats/arrays/npy.ts";
import { ZipWriter } from "../../../lib/formats/archive/zip_writer.ts";

/** Sizes of {@link MEANS}, as PyTorch orders them. */
export const LATENTS = { count: 6, channels: 4, side: 4 } as const;

const PLANE = LATENTS.side ** 2;
const SIZE = LATENTS.channels * PLANE;

/** Six latents, [6, 4, 4, 4], with about the statistics of ImageNet's; exact in float16. */
export const MEANS: Float32Array<ArrayBuffer> = Float32Array.from(
  { length: LATENTS.count * SIZE },
  (_, i) => (i * 37 % 64 - 32) / 4,
);

/** Standard deviations of their posteriors; powers of two, so that logarithms come back. */
export const WIDTHS: Float32Array<ArrayBuffer> = MEANS.map((_, i) => 2 ** (i % 5 - 3));

/** Their classes. */
export const LABELS = [2, 0, 1, 2, 1, 0];

/** Means with something behind the channels of each: [6, 8, 4, 4]. */
export function withSecond(second: Float32Array): Float32Array<ArrayBuffer> {
  const result = new Float32Array(2 * MEANS.length);
  for (let n = 0; n < LATENTS.count; n++) {
    result.set(MEANS.subarray(n * SIZE, (n + 1) * SIZE), 2 * n * SIZE);
    result.set(second.subarray(n * SIZE, (n + 1) * SIZE), (2 * n + 1) * SIZE);
  }
  return result;
}

/** [N, C, H, W] to [N, H, W, C]. */
export function channelsToEnd(values: Float32Array, channels: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const [n, c, p] = [
      Math.floor(i / (channels * PLANE)),
      Math.floor(i / PLANE) % channels,
      i % PLANE,
    ];
    result[(n * PLANE + p) * channels + c] = values[i];
  }
  return result;
}

/** The bytes of an npy file. */
export async function npy(shape: readonly number[], data: Float32Array): Promise<Uint8Array> {
  const array = { type: "f32", shape, data } as const;
  const bytes = new Uint8Array(npyByteLength(array));
  let at = 0;
  for await (const chunk of npyChunks(array)) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** The files that EDM2's `dataset_tool.py encode` writes of the latents. */
export async function edm2Files(): Promise<Map<string, Uint8Array>> {
  const { channels, side } = LATENTS;
  const moments = withSecond(WIDTHS);
  const files = new Map<string, Uint8Array>();
  const labels: [string, number][] = [];
  for (const [n, label] of LABELS.entries()) {
    const path = `00000/img-mean-std-0000000${n}.npy`;
    const one = moments.subarray(2 * n * SIZE, 2 * (n + 1) * SIZE);
    files.set(path, await npy([2 * channels, side, side], one));
    labels.push([path, label]);
  }
  files.set("dataset.json", new TextEncoder().encode(JSON.stringify({ labels })));
  return files;
}

/** Writes files into a folder. */
export async function writeFolder(
  folder: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  for (const [path, bytes] of files) {
    await Deno.mkdir(join(folder, path, ".."), { recursive: true });
    await Deno.writeFile(join(folder, path), bytes);
  }
}

/** Writes files into a zip archive. */
export async function writeZip(
  path: string,
  files: ReadonlyMap<string, Uint8Array>,
  compress = false,
): Promise<void> {
  await writeFileAtomic(path, async (write) => {
    const zip = new ZipWriter(write);
    for (const [name, bytes] of files) {
      await zip.add(name, [bytes], { size: bytes.length, compress });
    }
    await zip.finish();
  });
}
