/** Helpers of the tests that touch files. */

import assert from "node:assert/strict";
import { FormatError } from "../../lib/base/errors.ts";

/** Runs `body` with a fresh folder that is removed afterwards. */
export async function withTempFolder(body: (folder: string) => unknown): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Whether there is a file or a folder. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Asserts that `action` fails with a FormatError whose sentence matches every pattern. */
export async function assertFormatError(
  action: () => unknown,
  ...patterns: RegExp[]
): Promise<void> {
  await assert.rejects(async () => await action(), (error) => {
    assert(error instanceof FormatError, `expected a FormatError, found ${error}`);
    for (const pattern of patterns) assert.match(error.message, pattern);
    assert.match(error.message, /[.?]$/, "an error is a sentence");
    return true;
  });
}

/** A copy with some bytes replaced. */
export function patched(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, at < 0 ? bytes.length + at : at);
  return copy;
}
