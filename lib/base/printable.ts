/**
 * Text from files and people, made fit to be printed.
 *
 * @module
 */

/**
 * What a terminal or a log does not show but obeys: the control characters (a line break begins a
 * line of its own, which in the log of a CI job may be a command; an escape sequence moves the cursor
 * or renames the window), the separators of lines and paragraphs, and the marks that turn the
 * direction of writing, with which a name can look like another.
 */
// deno-lint-ignore no-control-regex
const HIDDEN = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The text with everything visible that would not be: a line break as `\n`, an escape as `\x1b`. All
 * names of files, classes and tensors, and all words of the command line, go through this before they
 * are printed or written into a report; `Terminal` does it with every line that it prints.
 *
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(printable("cat.png\n::error::"), "cat.png\\n::error::");
 * assert.equal(printable("Fréchet, 猫, 🐈"), "Fréchet, 猫, 🐈");
 * ```
 */
export function printable(text: string): string {
  return text.replace(HIDDEN, (character) => {
    const code = character.charCodeAt(0);
    return SHORT[character] ??
      (code < 0x100
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`);
  });
}

/** A line of JSON in which the same characters are escaped, as JSON allows. */
export function printableJson(json: string): string {
  return json.replace(HIDDEN, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
