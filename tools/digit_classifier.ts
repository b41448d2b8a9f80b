/**
 * Trains the classifier of the embedded digits with this project's own engine and writes it, as an
 * ONNX model, to lib/eval/extractors/digit_classifier_data.ts. `deno task digit-classifier` runs it.
 *
 * @module
 */

import { fromFileUrl } from "jsr:@std/path@1.0.8";
import { compile } from "../lib/compile/compile.ts";
import { ArrayDataset, type Dataset } from "../lib/data/dataset.ts";
import { openDigits } from "../lib/data/images/digits.ts";
import { Loader } from "../lib/data/stream/loader.ts";
import { ArenaBuffer, arenaMap } from "../lib/device/arena_buffer.ts";
import type { Device } from "../lib/device/device.ts";
import { openDevice } from "../lib/device/open.ts";
import { isHeldOut } from "../lib/eval/extractors/digit_classifier.ts";
import { OnnxExtractor } from "../lib/eval/extractors/onnx_extractor.ts";
import { descriptionMetadata } from "../lib/eval/extractors/onnx_description.ts";
import { writeFileAtomic } from "../lib/formats/atomic.ts";
import { OnnxGraph } from "../lib/formats/onnx/model.ts";
import {
  affine,
  conv2d as onnxConv2d,
  flatten,
  linear,
  silu as onnxSilu,
} from "../lib/formats/onnx/layers.ts";
import { layerInitializer } from "../lib/nn/init.ts";
import { Linear } from "../lib/nn/linear.ts";
import { ParameterStore, type StateDict } from "../lib/nn/parameters.ts";
import {
  conv2d,
  grad,
  input,
  logSumExp,
  mean,
  mul,
  reshape,
  silu,
  sub,
  sum,
  type Tensor,
} from "../lib/tensor/mod.ts";
import {
  type OptimizerConfig,
  optimizerStep,
  UPDATE_NUMBERS,
  updateNumbers,
} from "../lib/train/step/optimizer.ts";

const SEED = 1;
const BATCH = 64;
const STEPS = 500;
const EMA_DECAY = 0.99;
const CLASSES = 10;
const FEATURES = 64;
const OPTIMIZER: OptimizerConfig = {
  name: "adamw",
  lr: 3e-3,
  betas: [0.9, 0.99],
  eps: 1e-8,
  weightDecay: 0.05,
};

/** Convolutions 3x3 with padding 1: from the image to 2x2 positions of 32 channels. */
const CONVOLUTIONS = [
  { name: "conv1", in: 1, out: 16, stride: 1 },
  { name: "conv2", in: 16, out: 32, stride: 2 },
  { name: "conv3", in: 32, out: 32, stride: 2 },
] as const;
const FLAT = 2 * 2 * 32;

/** The network as the engine sees it: images [N, 8, 8, 1] on [-1, 1] to features and logits. */
class DigitClassifier {
  readonly parameters: ParameterStore = new ParameterStore();
  readonly #convolutions: readonly { weight: Tensor; bias: Tensor; stride: number }[];
  readonly #features: Linear;
  readonly #logits: Linear;

