/** jax-js: JAX in JavaScript, compiled with its `jit`. @module */

import * as jax from "npm:@jax-js/jax@0.1.25";
import { type ConvTask, type KernelTask, NORM_EPS, taskShapes } from "../../lib/measure/tasks.ts";
import { type Engine, type PreparedTask, Unsupported, type Values } from "../engine.ts";
import { toHwio, toNchw, toNhwc, toOihw } from "../layout.ts";

const { numpy: np, lax, nn } = jax;
type Array = jax.Array;

/** Results that are kept until they are computed. */
const MOST_RESULTS = 16;

/** Opens one of its devices. */
export async function open(device: "wasm" | "webgpu"): Promise<Engine> {
  const there = await jax.init(device);
  if (!there.includes(device)) throw new Unsupported(`jax-js has no ${device} device here.`);
  jax.defaultDevice(device);
  return { description: `@jax-js/jax 0.1.25, ${device}`, prepare };
}

/** A task in its terms: images NCHW, weights OIHW. Functions consume their arguments. */
interface Formulation {
  readonly inputs: readonly Array[];
  readonly compute: (...inputs: Array[]) => Array[];
  /** From its layouts to ours. */
  readonly outputs: (results: Float32Array<ArrayBuffer>[]) => Values;
}

async function prepare(task: KernelTask, inputs: Values): Promise<PreparedTask> {
  const { inputs: given, compute, outputs } = formulate(task, inputs);
  const compiled = jax.jit(compute);
  let results: Array[] = [];
  // Work is put off until somebody wants the results: they may not be dropped before.
  const earlier: Array[] = [];
  const dropEarlier = () => earlier.splice(0).forEach((result) => result.dispose());
  const finish = async () => {
    await jax.blockUntilReady([...earlier, ...results]);
    dropEarlier();
  };
  return await Promise.resolve({
    async run() {
      earlier.push(...results);
      results = compiled(...given.map((x) => x.ref)) as Array[];
      if (earlier.length >= MOST_RESULTS) await finish();
    },
    finish,
    async read() {
      const data: Float32Array<ArrayBuffer>[] = [];
      for (const result of results) data.push(await result.ref.data() as Float32Array<ArrayBuffer>);
      return outputs(data);
    },
    free() {
      dropEarlier();
      results.forEach((result) => result.dispose());
      given.forEach((x) => x.dispose());
      compiled.dispose();
    },
  });
}

function formulate(task: KernelTask, values: Values): Formulation {
  const shapes = taskShapes(task);
  const plain = (name: string) => np.array(values[name], { shape: [...shapes[name]] });
  switch (task.kind) {
    case "gemm":
      return {
        inputs: [plain("a"), plain("b")],
        compute: (a, b) => [np.matmul(a, b)],
        outputs: ([y]) => ({ y }),
      };
    case "conv":
      return formulateConv(task, values);
    case "norm": {
      const { batch: n, resolution: size, channels: c, groups } = task;
      const grouped = [n, groups, c / groups, size, size];
      const forward = (x: Array, weight: Array, bias: Array) => {
        const g = x.reshape(grouped);
        const centered = g.ref.sub(np.mean(g, [2, 3, 4], { keepdims: true }));
        const variance = np.mean(np.square(centered.ref), [2, 3, 4], { keepdims: true });
        const normed = centered.div(np.sqrt(variance.add(NORM_EPS))).reshape([n, c, size, size]);
        return nn.silu(normed.mul(weight.reshape([1, c, 1, 1])).add(bias.reshape([1, c, 1, 1])));
      };
      const image = (name: string) =>
        np.array(toNchw(values[name], shapes.x), { shape: [n, c, size, size] });
      const inputs = [image("x"), plain("weight"), plain("bias")];
      const back = (x: Float32Array<ArrayBuffer>) => toNhwc(x, [n, c, size, size]);
      if (task.pass === "forward") {
        return {
          inputs,
          compute: (x, w, b) => [forward(x, w, b)],
          outputs: ([y]) => ({ y: back(y) }),
        };
      }
      return {
        inputs: [...inputs, image("dy")],
        compute: (x, w, b, dy) => withGradients(forward, [x, w, b], dy),
        outputs: ([y, dx, dweight, dbias]) => ({ y: back(y), dx: back(dx), dweight, dbias }),
      };
    }
    case "attention": {
      const { batch, tokens, channels } = task;
      const flat = (name: string) => np.array(values[name], { shape: [batch, tokens, channels] });
      const forward = (q: Array, k: Array, v: Array) => {
        const scores = np.matmul(q, np.transpose(k, [0, 2, 1])).mul(channels ** -0.5);
        return np.matmul(nn.softmax(scores, -1), v);
      };
      const inputs = [flat("q"), flat("k"), flat("v")];
      if (task.pass === "forward") {
        return { inputs, compute: (q, k, v) => [forward(q, k, v)], outputs: ([y]) => ({ y }) };
      }
      return {
        inputs: [...inputs, flat("dy")],
        compute: (q, k, v, dy) => withGradients(forward, [q, k, v], dy),
        outputs: ([y, dq, dk, dv]) => ({ y, dq, dk, dv }),
      };
    }
  }
}

function formulateConv(task: ConvTask, values: Values): Formulation {
  const { batch: n, resolution: size, inChannels, outChannels } = task;
  const xShape = [n, inChannels, size, size];
  const wShape = [outChannels, inChannels, 3, 3];
  const image = (name: string, channels: number) =>
    np.array(toNchw(values[name], [n, size, size, channels]), { shape: [n, channels, size, size] });
  const weight = () =>
    np.array(toOihw(values.w, [3, 3, inChannels, outChannels]), { shape: wShape });
  const forward = (x: Array, w: Array) => lax.convGeneralDilated(x, w, [1, 1], "SAME");
  switch (task.pass) {
    case "forward":
      return {
        inputs: [image("x", inChannels), weight()],
        compute: (x, w) => [forward(x, w)],
        outputs: ([y]) => ({ y: toNhwc(y, [n, outChannels, size, size]) }),
      };
    // The convolution is linear: its gradient does not depend on the argument it is taken in.
    case "input gradient":
      return {
        inputs: [image("dy", outChannels), weight()],
        compute: (dy, w) => gradients((x) => forward(x, w.ref), [np.zeros(xShape)], dy),
        outputs: ([dx]) => ({ dx: toNhwc(dx, xShape) }),
      };
    case "weight gradient":
      return {
        inputs: [image("x", inChannels), image("dy", outChannels)],
        compute: (x, dy) => gradients((w) => forward(x.ref, w), [np.zeros(wShape)], dy),
        outputs: ([dw]) => ({ dw: toHwio(dw, wShape) }),
      };
  }
}

type Function = (...inputs: Array[]) => Array;

function gradients(f: Function, at: Array[], dy: Array): Array[] {
  const [y, backward] = jax.vjp(f, at);
  y.dispose();
  return backward(dy) as Array[];
}

function withGradients(f: Function, at: Array[], dy: Array): Array[] {
  const [y, backward] = jax.vjp(f, at);
  return [y, ...backward(dy) as Array[]];
}
