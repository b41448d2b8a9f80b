import assert from "node:assert/strict";
import { goldenJson } from "./fixtures.ts";
import { fnv1a32, hash32, hashedValues } from "./hash.ts";

interface Vector {
  readonly name: string;
  readonly fnv1a32: number;
  readonly hash32: Record<string, number>;
  readonly two_u_minus_1: Record<string, number>;
}

Deno.test("the weight hash gives its test vectors", () => {
  const { vectors } = goldenJson<{ vectors: Vector[] }>("hash");
  assert(vectors.length > 0);
  for (const vector of vectors) {
    assert.equal(fnv1a32(vector.name), vector.fnv1a32);
    for (const [index, hash] of Object.entries(vector.hash32)) {
      assert.equal(hash32(vector.name, Number(index)), hash);
    }
    const values = hashedValues(vector.name, 4, 1, 0);
    for (const [index, value] of Object.entries(vector.two_u_minus_1)) {
      assert.equal(values[Number(index)], Math.fround(value));
    }
  }
});

Deno.test("scale and offset are applied before rounding to float32", () => {
  const u = hash32("a", 2) / 2 ** 32;
  assert.equal(hashedValues("a", 3, 0.2, 1)[2], Math.fround(1 + 0.2 * (2 * u - 1)));
});
