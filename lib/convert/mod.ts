/**
 * Models of other programs: what a file holds, and bringing it here and back.
 *
 * @module
 */

export * from "./convert.ts";
export * from "./describe.ts";
export * from "./foreign_file.ts";
