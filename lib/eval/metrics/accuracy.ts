/**
 * Does a conditional sample look like its class? By the label of the nearest real image, and by what
 * a classifier says.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { classesOfClassifier, matchClasses } from "../classes.ts";
import { nearestNeighbours } from "../statistics/nearest.ts";
import type { StatisticsPool } from "../statistics/pool.ts";
import type { Features } from "../statistics/statistics.ts";
import type { MetricDefinition } from "./metric.ts";

/** By the nearest real image. */
export const NEAREST_LABEL: MetricDefinition = {
  title: "Label of the nearest reference image is the condition",
  values: { nn_accuracy: "higher" },
  needs: ["images", "labels"],
  fewest: { count: 1, of: "sides" },
  pairs: (fakes, reals) => fakes * reals,
  async compute({ fake, real, pool }) {
    const [own, others] = [fake.labels, real.labels];
    const { numbers } = matchClasses(fake.classes, real.classes);
    const wanted = own.map((label) => numbers[label]);
    return {
      nn_accuracy: await nearestLabelAccuracy(fake.features, wanted, real.features, others, pool),
    };
  },
};

/** By the extractor's classifier. */
export const CLASS_ACCURACY: MetricDefinition = {
  title: "Predicted class is the condition",
  values: { class_accuracy: "higher" },
  needs: ["logits", "labels"],
  fewest: { count: 1, of: "samples" },
  compute({ fake }) {
    const { logits: { data, classes, names }, labels } = fake;
    const { numbers } = matchClasses(fake.classes, classesOfClassifier(classes, names));
    const hits = labels.reduce((sum, label, i) => {
      const row = data.subarray(i * classes, (i + 1) * classes);
      return sum + Number(row.indexOf(Math.max(...row)) === numbers[label]);
    }, 0);
    return { class_accuracy: hits / labels.length };
  },
};

/**
 * Share of labelled queries whose nearest reference has their label: does a conditional sample
 * look like its class?
 *
 * @param pool threads; default: one for this call
 * @throws {UsageError} when labels and rows differ in number
 */
export async function nearestLabelAccuracy(
  queries: Features,
  queryLabels: ArrayLike<number>,
  references: Features,
  referenceLabels: ArrayLike<number>,
  pool?: StatisticsPool,
): Promise<number> {
  for (
    const [what, set, labels] of [
      ["samples", queries, queryLabels],
      ["reference images", references, referenceLabels],
    ] as const
  ) {
    if (set.rows !== labels.length) {
      throw new UsageError(
        `Every image needs one label: found ${labels.length} labels for ${set.rows} ${what}.`,
      );
    }
  }
  const { index } = await nearestNeighbours(queries, references, pool);
  let hits = 0;
  for (let i = 0; i < index.length; i++) {
    if (referenceLabels[index[i]] === queryLabels[i]) hits++;
  }
  return hits / index.length;
}
