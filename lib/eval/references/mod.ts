/**
 * Statistics of real images: what they were computed of, when two sets may be compared, and their
 * files. The numbers themselves are lib/eval/statistics. To be read in this order:
 *
 * 1. reference.ts, what a reference is and when it fits an extractor;
 * 2. files.ts, the formats: this project's, and those of EDM, pytorch-fid, clean-fid, ADM;
 * 3. foreign_origin.ts, what a file of another program shows of how its images were prepared.
 *
 * @module
 */

export * from "./reference.ts";
export * from "./files.ts";
export * from "./foreign_origin.ts";
export type { Shard } from "../../base/shard.ts";
