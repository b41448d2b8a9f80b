/** A stream of text in memory, for what a command prints. */

import type { Sink } from "../../../cli/base/terminal.ts";

/** A sink that remembers. */
export interface MemorySink extends Sink {
  readonly text: string;
}

export function memorySink(options: { isTerminal?: boolean; columns?: number } = {}): MemorySink {
  let text = "";
  return {
    write: (part) => void (text += part),
    isTerminal: options.isTerminal ?? false,
    columns: () => options.columns ?? 80,
    get text() {
      return text;
    },
  };
}
