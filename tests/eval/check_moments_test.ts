import { doesNotThrow, match, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { FormatError } from "../../lib/base/errors.ts";
import { checkMoments } from "../../lib/eval/statistics/check_moments.ts";
import { frechetDistance } from "../../lib/eval/metrics/frechet.ts";
import { readReference, writePartial } from "../../lib/eval/references/files.ts";
import { FeatureStatistics, type Moments } from "../../lib/eval/statistics/statistics.ts";
import {
  parseSafetensors,
  serializeSafetensors,
} from "../../lib/formats/safetensors/safetensors.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { pseudoRandom } from "../support/examples/features.ts";
import { withTempFolder } from "../support/files.ts";

function momentsOf(rows: number, dimension: number): Moments {
  const statistics = new FeatureStatistics(dimension);
  statistics.add(pseudoRandom(rows, dimension).data);
  return statistics.moments();
}

/** The same with another covariance. */
function changed(moments: Moments, change: (covariance: Float64Array) => void): Moments {
  const covariance = moments.covariance.slice();
  change(covariance);
  return { ...moments, covariance };
}

Deno.test("checkMoments takes what sets of images have, singular and rounded to float32 as well", () => {
  for (const [rows, d] of [[200, 16], [10, 64], [100, 130], [2, 5], [9, 1]]) {
    const moments = momentsOf(rows, d);
    const rounded = Float64Array.from(Float32Array.from(moments.covariance));
    doesNotThrow(() => checkMoments(moments, "a.npz"), `${rows} of ${d}`);
    doesNotThrow(() => checkMoments({ ...moments, covariance: rounded }, "a.npz"), `${rows}, ${d}`);
  }
  const zeros = { dimension: 3, mean: new Float64Array(3), covariance: new Float64Array(9) };
  doesNotThrow(() => checkMoments(zeros, "images that are all the same"));
});

Deno.test("checkMoments refuses what no set of images has, with the figure", () => {
  const moments = momentsOf(200, 16);
  const cases: [Moments, RegExp][] = [
    [
      changed(moments, (c) => c.forEach((x, i) => c[i] = -x)),
      /sigma\[0, 0\] is -0\.\d+, but a var/,
    ],
    [
      changed(moments, (c) => c[3 * 16 + 7] += 0.1),
      /sigma\[7, 3\] is .* sigma\[3, 7\] .* symmetric/,
    ],
    // The signs of one row and column but for the diagonal: symmetric, and impossible by a little.
    [
      changed(moments, (c) => {
        c[1] = c[16] = 1.2 * Math.sqrt(c[0] * c[17]);
      }),
      /sigma has the eigenvalue -0\.0\d+ \(its trace is 5\.\d+\)/,
    ],
    [changed(moments, (c) => c[18] = NaN), /sigma\[1, 2\] is NaN/],
    [{ ...moments, mean: moments.mean.map((x, i) => i === 5 ? Infinity : x) }, /mu\[5\] is Infin/],
    [changed(moments, (c) => c.forEach((_, i) => c[i] *= 1e308)), /add up to Infinity|is Infinity/],
  ];
  for (const [wrong, pattern] of cases) {
    throws(
      () => checkMoments(wrong, "bad.npz"),
      (error: Error) => {
        match(error.message, pattern);
        match(error.message, /^bad\.npz holds no possible statistics/);
        return error instanceof FormatError;
      },
    );
  }
});

Deno.test("no file of impossible statistics is read, in any format", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "turned.npz");
    const { mean, covariance } = momentsOf(50, 4);
    for (const names of [["mu", "sigma"], ["ref_mu", "ref_sigma"]]) {
      const turned = covariance.map((x) => -x);
      await writeNpz(path, [
        [names[0], { type: "f64", shape: [4], data: mean }],
        [names[1], { type: "f64", shape: [4, 4], data: turned }],
      ]);
      await rejects(readReference(path), new RegExp(`turned.npz .*${names[1]}\\[0, 0\\] is -`));
    }
    // Sums whose products do not belong to them.
    const statistics = new FeatureStatistics(4);
    statistics.add(pseudoRandom(600, 4).data.map((x) => x + 3));
    const { tensors } = parseSafetensors(statistics.toBytes(), { name: "sums" });
    const wrong = [...tensors].map(([name, { dtype, shape, bytes }]) =>
      [name, { dtype, shape, data: name === "products" ? bytes.slice().fill(0) : bytes }] as const
    );
    const bytes = Uint8Array.from(serializeSafetensors(wrong).flatMap((piece) => [...piece]));
    const part = {
      name: "part",
      statistics: FeatureStatistics.fromBytes(bytes),
      layers: {},
      provenance: {
        version: 1 as const,
        extractor: { id: "x", hash: "x" },
        count: 600,
        images: "x",
      },
    };
    const stats = join(folder, "part.stats");
    await writePartial(stats, part);
    await rejects(readReference(stats), /part\.stats .*the covariance of features\[0, 0\] is -/);
  });
});

Deno.test("frechetDistance refuses a variance that is negative, and so no covariance wins by its sign", () => {
  const moments = momentsOf(200, 16);
  const turned = changed(moments, (c) => c.forEach((x, i) => c[i] = -x));
  throws(() => frechetDistance(moments, turned), /feature 0 has the variance -0/);
  ok(Math.abs(frechetDistance(moments, moments)) < 1e-9);
});

Deno.test("frechetDistance of singular covariances that were rounded to float32 is a number", () => {
  // Eigenvalues that are zero but for rounding, beside which no element is small.
  const [rows, d] = [300, 512];
  const features = pseudoRandom(rows, d);
  features.data.forEach((x, i) => features.data[i] = Math.abs(x) / (1 + (i % d) / 20));
  const statistics = new FeatureStatistics(d);
  statistics.add(features.data);
  const moments = statistics.moments();
  const covariance = Float64Array.from(Float32Array.from(moments.covariance));
  const distance = frechetDistance({ ...moments, covariance }, moments);
  strictEqual(Math.abs(distance) < 1e-6, true, `${distance}`);
});
