/**
 * The version of this project.
 *
 * @module
 */

/** Semantic version, the same as in deno.json. */
export const VERSION: string = "0.1.0";
