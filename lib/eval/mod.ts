/**
 * Evaluation of image generators: two sets of images in, metrics and reports out. Nothing here makes
 * images; samples of a model come as an `ImageSource`, as files do. The way of the data:
 *
 * 1. images.ts, a set of images, and classes.ts, what its labels mean in another set;
 * 2. extractors/, images to features, with the network of the FID in inception/ (pipelines.ts there
 *    says what clean-fid and others do differently);
 * 3. collect.ts, all features of a set, of which feature_cache.ts keeps those that it has seen;
 * 4. statistics/, features to moments, and references/, moments of real images in files;
 * 5. metrics/, two sets to numbers, one row each;
 * 6. evaluate.ts, all of this in order: first requirements.ts, at the end warnings.ts, and floor.ts
 *    for what real images score;
 * 7. gate.ts, what the values must be, and reports/, what is written of them.
 *
 * @module
 */

export * from "./images.ts";
export * from "./classes.ts";
export * from "./extractors/mod.ts";
export * from "./inception/mod.ts";
export * from "./collect.ts";
export * from "./feature_cache.ts";
export * from "./statistics/mod.ts";
export * from "./references/mod.ts";
export * from "./metrics/mod.ts";
export * from "./requirements.ts";
export * from "./evaluate.ts";
export * from "./gate.ts";
export * from "./reports/mod.ts";
