/**
 * The option of verbs that write files.
 *
 * @module
 */

import { flag } from "./options.ts";

/** `--overwrite`, to be spread into the table of a verb; see lib/files/outputs.ts. */
export const outputOptions = {
  overwrite: flag({ help: "replace what is there" }),
};
