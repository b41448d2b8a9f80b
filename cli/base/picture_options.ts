/** Options about pictures that are damaged, odd, or not read. @module */

import type { PictureCare } from "../../lib/data/images/folder.ts";
import { FormatError } from "../../lib/base/errors.ts";
import { flag } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** Of the verbs that read pictures. */
export const strict = flag({
  help: "pictures that are not read, dead links, and files with anything odd are an error",
});

/** What is done about pictures, as the options say; people are told of all of it. */
export function pictureCare(
  args: { readonly skipCorrupt?: boolean; readonly strict?: boolean },
  terminal: Terminal,
): PictureCare {
  const passOver = (error: FormatError) => {
    if (args.skipCorrupt) return terminal.warn(error.message);
    throw new FormatError(
      `${error.message} Mend or remove it, or go on without such pictures with --skip-corrupt.`,
      { cause: error },
    );
  };
  return {
    strict: args.strict,
    onWarning: (sentence) => terminal.warn(sentence),
    ...("skipCorrupt" in args ? { onCorrupt: passOver, onDamaged: passOver } : {}),
  };
}
