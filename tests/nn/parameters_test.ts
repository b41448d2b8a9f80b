import assert from "node:assert/strict";
import { FormatError } from "../../lib/base/errors.ts";
import { type HostTensor, ParameterStore } from "../../lib/nn/parameters.ts";
import { toDeviceLayout } from "../support/golden/layout.ts";

const normal = { kind: "normal", std: 1 } as const;
const filter = { kind: "values", values: Float32Array.of(0.25, 0.25, 0.25, 0.25) } as const;

/** A store with one of everything. */
function sampleStore(): ParameterStore {
  const store = new ParameterStore();
  store.parameter("conv.weight", [3, 2, 3, 3], normal, { layout: "oihw" });
  store.buffer("conv.resample_filter", [1, 1, 2, 2], filter, { fixed: true });
  store.parameter("table", [5, 4], normal, { trainable: false });
  store.buffer("freqs", [7], normal, { fixed: false });
  store.parameter("conv.bias", [3], normal);
  return store;
}

Deno.test("a state dict survives the way to the device layout and back", () => {
  const store = sampleStore();
  const state = store.initial(3);
  assert.deepEqual([...state.keys()], store.names);
  assert.deepEqual(store.stateDict(store.adopt(state)), state);
});

Deno.test("convolution weights lie on the device as [height, width, in, out]", () => {
  const store = sampleStore();
  const state = store.initial(3);
  const { trainable } = store.adopt(state);
  const weight = toDeviceLayout(state.get("conv.weight")!, "oihw");
  assert.deepEqual(store.arena.tensor("conv.weight").shape, weight.shape);
  const { offset } = store.arena.entries.get("conv.weight")!;
  assert.deepEqual(trainable.subarray(offset, offset + weight.data.length), weight.data);
});

Deno.test("frozen parameters have an arena of their own, and buffers have none", () => {
  const store = sampleStore();
  assert.deepEqual([...store.arena.entries.keys()], ["conv.weight", "conv.bias"]);
  assert.deepEqual([...store.frozen.entries.keys()], ["table"]);
  assert.equal(store.parameterCount, 3 * 2 * 9 + 5 * 4 + 3);
});

Deno.test("a buffer that is not fixed has the value of the state adopted last", () => {
  const store = sampleStore();
  assert.throws(() => store.bufferValue("freqs"), /before a state was adopted/);
  const state = store.initial(3);
  store.adopt(state);
  assert.deepEqual(store.bufferValue("freqs"), state.get("freqs")!.data);
});

Deno.test("a parameter starts the same whatever was declared before it", () => {
  const alone = new ParameterStore();
  alone.parameter("conv.bias", [3], normal);
  assert.deepEqual(alone.initial(3).get("conv.bias"), sampleStore().initial(3).get("conv.bias"));
});

Deno.test("a name cannot be declared twice", () => {
  const store = sampleStore();
  assert.throws(() => store.parameter("conv.bias", [3], normal), /declared twice/);
  assert.throws(() => store.buffer("table", [3], normal, { fixed: false }), /declared twice/);
});

const DAMAGES: readonly [string, (state: Map<string, HostTensor>) => void, RegExp][] = [
  ["a tensor is missing", (state) => state.delete("table"), /x\.pt: .* lacks table/],
  [
    "a tensor is unknown",
    (state) => state.set("extra", state.get("table")!),
    /it has extra that the network does not/,
  ],
  [
    "a shape differs",
    (state) => state.set("conv.bias", { shape: [4], data: new Float32Array(4) }),
    /expected conv\.bias of shape \[3\], found \[4\]/,
  ],
  [
    "a fixed buffer differs",
    (state) =>
      state.set("conv.resample_filter", { shape: [1, 1, 2, 2], data: Float32Array.of(1, 0, 0, 0) }),
    /expected conv\.resample_filter to be \[0\.25/,
  ],
];

for (const [what, damage, message] of DAMAGES) {
  Deno.test(`adopt() refuses a state where ${what}`, () => {
    const store = sampleStore();
    const state = store.initial(3);
    damage(state);
    assert.throws(() => store.adopt(state, "x.pt"), (error: Error) => {
      assert.ok(error instanceof FormatError);
      assert.match(error.message, message);
      return true;
    });
  });
}
