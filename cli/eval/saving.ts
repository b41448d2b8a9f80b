/**
 * `imm eval --save-samples`: the images that a model made for its evaluation, as an npz file.
 *
 * @module
 */

import { type ImageSource, toBytes } from "../../lib/eval/images.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import type { ByteSource } from "../../lib/formats/source.ts";
import { temporarySource } from "../../lib/formats/source.ts";
import { RECORD_NAME } from "../../lib/sample/output/sample_set.ts";
import type { Side } from "./inputs.ts";

/** Bytes that are copied at a time. */
const PIECE = 1 << 24;

/**
 * The same side, whose images are kept in a temporary file while they are read in order. They are
 * all made, also where their features are known already.
 */
export function savingSide(side: Side): Side & { save(path: string): Promise<void> } {
  const { identify: _, ...source } = side.images;
  const labels: Int32Array[] = [];
  let next = 0;
  // Pixels go through a stream, whose other end writes them down.
  const stream = new TransformStream<Uint8Array, Uint8Array>();
  const writer = stream.writable.getWriter();
  const stored: Promise<ByteSource> = temporarySource("samples", stream.readable);
  stored.catch(() => {}); // told when it is waited for
  const images: ImageSource = {
    ...source,
    async read(first, count) {
      const batch = await source.read(first, count);
      if (first === next) { // else looked up, not walked through
        next += count;
        await writer.write(Uint8Array.from(toBytes(batch.data)));
        if (batch.labels) labels.push(batch.labels);
        if (next === source.count) await writer.close();
      }
      return batch;
    },
  };
  return {
    ...side,
    images,
    async save(path) {
      const pixels = await stored;
      const classes = labels.flatMap((part) => [...part]);
      const names = source.classes?.names;
      await writeNpz(path, [
        ["arr_0", {
          type: "u8",
          shape: [source.count, ...side.shape],
          *data() {
            for (let at = 0; at < pixels.size; at += PIECE) {
              yield pixels.readSync(at, Math.min(PIECE, pixels.size - at));
            }
          },
        }],
        ...(classes.length === source.count
          ? [
            ["arr_1", {
              type: "i64",
              shape: [source.count],
              data: BigInt64Array.from(classes, BigInt),
            }] as const,
          ]
          : []),
      ], { notes: names ? { [RECORD_NAME]: JSON.stringify({ classNames: names }) } : {} });
    },
    async [Symbol.asyncDispose]() {
      await writer.abort().catch(() => {});
      await stored.then((file) => file.close(), () => {});
      await side[Symbol.asyncDispose]();
    },
  };
}
