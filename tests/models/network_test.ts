import assert from "node:assert/strict";
import type { NetworkConfigInput } from "../../lib/models/registry.ts";
import type { Network } from "../../lib/models/network.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { grad, input, mul, sum, type Tensor } from "../../lib/tensor/mod.ts";
import { assertClose } from "../support/close.ts";
import { evaluateGraph } from "../support/reference/graph.ts";

const BATCH = 3;

const CONFIGS: readonly NetworkConfigInput[] = [
  { type: "mlp", labelDim: 4, hidden: 16, depth: 2, timeChannels: 8, dropout: 0.4 },
  {
    type: "song_unet",
    imgResolution: 4,
    imgChannels: 1,
    labelDim: 4,
    augmentDim: 2,
    modelChannels: 8,
    channelMult: [1, 2],
    numBlocks: 1,
    attnResolutions: [2],
    dropout: 0.4,
  },
  {
    type: "dhariwal_unet",
    imgResolution: 4,
    imgChannels: 1,
    labelDim: 4,
    augmentDim: 2,
    modelChannels: 8,
    channelMult: [1, 2],
    numBlocks: 1,
    attnResolutions: [2],
    dropout: 0.4,
  },
  {
    type: "dit",
    imgResolution: 4,
    imgChannels: 1,
    labelDim: 4,
    hiddenSize: 8,
    depth: 1,
    numHeads: 2,
    timeChannels: 8,
  },
];

/** A network with every parameter random, so that no branch is multiplied by zero. */
class Harness {
  readonly network: Network;
  readonly x: Tensor;
  readonly state: Map<typeof this.network.parameters.arena, Float32Array>;
  readonly image: Float32Array;
  readonly key = input("key", [3], "i32");

  constructor(config: NetworkConfigInput) {
    this.network = createNetwork(config);
    const { parameters, sampleShape } = this.network;
    const random = (data: Float32Array, scale: number) =>
      data.map((_, i) => scale * Math.sin(12.9898 * (i + 1) + 78.233 * Math.sin(i)));
    const state = parameters.initial(5);
    for (const [name, { shape, data }] of state) {
      if (parameters.buffers.has(name)) continue;
      state.set(name, { shape, data: random(data, name.includes("norm") ? 1 : 0.5) });
    }
    const { trainable, frozen } = parameters.adopt(state);
    this.state = new Map([[parameters.arena, trainable], [parameters.frozen, frozen]]);
    this.x = input("x", [BATCH, ...sampleShape]);
    this.image = random(new Float32Array(this.x.size), 1);
  }

  /** Values of tensors for times 0.5 and 0.2 and the given conditions. */
  evaluate(
    outputs: readonly Tensor[],
    {
      s = 200,
      key = [1, 2, 0],
      ...rest
    }: {
      s?: number;
      key?: number[];
      labels?: readonly (number | null)[];
      augment?: Float32Array;
      x?: Float32Array;
      P?: Float32Array;
    } = {},
  ): Float64Array[] {
    const times = (value: number) => new Array(BATCH).fill(value);
    const conditions = this.network.conditioningValues({
      cNoiseT: times(500),
      cNoiseS: times(s),
      labels: rest.labels,
      augment: rest.augment,
    });
    const inputs = { x: this.image, key, P: this.image, ...conditions, ...defined(rest) };
    return evaluateGraph(outputs, { inputs, state: this.state });
  }

  forward(dropout = false): Tensor {
    const conditioning = this.network.conditioningInputs(BATCH);
    const options = dropout ? { dropoutKey: this.key } : {};
    return this.network.forward(this.x, conditioning, options);
  }
}

/** The arrays among the values that replace inputs by name. */
function defined({ x, P }: { x?: Float32Array; P?: Float32Array }) {
  return { ...(x && { x }), ...(P && { P }) };
}

