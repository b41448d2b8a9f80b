/**
 * Evaluation of image generators: feature extraction, distances between sets, reports.
 *
 * @module
 */

export * from "./check_moments.ts";
export * from "./classes.ts";
export * from "./collect.ts";
export * from "./digit_classifier.ts";
export * from "./digits_report.ts";
export * from "./evaluate.ts";
export * from "./extractor.ts";
export * from "./feature_cache.ts";
export * from "./features.ts";
export * from "./foreign_origin.ts";
export * from "./format_value.ts";
export * from "./frechet.ts";
export * from "./frechet_infinity.ts";
export * from "./gallery.ts";
export * from "./gate.ts";
export * from "./images.ts";
export * from "./inception_extractor.ts";
export * from "./inception_score.ts";
export * from "./inception_weights.ts";
export * from "./kernel_distance.ts";
export * from "./manifold.ts";
export * from "./metrics.ts";
export * from "./onnx_description.ts";
export * from "./pipelines.ts";
export * from "./pixels.ts";
export * from "./reference_files.ts";
export * from "./references.ts";
export * from "./report.ts";
export * from "./report_ci.ts";
export * from "./report_html.ts";
export * from "./statistics.ts";
export { StatisticsPool, type StatisticsPoolOptions } from "./statistics_pool.ts";
