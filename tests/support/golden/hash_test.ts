import assert from "node:assert/strict";
import { goldenJson, withGolden } from "./fixtures.ts";
import { fnv1a32, hash32, hashedValues } from "./hash.ts";

interface Vector {
  readonly name: string;
  readonly fnv1a32: number;
  readonly hash32: Record<string, number>;
  readonly two_u_minus_1: Record<string, number>;
}

withGolden(["hash.json"], () => {
  Deno.test("the weight hash gives its test vectors", () => {
    const { salt = "", vectors } = goldenJson<{ salt?: string; vectors: Vector[] }>("hash");
    assert(vectors.length > 0);
    for (const vector of vectors) {
      const name = salt + vector.name;
      assert.equal(fnv1a32(name), vector.fnv1a32);
      for (const [index, hash] of Object.entries(vector.hash32)) {
        assert.equal(hash32(name, Number(index)), hash);
      }
      const indices = Object.keys(vector.two_u_minus_1).map(Number);
      const values = hashedValues(name, Math.max(0, ...indices) + 1, 1, 0);
      for (const index of indices) {
        assert.equal(values[index], Math.fround(vector.two_u_minus_1[index]));
      }
    }
  });
});

Deno.test("scale and offset are applied before rounding to float32", () => {
  const u = hash32("a", 2) / 2 ** 32;
  assert.equal(hashedValues("a", 3, 0.2, 1)[2], Math.fround(1 + 0.2 * (2 * u - 1)));
});