for (const config of CONFIGS) {
  Deno.test(`${config.type}: the output has the input's shape and depends on every condition`, () => {
    const harness = new Harness(config);
    const y = harness.forward();
    assert.deepEqual(y.shape, harness.x.shape);
    const [base] = harness.evaluate([y]);
    const differs = (change: Parameters<Harness["evaluate"]>[1]) =>
      assert.notDeepEqual(harness.evaluate([y], change)[0], base, JSON.stringify(change));
    differs({ s: 300 });
    differs({ labels: [0, 1, 2] });
    if (harness.network.conditioning.augmentDim > 0) {
      differs({ augment: Float32Array.of(1, 0, 0, 1, 0, 0) });
    }
  });

  Deno.test(`${config.type}: a sample's output depends on its own label only`, () => {
    const harness = new Harness(config);
    const y = harness.forward();
    const [first] = harness.evaluate([y], { labels: [0, null, 3] });
    const [second] = harness.evaluate([y], { labels: [0, 2, 3] });
    const size = y.size / BATCH;
    const changed = [0, 1, 2].map((n) =>
      first.subarray(n * size, (n + 1) * size).some((value, i) => value !== second[n * size + i])
    );
    assert.deepEqual(changed, [false, true, false]);
  });

  Deno.test(`${config.type}: gradients agree with finite differences`, () => {
    const harness = new Harness(config);
    const loss = sum(mul(input("P", harness.x.shape), harness.forward()));
    const [found] = harness.evaluate(grad(loss, [harness.x]));
    for (let i = 0; i < harness.image.length; i += 7) {
      const step = 2 ** -8; // exact in float32
      const [up, down] = [step, -step].map((delta) => {
        const x = harness.image.slice();
        x[i] += delta;
        return { value: harness.evaluate([loss], { x })[0][0], at: x[i] };
      });
      const slope = (up.value - down.value) / (up.at - down.at);
      assertClose([found[i]], [slope], { rel: 2e-3, abs: 2e-3 }, `element ${i}`);
    }
  });

  Deno.test(`${config.type}: every trained parameter is reached by the gradient`, () => {
    const harness = new Harness(config);
    const { arena } = harness.network.parameters;
    const loss = sum(mul(input("P", harness.x.shape), harness.forward()));
    const names = [...arena.entries.keys()];
    const found = harness.evaluate(grad(loss, names.map((name) => arena.tensor(name))), {
      labels: [0, 1, 2],
      augment: Float32Array.of(1, 2, 3, 4, 5, 6),
    });
    const unreached = names.filter((_, i) => found[i].every((g) => g === 0));
    assert.deepEqual(unreached, []);
  });

  if ("dropout" in config) {
    Deno.test(`${config.type}: two passes with one key drop the same units, another key others`, () => {
      const harness = new Harness(config);
      const [student, target, plain] = [
        harness.forward(true),
        harness.forward(true),
        harness.forward(false),
      ];
      const [a, b, c] = harness.evaluate([student, target, plain]);
      assert.deepEqual(a, b);
      assert.notDeepEqual(a, c);
      assert.notDeepEqual(harness.evaluate([student], { key: [1, 3, 0] })[0], a);
    });

    Deno.test(`${config.type}: every layer with dropout has a stream of its own`, () => {
      const harness = new Harness(config);
      const streams = streamsBehind(harness.forward(true));
      assert.ok(streams.length >= 2);
      assert.equal(new Set(streams).size, streams.length);
    });
  }

  Deno.test(`${config.type}: without the second time there are no parameters and no input for it`, () => {
    const network = createNetwork({ ...config, sEmbed: false });
    const full = createNetwork(config);
    assert.equal(network.conditioningInputs(BATCH).timeS, null);
    assert.deepEqual(
      Object.keys(network.conditioningValues({ cNoiseT: [1], cNoiseS: [2] }, "r.")),
      [
        "r.timeT",
        "r.labels",
        ...(network.conditioning.augmentDim > 0 ? ["r.augment"] : []),
      ],
    );
    const dropped = full.parameters.names.filter((name) =>
      !network.parameters.names.includes(name)
    );
    assert.ok(dropped.length > 0);
    assert.ok(dropped.every((name) => /_s\b|s_embedder/.test(name)), dropped.join());
  });

  Deno.test(`${config.type}: a label that is no class is refused`, () => {
    const network = createNetwork(config);
    assert.throws(() => network.labelInput([0, 4]), /label 4 is not a class from 0 to 3/);
    const none = createNetwork({ ...config, labelDim: 0 });
    assert.throws(() => none.labelInput([0]), /has no classes/);
    assert.equal(none.labelInput([null]), null);
  });
}

/** Streams of the random nodes that a tensor depends on. */
function streamsBehind(output: Tensor): number[] {
  const seen = new Set<Tensor["node"]>();
  const open = [output.node];
  for (let node = open.pop(); node; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    open.push(...node.inputs.map((x) => x.node));
  }
  return [...seen].flatMap(({ op }) => op.kind === "random" ? [op.stream] : []);
}
