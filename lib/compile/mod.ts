/**
 * From symbolic programs to plans; see compile.ts for the way they take.
 *
 * @module
 */

export * from "./program.ts";
export * from "./plan.ts";
export * from "./compile.ts";
export * from "./print.ts";
export * from "./flops.ts";