  constructor() {
    const init = { mode: "kaiming_normal", weight: Math.SQRT2 } as const;
    const store = this.parameters;
    this.#convolutions = CONVOLUTIONS.map(({ name, in: channels, out, stride }) => ({
      weight: store.parameter(
        `${name}.weight`,
        [out, channels, 3, 3],
        layerInitializer(init, "weight", 9 * channels, 9 * out),
        { layout: "oihw" },
      ),
      bias: store.parameter(`${name}.bias`, [out], { kind: "constant", value: 0 }),
      stride,
    }));
    this.#features = new Linear(store, "features", FLAT, FEATURES, init);
    this.#logits = new Linear(store, "logits", FEATURES, CLASSES, { ...init, weight: 1 });
  }

  forward(images: Tensor): { features: Tensor; logits: Tensor } {
    let x = images;
    for (const { weight, bias, stride } of this.#convolutions) {
      x = silu(conv2d(x, weight, bias, { stride, padding: 1 }));
    }
    const features = silu(this.#features.forward(reshape(x, [-1, FLAT])));
    return { features, logits: this.#logits.forward(features) };
  }
}

/**
 * The same network as an ONNX model that describes itself as an extractor. Its features are
 * multiplied by `scale`.
 */
function exportOnnx(weights: StateDict, scale: number): Uint8Array<ArrayBuffer> {
  const graph = new OnnxGraph("digit classifier");
  let x = graph.input("images", "float32", ["N", 1, 8, 8]);
  const bias = (layer: string) => weights.get(`${layer}.bias`)!.data;
  const weight = (layer: string) => weights.get(`${layer}.weight`)!;
  for (const { name, stride } of CONVOLUTIONS) {
    x = onnxSilu(graph, onnxConv2d(graph, x, weight(name), bias(name), { stride, padding: 1 }));
  }
  // The engine keeps channels last, and so does the order of the flat weights.
  x = flatten(graph, graph.node("Transpose", [x], { perm: [0, 2, 3, 1] }));
  const features = onnxSilu(graph, linear(graph, x, weight("features"), bias("features")));
  graph.output(affine(graph, features, scale, 0), "features", "float32", ["N", FEATURES]);
  const logits = linear(graph, features, weight("logits"), bias("logits"));
  graph.output(logits, "logits", "float32", ["N", CLASSES]);
  const [key, description] = descriptionMetadata({
    version: 1,
    id: "digit-classifier",
    input: {
      name: "images",
      height: 8,
      width: 8,
      channels: 1,
      layout: "NCHW",
      type: "float32",
      scale: 1 / 127.5,
      offset: -1,
    },
    features: { name: "features", size: FEATURES },
    logits: { name: "logits", size: CLASSES },
    batch: 128,
  });
  graph.metadata.set(key, description);
  return graph.toBytes();
}

/** Trains on the half that is not held out and returns averaged weights. */
async function train(device: Device, digits: Dataset): Promise<StateDict> {
  const model = new DigitClassifier();
  const { arena } = model.parameters;
  const images = input("images", [BATCH, 8, 8, 1]);
  const targets = input("targets", [BATCH, CLASSES]);
  const numbers = input("numbers", [UPDATE_NUMBERS]);
  const { logits } = model.forward(images);
  // Cross-entropy: -log softmax(logits) at the class.
  const loss = mean(sub(logSumExp(logits), sum(mul(logits, targets), 1)));
  const state = {
    parameters: arena,
    m: arena.like("m"),
    v: arena.like("v"),
    ema: arena.like("ema"),
  };
  const names = [...arena.entries.keys()];
  const gradients = grad(loss, names.map((name) => arena.tensor(name)));
  const parts = ["parameters", "m", "v", "ema"] as const;
  const updates = names.flatMap((name, i) => {
    const [parameters, m, v, ema] = parts.map((part) => state[part].tensor(name));
    const old = { parameters, m, v, ema };
    const next = optimizerStep(OPTIMIZER, old, gradients[i], numbers);
    return parts.map((part) => ({ target: old[part], value: next[part] }));
  });
  const plan = compile({
    label: "digit classifier",
    inputs: [images, targets, numbers],
    outputs: { loss },
    updates,
  });

  const buffers = parts.map((part) => new ArenaBuffer(device, state[part]));
  const initial = model.parameters.adopt(model.parameters.initial(SEED));
  buffers[0].writeAll(initial.trainable);
  buffers[3].writeAll(initial.trainable);
  const step = await device.prepare(plan, arenaMap(...buffers));
  const loader = new Loader(subset(digits, "digits to train on", false), { seed: SEED });
  for (let n = 1; n <= STEPS; n++) {
    const batch = loader.batch((n - 1) * BATCH, BATCH);
    const lr = OPTIMIZER.lr * (1 + Math.cos(Math.PI * (n - 1) / STEPS)) / 2;
    step.run({
      images: batch.images,
      targets: oneHot(batch.labels),
      numbers: updateNumbers(OPTIMIZER, n, lr, Math.min(EMA_DECAY, n / (n + 10))),
    });
    if (n % 100 === 0) {
      const { loss } = await step.read(["loss"]);
      console.error(`step ${n} of ${STEPS}: loss ${loss[0].toFixed(4)}`);
    }
  }
  const averaged = await buffers[3].readAll();
  step.destroy();
  for (const buffer of buffers) buffer.free();
  return model.parameters.stateDict({ trainable: averaged, frozen: initial.frozen });
}

/** Features and logits of images, computed by the engine. */
async function engineOutputs(
  device: Device,
  weights: StateDict,
  images: Float32Array,
): Promise<{ features: ArrayLike<number>; logits: ArrayLike<number> }> {
  const model = new DigitClassifier();
  const x = input("images", [images.length / 64, 8, 8, 1]);
  const outputs = model.forward(x);
  const plan = compile({ label: "digit classifier", inputs: [x], outputs, updates: [] });
  const buffer = new ArenaBuffer(device, model.parameters.arena);
  buffer.writeAll(model.parameters.adopt(weights).trainable);
  const forward = await device.prepare(plan, arenaMap(buffer));
  forward.run({ images });
  const found = await forward.read(["features", "logits"]);
  forward.destroy();
  buffer.free();
  return found;
}

/** The digits that are held out, or those that are not. */
function subset(digits: Dataset, name: string, heldOut: boolean): Dataset {
  const indices = Array.from({ length: digits.length }, (_, i) => i)
    .filter((i) => isHeldOut(i) === heldOut);
  const pixels = Uint8Array.from(indices.flatMap((i) => [...digits.image(i)]));
  const labels = Int32Array.from(indices, (i) => digits.label(i)!);
  return new ArrayDataset(name, digits.imageShape, pixels, labels);
}

function oneHot(labels: Int32Array): Float32Array {
  const rows = new Float32Array(labels.length * CLASSES);
  labels.forEach((label, i) => rows[i * CLASSES + label] = 1);
  return rows;
}

/**
 * Rounds every weight to 8 significant bits, as bfloat16 would: it costs no accuracy, and the
 * zeros that are left compress to half the size.
 */
function rounded(weights: StateDict): StateDict {
  return new Map([...weights].map(([name, { shape, data }]) => {
    const bits = new Uint32Array(data.slice().buffer);
    const copy = new Float32Array(bits.map((word) => (word + 0x8000) & 0xFFFF0000).buffer);
    return [name, { shape, data: copy }];
  }));
}

/** Share of the images whose largest logit is their label's, among those that `chosen` picks. */
function accuracy(
  logits: ArrayLike<number>,
  digits: Dataset,
  chosen: (index: number) => boolean,
): number {
  let hits = 0;
  let count = 0;
  for (let i = 0; i < digits.length; i++) {
    if (!chosen(i)) continue;
    const row = Array.from({ length: CLASSES }, (_, j) => logits[i * CLASSES + j]);
    count++;
    if (row.indexOf(Math.max(...row)) === digits.label(i)) hits++;
  }
  return hits / count;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a, (value, i) => Math.abs(value - b[i])).reduce((x, y) => Math.max(x, y));
}

