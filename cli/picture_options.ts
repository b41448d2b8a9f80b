/** Options about pictures that are damaged, odd, or not read. @module */

import type { PictureCare } from "../lib/data/folder_dataset.ts";
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
  const warn = ({ message }: Error) => terminal.warn(message);
  return {
    strict: args.strict,
    onWarning: (sentence) => terminal.warn(sentence),
    ...(args.skipCorrupt ? { onCorrupt: warn, onDamaged: warn } : {}),
  };
}
