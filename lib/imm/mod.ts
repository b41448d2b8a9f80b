/**
 * Inductive Moment Matching (Zhou, Ermon, Song, 2025, arXiv 2503.07565): the method, without
 * networks, optimisers or data. To be read with the paper beside, in this order:
 *
 * 1. interpolant.ts, the path x_t between data and noise;
 * 2. parameterization.ts, f_{s,t}: how a network's output becomes a sample at time s;
 * 3. mapping.ts and weighting.ts, r(s,t), w(s,t) and w~(s,t);
 * 4. kernel.ts and objective.ts, the MMD between f_{s,t}(x_t) and f_{s,r}(x_r), with times.ts for
 *    what the host computes per step;
 * 5. schedule.ts and sampler.ts, from noise to samples in a few steps.
 *
 * @module
 */

export * from "./config.ts";
export * from "./interpolant.ts";
export * from "./parameterization.ts";
export * from "./mapping.ts";
export * from "./weighting.ts";
export * from "./kernel.ts";
export * from "./times.ts";
export * from "./objective.ts";
export * from "./guidance.ts";
export * from "./schedule.ts";
export * from "./sampler.ts";
