/** What sampling from the networks of the public release takes. */

import assert from "node:assert/strict";
import { publicModel } from "../../lib/models/public_models.ts";
import { describeSampling } from "../../lib/sample/planner.ts";

Deno.test("DiT-XL/2 in batches of 64 fits a graphics processor of 16 GB", () => {
  const { network } = publicModel("imagenet256_ts_a2");
  const plan = describeSampling(network, 64);
  assert.equal(plan.parameters, 676_735_504);
  assert(plan.weightBytes >= 4 * plan.parameters && plan.weightBytes < 4.01 * plan.parameters);
  assert.equal(plan.deviceBytes, plan.weightBytes + plan.scratchBytes);
  assert(plan.deviceBytes < 4 * 2 ** 30, `${plan.deviceBytes} bytes`);
  // What kernels may bind as a whole stays below 2 GiB, as the strictest drivers demand.
  assert(plan.largestScratchBytes < 2 ** 31);
  // The paper's 118.64 GFLOPs count a product and a sum as one.
  assert(Math.abs(plan.flopsPerImage / 2e9 - 118.64) < 0.1);
});

Deno.test("the memory of a batch grows with it, that of the weights does not", () => {
  const { network } = publicModel("cifar10");
  const [one, eight] = [1, 8].map((batch) => describeSampling(network, batch));
  assert.equal(one.weightBytes, eight.weightBytes);
  assert(eight.scratchBytes > 7 * one.scratchBytes && eight.scratchBytes < 9 * one.scratchBytes);
  assert(Math.abs(one.flopsPerImage / eight.flopsPerImage - 1) < 0.01);
});
