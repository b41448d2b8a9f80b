import assert from "node:assert/strict";
import { closest, didYouMean, editDistance } from "../../lib/base/suggest.ts";

Deno.test("editDistance() counts insertions, deletions, replacements and swaps", () => {
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("train", "train"), 0);
  assert.equal(editDistance("trian", "train"), 1);
  assert.equal(editDistance("kitten", "sitting"), 3);
});

Deno.test("closest() finds a slip of the finger and an unfinished word", () => {
  const verbs = ["train", "sample", "eval", "doctor"];
  assert.equal(closest("trian", verbs), "train");
  assert.equal(closest("smaple", verbs), "sample");
  assert.equal(closest("Doctor", verbs), "doctor");
  assert.equal(closest("d", verbs), "doctor");
});

Deno.test("closest() gives nothing where nothing is near or the choice is open", () => {
  assert.equal(closest("quantise", ["train", "sample"]), undefined);
  assert.equal(closest("model.", ["model.width", "model.depth"]), undefined);
  assert.equal(closest("", ["train"]), undefined);
});

Deno.test("didYouMean() is the end of a sentence, or empty", () => {
  assert.equal(didYouMean("evla", ["eval"]), '; did you mean "eval"?');
  assert.equal(didYouMean("xyz", ["eval"]), "");
});
