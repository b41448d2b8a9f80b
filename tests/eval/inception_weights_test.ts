import { deepStrictEqual, notStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { UsageError } from "../../lib/base/errors.ts";
import {
  findInceptionWeights,
  INCEPTION_WEIGHTS,
  inceptionWeightsPath,
  readInceptionWeights,
  tensorsHash,
} from "../../lib/eval/inception/weights.ts";
import { findNames } from "../../lib/eval/inception/names.ts";
import { writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { hashedInception } from "../support/golden/inception.ts";
import { needing } from "../support/needs.ts";

/** The weights of the tests as safetensors, without some and under other names where asked. */
async function write(
  path: string,
  { without = () => false, rename = (name) => name, change }: {
    without?: (name: string) => boolean;
    rename?: (name: string) => string;
    change?: string;
  } = {},
): Promise<void> {
  const tensors = [...hashedInception()].filter(([name]) => !without(name));
  await writeSafetensors(
    path,
    tensors.map(([name, { shape, data }]) =>
      [rename(name), {
        dtype: "F32",
        shape,
        data: name === change ? data.map((x) => x + 1) : data,
      }] as const
    ),
  );
}

const allowOther = { allowOther: true };

Deno.test("weights are known by their tensors, whatever file they come in", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "weights.safetensors");
    await write(path);
    const { weights, sha256, isPublished } = await readInceptionWeights(path, allowOther);
    strictEqual(isPublished, false);
    strictEqual(sha256, tensorsHash(hashedInception()));
    strictEqual(weights.size, hashedInception().size);
    const unit = "Mixed_6b.branch7x7_2.conv.weight";
    strictEqual(weights.get(unit)!.data[17], hashedInception().get(unit)!.data[17]);

    // Without the classifier, under a wrapper's names: the same features.
    const bare = join(folder, "bare.safetensors");
    await write(bare, {
      without: (name) => name === "fc.weight",
      rename: (name) => `module.${name}`,
    });
    const same = await readInceptionWeights(bare, allowOther);
    strictEqual(same.sha256, sha256);
    strictEqual(same.weights.has("fc.weight"), false);
    await write(bare, { change: "Mixed_7c.branch_pool.bn.running_var" });
    notStrictEqual((await readInceptionWeights(bare, allowOther)).sha256, sha256);

    const lying = join(folder, "weights-6726825d.safetensors");
    await Deno.rename(path, lying);
    await assertFormatError(() => readInceptionWeights(lying), /is damaged.*begins with 6726825d/);
  });
});

Deno.test("other weights than the published ones are taken only when that is asked for", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "weights.safetensors");
    await write(path);
    await rejects(
      readInceptionWeights(path),
      (error) =>
        error instanceof UsageError &&
        /not the published weights of 2015-12-05.*--allow-other-weights/.test(error.message),
    );
  });
});

