import { deepStrictEqual, notDeepStrictEqual, throws } from "node:assert/strict";
import { inceptionScore } from "../../lib/eval/metrics/inception_score.ts";
import { assertClose } from "../support/close.ts";
import { pseudoRandom } from "../support/examples/features.ts";
import { withStatistics } from "../support/golden/statistics.ts";

interface Expected {
  readonly inception_score: {
    readonly splits: number;
    readonly per_split: readonly number[];
    readonly mean: number;
    readonly std_ddof0: number;
    readonly one_split: number;
  };
}

withStatistics<Expected>((golden) => {
  const expected = golden.expected.inception_score;
  const { splits } = expected;
  const { data, dimension: classes } = golden.features("is_logits");

  Deno.test("inceptionScore gives the golden values", () => {
    const found = inceptionScore(data, classes, { splits });
    assertClose(found.values, expected.per_split, { rel: 1e-6 });
    assertClose([found.mean, found.std], [expected.mean, expected.std_ddof0], { rel: 1e-6 });
    const whole = inceptionScore(data, classes, { splits: 1 });
    assertClose([whole.mean], [expected.one_split], { rel: 1e-6 });
  });

  Deno.test("inceptionScore takes log probabilities as logits", () => {
    const logProbabilities = golden.array("is_probs").map(Math.log);
    const { mean } = inceptionScore(logProbabilities, classes, { splits });
    assertClose([mean], [expected.mean], { rel: 1e-6 });
  });
});

Deno.test("inceptionScore of certain and balanced predictions is the number of classes", () => {
  const logits = new Float32Array(12 * 3).fill(-1e4);
  for (let i = 0; i < 12; i++) logits[i * 3 + i % 3] = 1e4;
  assertClose(inceptionScore(logits, 3, { splits: 2 }).values, [3, 3], { abs: 1e-12 });
});

Deno.test("inceptionScore shuffles when it is given a seed", () => {
  const { data: logits } = pseudoRandom(600, 20);
  const shuffled = inceptionScore(logits, 20, { shuffleSeed: 2020 });
  notDeepStrictEqual(shuffled.values, inceptionScore(logits, 20).values);
  deepStrictEqual(shuffled, inceptionScore(logits, 20, { shuffleSeed: 2020 }));
});

Deno.test("inceptionScore needs an image for each split", () => {
  throws(() => inceptionScore(new Float32Array(27), 3), /10 splits .* found 9/);
});
