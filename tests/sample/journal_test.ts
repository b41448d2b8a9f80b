/** Samples that are finished while their file is not: what is damaged is told, or made again. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { FormatError, UsageError } from "../../lib/base/errors.ts";
import type { GeneratedBatch } from "../../lib/sample/generator.ts";
import { Journal, journalPath } from "../../lib/sample/output/journal.ts";
import type { SampleSet } from "../../lib/sample/output/sample_set.ts";
import type { SampleSettings } from "../../lib/sample/settings.ts";
import { withTempFolder } from "../support/files.ts";

const SET: SampleSet = { shape: [2, 2, 1], seeds: [0, 1, 2, 3], labels: [null, null, null, null] };

const SETTINGS: SampleSettings = {
  version: 1,
  model: "0a",
  sampler: "pushforward",
  times: [1, 0],
  guidance: 1,
  classes: "none",
  latents: null,
  variation: null,
} as unknown as SampleSettings;

/** The batch that begins with a sample, its numbers those of the samples. */
function batch(first: number, count: number): GeneratedBatch {
  const samples = Float32Array.from({ length: 4 * count }, (_, i) => first + i / 8);
  return { first, count, samples } as GeneratedBatch;
}

async function* batches(...all: GeneratedBatch[]) {
  for (const each of all) yield await Promise.resolve(each);
}

/** What a stopped program leaves: a batch of two samples and one of one. */
async function leave(path: string): Promise<Uint8Array> {
  using journal = await Journal.open(path, SET, SETTINGS, { asPixels: false });
  assert.equal(journal.done, 0);
  for await (const _ of journal.continue(batches(batch(0, 2), batch(2, 1)))) { /* kept */ }
  return await Deno.readFile(journalPath(path));
}

Deno.test("a bit that flips in any byte of finished samples is told, or they are made again", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, "samples.npz");
    const bytes = await leave(path);
    const counts = new Map<string, number>();
    const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
    for (const at of bytes.keys()) {
      const damaged = bytes.slice();
      damaged[at] ^= 1 << (at & 7);
      await Deno.writeFile(journalPath(path), damaged);
      try {
        using journal = await Journal.open(path, SET, SETTINGS, { asPixels: false });
        const { done } = journal;
        assert([0, 2].includes(done), `${done} are taken for finished`);
        const kept = await Array.fromAsync(journal.continue(batches()));
        assert.deepEqual(
          kept.map(({ samples }) => samples),
          done === 0 ? [] : [batch(0, 2).samples],
        );
        count(`${done} of 3`);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        assert.match(
          error.message,
          /samples\.npz\.partial, what is finished of .* is damaged; rem/,
        );
        count("told");
      }
    }
    const header = bytes.indexOf(10) + 1;
    // The end of the first line is what tells that there is one.
    assert.equal(counts.get("told")! >= header - 1, true);
    assert.equal(counts.get("2 of 3"), 8 + 16);
    assert.equal(counts.get("0 of 3")! >= 8 + 32, true);
  }));

Deno.test("finished samples of other settings are refused by what differs", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, "samples.npz");
    await leave(path);
    const other = { ...SETTINGS, guidance: 2 };
    await assert.rejects(Journal.open(path, SET, other, { asPixels: false }), (error) => {
      assert(error instanceof UsageError);
      assert.match(error.message, /was made differently \(guidance: 1, now 2\)/);
      return true;
    });
    using journal = await Journal.open(path, SET, other, { asPixels: false, overwrite: true });
    assert.equal(journal.done, 0);
  }));