Deno.test("the names of other programs are found behind what stands before them", () => {
  const cases: [string, [own: string, found: string][]][] = [
    ["net.layers.conv.weight", [
      ["Conv2d_1a_3x3.bn.bias", "net.layers.conv.beta"],
      ["Conv2d_4a_3x3.conv.weight", "net.layers.conv_4.weight"],
      ["Mixed_5b.branch1x1.conv.weight", "net.layers.mixed.conv.weight"],
      ["Mixed_5b.branch5x5_1.conv.weight", "net.layers.mixed.tower.conv.weight"],
      ["Mixed_5d.branch3x3dbl_3.bn.running_var", "net.layers.mixed_2.tower_1.conv_2.var"],
      ["Mixed_5c.branch_pool.bn.running_mean", "net.layers.mixed_1.tower_2.conv.mean"],
      ["Mixed_6a.branch3x3.conv.weight", "net.layers.mixed_3.conv.weight"],
      ["Mixed_6a.branch3x3dbl_2.conv.weight", "net.layers.mixed_3.tower.conv_1.weight"],
      ["Mixed_6e.branch7x7_3.conv.weight", "net.layers.mixed_7.tower.conv_2.weight"],
      ["Mixed_6b.branch7x7dbl_5.conv.weight", "net.layers.mixed_4.tower_1.conv_4.weight"],
      ["Mixed_7a.branch3x3_2.conv.weight", "net.layers.mixed_8.tower.conv_1.weight"],
      ["Mixed_7a.branch7x7x3_1.conv.weight", "net.layers.mixed_8.tower_1.conv.weight"],
      // These are joined by underscores.
      ["Mixed_7b.branch3x3_1.conv.weight", "net.layers.mixed_9.tower_conv.weight"],
      ["Mixed_7b.branch3x3_2a.conv.weight", "net.layers.mixed_9.tower_mixed_conv.weight"],
      ["Mixed_7c.branch3x3_2b.bn.bias", "net.layers.mixed_10.tower_mixed_conv_1.beta"],
      ["Mixed_7c.branch3x3dbl_2.conv.weight", "net.layers.mixed_10.tower_1_conv_1.weight"],
      ["Mixed_7c.branch3x3dbl_3b.bn.bias", "net.layers.mixed_10.tower_1_mixed_conv_1.beta"],
      ["Mixed_7c.branch_pool.conv.weight", "net.layers.mixed_10.tower_2_conv.weight"],
      ["fc.weight", "net.layers.output.weight"],
    ]],
    ["blocks.0.0.conv.weight", [
      ["Conv2d_4a_3x3.bn.weight", "blocks.1.1.bn.weight"],
      ["Mixed_5b.branch1x1.conv.weight", "blocks.2.0.branch1x1.conv.weight"],
      ["Mixed_6e.branch7x7_3.conv.weight", "blocks.2.7.branch7x7_3.conv.weight"],
      ["Mixed_7c.branch_pool.conv.weight", "blocks.3.2.branch_pool.conv.weight"],
    ]],
    ["model.Conv2d_1a_3x3.conv.weight", [["fc.weight", "model.fc.weight"]]],
  ];
  for (const [first, names] of cases) {
    const find = findNames(new Map([first, ...names.map(([, found]) => found)].map((n) => [n, 0])));
    for (const [own, found] of names) strictEqual(find(own), found);
  }
});

Deno.test("all names of StyleGAN's file are different, and its missing factors are ones", async () => {
  const find = findNames(new Map([["layers.conv.weight", 0]]));
  const names = [...hashedInception().keys()].map(find);
  strictEqual(new Set(names).size, names.length);
  await withTempFolder(async (folder) => {
    const path = join(folder, "stylegan.safetensors");
    await write(path, { without: (name) => name.endsWith(".bn.weight"), rename: find });
    const { weights } = await readInceptionWeights(path, allowOther);
    strictEqual(weights.size, hashedInception().size);
    deepStrictEqual([...new Set(weights.get("Mixed_6a.branch3x3.bn.weight")!.data)], [1]);
  });
});

const PUBLISHED = Deno.env.get("IMM_TEST_INCEPTION");

Deno.test(needing("published Inception weights", PUBLISHED !== undefined, {
  name: "the published weights are themselves in StyleGAN's TorchScript form",
  async fn() {
    const { isPublished, sha256 } = await readInceptionWeights(PUBLISHED!);
    strictEqual(isPublished, true);
    strictEqual(sha256, INCEPTION_WEIGHTS.sha256);
  },
}));

Deno.test("weights of something else are refused", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "part.safetensors");
    await write(path, { without: (name) => name === "Mixed_7a.branch3x3_1.conv.weight" });
    await assertFormatError(() => readInceptionWeights(path), /Mixed_7a\.branch3x3_1.*found none/);
    const text = join(folder, "weights.pth");
    await Deno.writeTextFile(text, "not weights");
    await assertFormatError(() => readInceptionWeights(text), /weights\.pth/);
  });
});

Deno.test("weights are downloaded into the cache, and from then on found there", async () => {
  const content = new TextEncoder().encode("weights");
  let requests = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    requests++;
    return new Response(content);
  });
  try {
    await withTempFolder(async (folder) => {
      const file = {
        urls: [`http://127.0.0.1:${server.addr.port}/`],
        bytes: content.length,
        sha256: "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c",
      };
      for (let i = 0; i < 2; i++) {
        const path = await findInceptionWeights({ folder, file });
        strictEqual(path, inceptionWeightsPath(folder));
        strictEqual(await Deno.readTextFile(path), "weights");
      }
      strictEqual(requests, 1);
    });
  } finally {
    await server.shutdown();
  }
});

Deno.test({
  name: "without permission for the network the error says where the weights belong",
  permissions: { read: true, write: true, env: true, net: false },
  async fn() {
    await withTempFolder((folder) =>
      rejects(
        findInceptionWeights({ folder }),
        (error) =>
          error instanceof UsageError && error.message.includes(inceptionWeightsPath(folder)) &&
          error.message.includes(INCEPTION_WEIGHTS.urls[0]),
      )
    );
  },
});
