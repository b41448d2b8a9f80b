import { rejects, strictEqual } from "node:assert/strict";
import { join } from "jsr:@std/path@^1";
import { fileSha256 } from "../../lib/download.ts";
import { UsageError } from "../../lib/errors.ts";
import {
  findInceptionWeights,
  INCEPTION_WEIGHTS,
  inceptionWeightsPath,
  readInceptionWeights,
} from "../../lib/eval/inception_weights.ts";
import { writeSafetensors } from "../../lib/format/safetensors.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { hashedInception } from "../support/inception.ts";

/** The file of the tests as safetensors, without the network's classifier where that is asked. */
async function write(path: string, options: { without?: string } = {}): Promise<void> {
  const tensors = [...hashedInception()].filter(([name]) => name !== options.without);
  await writeSafetensors(
    path,
    tensors.map(([name, { shape, data }]) => [name, { dtype: "F32", shape, data }] as const),
  );
}

Deno.test("weights are read with the hash of their file", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "weights.safetensors");
    await write(path);
    const { weights, sha256 } = await readInceptionWeights(path);
    strictEqual(sha256, await fileSha256(path));
    strictEqual(weights.size, hashedInception().size);
    const unit = "Mixed_6b.branch7x7_2.conv.weight";
    strictEqual(weights.get(unit)!.data[17], hashedInception().get(unit)!.data[17]);

    const lying = join(folder, "weights-6726825d.safetensors");
    await Deno.rename(path, lying);
    await assertFormatError(() => readInceptionWeights(lying), /is damaged.*begins with 6726825d/);
  });
});

Deno.test("weights of something else are refused", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "part.safetensors");
    await write(path, { without: "fc.weight" });
    await assertFormatError(() => readInceptionWeights(path), /expected fc\.weight.*found none/);
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
