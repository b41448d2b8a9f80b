import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert/strict";
import type { DeviceName } from "../../lib/device/open.ts";
import { FormatError, UsageError } from "../../lib/base/errors.ts";
import { INCEPTION_LAYER_SIZES, inceptionManifest } from "../../lib/eval/inception/network.ts";
import {
  INCEPTION_BACKENDS,
  type InceptionBackend,
  openInception,
} from "../../lib/eval/extractors/inception.ts";
import { inceptionOnnx } from "../../lib/eval/inception/onnx.ts";
import { PIPELINES } from "../../lib/eval/inception/pipelines.ts";
import { Resampler } from "../../lib/eval/inception/resample.ts";
import { assertClose } from "../support/close.ts";
import {
  bothFiles,
  goldenEntry,
  goldenJson,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "../support/golden/fixtures.ts";
import { goldenImage, hashedImages, hashedInception } from "../support/golden/inception.ts";
import { hasGraphicsProcessor } from "../support/devices/devices.ts";
import { needing } from "../support/needs.ts";

const loaded = { weights: hashedInception(), sha256: "hash", isPublished: false };

interface Fixture {
  readonly salt: string;
  readonly manifest: readonly [string, readonly number[]][];
  readonly images: readonly { readonly image: number }[];
}

withGolden(bothFiles("inception"), () => {
  const { salt, manifest, images } = goldenJson<Fixture>("inception");
  const golden = goldenTensors("inception");

  Deno.test("the network needs the tensors of pytorch-fid's state dict", () => {
    const known = new Map(manifest);
    const own = inceptionManifest();
    for (const [name, shape] of own) deepStrictEqual(known.get(name), shape, name);
    strictEqual(own.length, manifest.length - 1, "all but fc.bias");
  });

  for (const key of golden.keys()) {
    const [, image, step] = /^resized(\d+)\.grid(\d+)$/.exec(key) ?? [];
    if (step === undefined) continue;
    Deno.test(`image ${image} reaches the network as pytorch-fid's does`, () => {
      const original = goldenImage(golden, Number(image));
      const resized = new Float32Array(299 * 299 * 3);
      new Resampler(PIPELINES["pytorch-fid"]).resample(original, 0, 1, resized);
      const { shape, data: expected } = goldenTensor(golden, key);
      const [, height, width] = shape;
      const grid = Float32Array.from(expected, (_, at) => {
        const [c, rest] = [Math.floor(at / (height * width)), at % (height * width)];
        const [y, x] = [Math.floor(rest / width), rest % width].map((i) => i * Number(step));
        return resized[(y * 299 + x) * 3 + c];
      });
      // Coordinates of larger images have fewer digits: for one of 300 pixels PyTorch 2.15 itself
      // differs by 2.9e-6 from the PyTorch 1.13 of the fixture.
      const abs = 2e-6 * Math.max(1, original.height / 150, original.width / 150);
      assertClose(grid, expected, { abs }, key);
    });
  }

  // Minutes on a processor that acts as a GPU; IMM_TEST_FULL=1 runs it there.
  for (
    const { backend, device } of [
      ...INCEPTION_BACKENDS.map((backend) => ({ backend, device: "wasm" as const })),
      { backend: "imm" as const, device: "webgpu" as const },
    ]
  ) {
    Deno.test(needing("graphics processor", device !== "webgpu" || hasGraphicsProcessor, {
      name: `all outputs of the network agree with pytorch-fid (${backend}, ${device})`,
      fn: () => agreesWithPytorchFid(backend, device),
    }));
  }

  async function agreesWithPytorchFid(
    backend: InceptionBackend,
    device: DeviceName,
  ): Promise<void> {
    const weights = salt === "" ? loaded.weights : hashedInception(salt);
    await using extractor = await openInception({ ...loaded, weights }, {
      pipeline: "pytorch-fid",
      backend,
      device,
      batch: 1,
    });
    const names = Object.keys(INCEPTION_LAYER_SIZES);
    for (const [i, { image }] of images.entries()) {
      const { features, logits, layers } = await extractor.extract(
        goldenImage(golden, image),
        names,
      );
      const pairs = [
        ["features.block0", layers!["64"]],
        ["features.block1", layers!["192"]],
        ["features.block2", layers!["768"]],
        ["features.block3", features],
        ["logits_unbiased", logits!],
      ] as const;
      for (const [name, found] of pairs) {
        const expected = goldenEntry(goldenTensor(golden, name), i).data;
        assertClose(found, expected, { rel: 5e-5 }, `${name} of image ${image}`);
      }
      strictEqual(layers!.spatial.length, 17 * 17 * 7);
    }
  }
});

Deno.test("features do not depend on batches, their order or threads: bit for bit", async () => {
  const images = hashedImages("batches", 5, 20, 16);
  const part = (first: number, count: number) => ({
    ...images,
    count,
    data: images.data.subarray(first * 960, (first + count) * 960),
  });
  for (const backend of INCEPTION_BACKENDS) {
    await using one = await openInception(loaded, {
      backend,
      device: "wasm",
      batch: 1,
      threads: 1,
    });
    await using two = await openInception(loaded, {
      backend,
      device: "wasm",
      batch: 2,
      threads: 2,
    });
    const { features } = await two.extract(images);
    for (const i of [4, 2, 0]) {
      const own = features.slice(i * 2048, (i + 1) * 2048);
      deepStrictEqual((await one.extract(part(i, 1))).features, own, `${backend}, image ${i}`);
    }
    strictEqual(one.hash, two.hash);
    if (!two.extractMixed) continue;
    const sizes = [[20, 16], [7, 33], [20, 16]].map(([height, width], i) =>
      hashedImages(`mixed ${i}`, 1, height, width)
    );
    // Some of them as they are, some brought to the network's size beforehand.
    const mixed = await two.extractMixed(
      sizes.map((image, i) => i === 1 ? two.prepare!(image) : image),
    );
    for (const [i, image] of sizes.entries()) {
      const own = mixed.features.slice(i * 2048, (i + 1) * 2048);
      deepStrictEqual((await one.extract(image)).features, own, `size ${i}`);
    }
  }
});

Deno.test("pipelines and weights are told apart", async () => {
  const hashes = new Set<string>();
  for (const sha256 of ["a", "b"]) {
    for (const pipeline of ["fid", "clean-fid"] as const) {
      const options = { pipeline, device: "wasm", batch: 1, threads: 1 } as const;
      await using extractor = await openInception({ ...loaded, sha256 }, options);
      strictEqual(extractor.details!.pipeline, pipeline);
      hashes.add(extractor.hash);
      await rejects(
        extractor.extract(hashedImages("pipelines", 1, 32), ["2048"]),
        (error) =>
          error instanceof UsageError && /has no output "2048"; it has 64/.test(`${error}`),
      );
    }
  }
  strictEqual(hashes.size, 4);
});

Deno.test("weights of another network are refused", () => {
  const weights = new Map(loaded.weights);
  weights.set("fc.weight", { shape: [1000, 2048], data: new Float32Array(0) });
  throws(
    () => inceptionOnnx(weights, "fid", "torchvision.pth"),
    (error) =>
      error instanceof FormatError &&
      /torchvision\.pth .*expected fc\.weight \[1008, 2048\], found \[1000, 2048\]/.test(
        `${error}`,
      ),
  );
});
