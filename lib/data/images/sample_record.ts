/**
 * What the files of `imm sample` say of themselves, for whoever reads them as images.
 *
 * @module
 */

/** Name of the record in a folder of pictures, and inside of a file. */
export const RECORD_NAME = "samples.json";

/** Names of the classes in a record; null where it has none. */
export function recordedClassNames(record: string | null): readonly string[] | null {
  try {
    const names = JSON.parse(record ?? "null")?.classNames;
    return Array.isArray(names) && names.every((name) => typeof name === "string") ? names : null;
  } catch {
    return null; // the file of another program
  }
}