function rootMeanSquare(values: ArrayLike<number>): number {
  return Math.sqrt(
    Array.from(values, (value) => value * value).reduce((a, b) => a + b) / values.length,
  );
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function sourceText(base64: string, heldOut: number): string {
  return `/**
 * The classifier of the embedded digits: a gzipped ONNX model, base64. Written by
 * tools/digit_classifier.ts; trained on half of the digits, it recognises
 * ${(100 * heldOut).toFixed(1)} % of the others.
 *
 * @module
 */

/** Line breaks are no part of the data. */
export const DIGIT_CLASSIFIER = \`
${base64.match(/.{1,100}/g)!.join("\n")}
\`;
`;
}

if (import.meta.main) {
  using digits = await openDigits();
  const pixels = Float32Array.from(
    { length: digits.length * 64 },
    (_, i) => digits.image(Math.floor(i / 64))[i % 64] / 127.5 - 1,
  );
  const device = await openDevice();
  console.error(`training on ${device.description}`);
  const weights = rounded(await train(device, digits));
  const own = await engineOutputs(device, weights, pixels);
  device.close();

  // Features of unit size: what kernel distances are made for, and distances that are easy to read.
  const scale = 1 / rootMeanSquare(own.features);
  const model = exportOnnx(weights, scale);
  await using extractor = await OnnxExtractor.load(model, { threads: 1 });
  const batch = { count: digits.length, height: 8, width: 8, channels: 1, data: pixels };
  const { features, logits } = await extractor.extract(batch);
  const difference = Math.max(
    largestDifference(logits!, own.logits),
    largestDifference(features, Array.from(own.features, (value) => value * scale)),
  );
  if (!(difference < 1e-4)) {
    throw new Error(`the outputs of the ONNX model differ from the engine's by ${difference}`);
  }
  const heldOut = accuracy(logits!, digits, isHeldOut);
  const seen = accuracy(logits!, digits, (i) => !isHeldOut(i));
  const text = sourceText((await gzip(model)).toBase64(), heldOut);
  const path = fromFileUrl(import.meta.resolve("../lib/eval/extractors/digit_classifier_data.ts"));
  await writeFileAtomic(path, text);
  console.error(
    `accuracy ${(100 * seen).toFixed(2)} % on what it was trained on, ` +
      `${(100 * heldOut).toFixed(2)} % on the other half; ONNX and engine differ by ` +
      `${difference.toExponential(1)} at most; ${text.length} bytes`,
  );
}
