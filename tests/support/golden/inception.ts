/** The Inception network with weights from the hash, and the images of the `inception` fixture. */

import { inceptionManifest, type InceptionWeights } from "../../../lib/eval/inception/network.ts";
import type { ImageBatch } from "../../../lib/eval/images.ts";
import { type GoldenTensor, goldenTensor } from "./fixtures.ts";
import { hash32, hashedValues } from "./hash.ts";

/** Weights as tests/golden/README.md says. */
export function hashedInception(salt = ""): InceptionWeights {
  return new Map(
    inceptionManifest().map(([name, shape]) => {
      const size = shape.reduce((product, n) => product * n, 1);
      const [scale, offset] = distribution(name, size / shape[0]);
      return [name, { shape, data: hashedValues(salt + name, size, scale, offset) }];
    }),
  );
}

function distribution(name: string, fanIn: number): [scale: number, offset: number] {
  if (/(conv|fc)\.weight$/.test(name)) return [Math.sqrt(3) * Math.sqrt(2 / fanIn), 0];
  if (/\.(bias|running_mean)$/.test(name)) return [0.1, 0];
  return [0.2, 1]; // bn.weight, running_var
}

/** One of the images of the fixture. */
export function goldenImage(
  golden: ReadonlyMap<string, GoldenTensor>,
  image: number,
): ImageBatch {
  const { shape: [height, width, channels], data } = goldenTensor(golden, `image${image}`);
  return { count: 1, height, width, channels, data: Uint8Array.from(data) };
}

/** RGB images of random bytes. */
export function hashedImages(name: string, count: number, height: number, width = height) {
  const data = Uint8Array.from(
    { length: count * height * width * 3 },
    (_, i) => hash32(name, i) % 256,
  );
  return { count, height, width, channels: 3, data } satisfies ImageBatch;
}
