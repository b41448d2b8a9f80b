/**
 * The metrics: from two sets of features to numbers. Features come from lib/eval/extractors, and what
 * they are added up to, from lib/eval/statistics; lib/eval/evaluate.ts puts both together. To be
 * read in this order:
 *
 * 1. metric.ts, what a metric is: a row with what it needs and how it is computed;
 * 2. registry.ts, all of them by name;
 * 3. one file for each family with its formula, its source and its rows: frechet.ts (FID),
 *    frechet_infinity.ts, kernel_distance.ts (KID, CMMD), inception_score.ts, manifold.ts (precision
 *    and recall, density and coverage), accuracy.ts (of labels);
 * 4. compute.ts, some of them at once.
 *
 * @module
 */

export * from "./metric.ts";
export * from "./registry.ts";
export * from "./frechet.ts";
export * from "./frechet_infinity.ts";
export * from "./kernel_distance.ts";
export * from "./inception_score.ts";
export * from "./manifold.ts";
export * from "./accuracy.ts";
export * from "./compute.ts";
