/**
 * Evaluation of image generators: feature extraction, distances between sets, reports.
 *
 * @module
 */

export * from "./statistics/check_moments.ts";
export * from "./classes.ts";
export * from "./collect.ts";
export * from "./extractors/digit_classifier.ts";
export * from "./reports/digits.ts";
export * from "./evaluate.ts";
export * from "./extractors/extractor.ts";
export * from "./feature_cache.ts";
export * from "./extractors/onnx_extractor.ts";
export * from "./references/foreign_origin.ts";
export * from "./reports/format_value.ts";
export * from "./metrics/frechet.ts";
export * from "./metrics/frechet_infinity.ts";
export * from "./reports/gallery.ts";
export * from "./gate.ts";
export * from "./images.ts";
export * from "./extractors/inception.ts";
export * from "./metrics/inception_score.ts";
export * from "./inception/weights.ts";
export * from "./metrics/kernel_distance.ts";
export * from "./metrics/manifold.ts";
export * from "./metrics/metric.ts";
export * from "./extractors/onnx_description.ts";
export * from "./inception/pipelines.ts";
export * from "./extractors/pixels.ts";
export * from "./references/files.ts";
export * from "./references/reference.ts";
export * from "./reports/text.ts";
export * from "./reports/ci.ts";
export * from "./reports/html.ts";
export * from "./statistics/statistics.ts";
export { StatisticsPool, type StatisticsPoolOptions } from "./statistics/pool.ts";
