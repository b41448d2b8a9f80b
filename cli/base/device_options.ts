/**
 * The options that every verb has that computes with a network.
 *
 * @module
 */

import { choice, integer } from "./options.ts";

/** Where to compute: arguments of `openDevice`. */
export const deviceOptions = {
  device: choice(["auto", "webgpu", "wasm"], { help: "where to compute", default: "auto" }),
  threads: integer({
    help: "threads of the wasm device and of metrics (default: the cores); no result depends on it",
    min: 1,
    max: 256,
  }),
};
