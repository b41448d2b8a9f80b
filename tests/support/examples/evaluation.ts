/** The outcome of an evaluation, for tests of what is made of it. */

import type { Evaluation } from "../../../lib/eval/evaluate.ts";

export const EVALUATION: Evaluation = {
  version: 1,
  values: { fd: 2.774541837, kd: 0.0044862, kd_std: 0.0018, nn_accuracy: 0.92 },
  rounding: { fd: 1e-9 },
  failed: {},
  floor: null,
  floorCounts: null,
  samples: { name: "samples.npz", count: 1000, skipped: 0 },
  reference: { name: "digits", count: 1797, skipped: 0, provenance: null },
  extractor: { id: "pixels-8x8x1", hash: "0123456789abcdef", dimension: 64 },
  seed: 2020,
  warnings: ["few images"],
  seconds: { features: 1.25, metrics: 0.5 },
  cached: 0,
  versions: { imm: "0.1.0", deno: "2.9.6" },
};
