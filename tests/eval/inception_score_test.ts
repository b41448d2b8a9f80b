import { deepStrictEqual, notDeepStrictEqual, throws } from "node:assert/strict";
import { inceptionScore } from "../../lib/eval/metrics/inception_score.ts";
import { assertClose } from "../support/close.ts";
import { goldenJson } from "../support/golden/fixtures.ts";
import { goldenArray } from "../support/golden/features.ts";

interface Expected {
  expected: {
    inception_score: { per_split: number[]; mean: number; std_ddof0: number; one_split: number };
  };
}
const golden = goldenJson<Expected>("stats").expected.inception_score;

Deno.test("inceptionScore gives the golden values", () => {
  const logits = goldenArray("is_logits");
  const ten = inceptionScore(logits, 20);
  assertClose(ten.values, golden.per_split, { rel: 1e-6 });
  assertClose([ten.mean, ten.std], [golden.mean, golden.std_ddof0], { rel: 1e-6 });
  assertClose([inceptionScore(logits, 20, { splits: 1 }).mean], [golden.one_split], { rel: 1e-6 });
});

Deno.test("inceptionScore takes log probabilities as logits", () => {
  const logProbabilities = goldenArray("is_probs").map(Math.log);
  assertClose([inceptionScore(logProbabilities, 20).mean], [golden.mean], { rel: 1e-6 });
});

Deno.test("inceptionScore of certain and balanced predictions is the number of classes", () => {
  const logits = new Float32Array(12 * 3).fill(-1e4);
  for (let i = 0; i < 12; i++) logits[i * 3 + i % 3] = 1e4;
  assertClose(inceptionScore(logits, 3, { splits: 2 }).values, [3, 3], { abs: 1e-12 });
});

Deno.test("inceptionScore shuffles when it is given a seed", () => {
  const logits = goldenArray("is_logits");
  const shuffled = inceptionScore(logits, 20, { shuffleSeed: 2020 });
  notDeepStrictEqual(shuffled.values, inceptionScore(logits, 20).values);
  deepStrictEqual(shuffled, inceptionScore(logits, 20, { shuffleSeed: 2020 }));
});

Deno.test("inceptionScore needs an image for each split", () => {
  throws(() => inceptionScore(new Float32Array(27), 3), /10 splits .* found 9/);
});
