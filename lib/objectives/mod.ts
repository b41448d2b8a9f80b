/**
 * Training objectives: what is drawn for a step, the graph of its loss, and the samplers of what was
 * trained. The method of the paper itself is lib/imm; networks are lib/models; loops and optimizers
 * are lib/train. To be read in this order:
 *
 * 1. objective.ts, what an objective is;
 * 2. imm.ts, the first, and flow.ts, flow matching, the second;
 * 3. sampler.ts, how a list of steps is walked;
 * 4. registry.ts, all of them by name.
 *
 * @module
 */

export * from "./objective.ts";
export * from "./imm.ts";
export * from "./flow.ts";
export * from "./sampler.ts";
export * from "./registry.ts";
