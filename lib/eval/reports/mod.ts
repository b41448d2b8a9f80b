/**
 * One record, the `Evaluation`, as text, JSON, JUnit, Markdown and HTML. Nothing is computed here but
 * the gallery's neighbors. To be read in this order:
 *
 * 1. text.ts, the rows that all reports have, as a table for people and as JSON, with numbers as in
 *    format_value.ts;
 * 2. ci.ts, for continuous integration: JUnit, Markdown, annotations of GitHub;
 * 3. html.ts, one page, with pictures that gallery.ts chooses;
 * 4. digits.ts, the scores of the quick start.
 *
 * @module
 */

export * from "./format_value.ts";
export * from "./text.ts";
export * from "./ci.ts";
export * from "./html.ts";
export * from "./gallery.ts";
export * from "./digits.ts";
