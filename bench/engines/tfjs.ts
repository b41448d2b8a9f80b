/**
 * TensorFlow.js on whatever backend has been chosen. Without a compiler: every operation runs as it
 * is called.
 *
 * @module
 */

import * as tf from "npm:@tensorflow/tfjs-core@4.22.0";
// The gradients: in Deno only the whole package registers them.
import "npm:@tensorflow/tfjs@4.22.0";
import { type KernelTask, NORM_EPS, taskShapes } from "../../lib/measure/tasks.ts";
import { type Engine, type PreparedTask, Unsupported, type Values } from "../engine.ts";

/** The engine, once its backend has been registered. */
export async function openBackend(backend: string, note = ""): Promise<Engine> {
  if (!await tf.setBackend(backend)) {
    throw new Unsupported(`TensorFlow.js has no ${backend} backend here.`);
  }
  await tf.ready();
  return { description: `@tensorflow/tfjs 4.22.0, ${backend}${note}`, prepare };
}

async function prepare(task: KernelTask, values: Values): Promise<PreparedTask> {
  const shapes = taskShapes(task);
  const inputs = Object.fromEntries(
    Object.entries(values).map(([name, data]) => [name, tf.tensor(data, [...shapes[name]])]),
  );
  const compute = formulate(task, inputs);
  let results: Record<string, tf.Tensor> = {};
  return await Promise.resolve({
    run() {
      tf.dispose(results);
      results = tf.tidy(compute);
    },
    async finish() {
      // There is no other way to wait than to read; of a large result a small part.
      const [first] = Object.values(results);
      const part = tf.tidy(() => tf.slice(tf.reshape(first, [-1]), 0, 1));
      await part.data();
      part.dispose();
    },
    async read() {
      const read: Values = {};
      for (const [name, tensor] of Object.entries(results)) {
        read[name] = await tensor.data() as Float32Array<ArrayBuffer>;
      }
      return read;
    },
    free() {
      tf.dispose(results);
      tf.dispose(inputs);
    },
  });
}

/** A task in its terms: images NHWC and weights HWIO, as ours. */
function formulate(
  task: KernelTask,
  inputs: Record<string, tf.Tensor>,
): () => Record<string, tf.Tensor> {
  const { a, b, x, w, dy, weight, bias, q, k, v } = inputs;
  switch (task.kind) {
    case "gemm":
      return () => ({ y: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D) });
    case "conv": {
      const attrs = { strides: [1, 1], pad: "same", dataFormat: "NHWC", dimRoundingMode: null };
      // The gradients as its own automatic differentiation calls them.
      const run = (kernel: string, given: Record<string, tf.Tensor>, more: object) =>
        tf.engine().runKernel(kernel, given, { ...attrs, ...more } as never) as tf.Tensor;
      const { batch, resolution, inChannels, outChannels } = task;
      switch (task.pass) {
        case "forward":
          return () => ({ y: tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, "same") });
        case "input gradient": {
          const inputShape = [batch, resolution, resolution, inChannels];
          return () => ({ dx: run("Conv2DBackpropInput", { dy, filter: w }, { inputShape }) });
        }
        case "weight gradient": {
          const filterShape = [3, 3, inChannels, outChannels];
          return () => ({ dw: run("Conv2DBackpropFilter", { x, dy }, { filterShape }) });
        }
      }
      break;
    }
    case "norm": {
      const { batch, resolution, channels, groups } = task;
      const forward = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) => {
        const grouped = tf.reshape(x, [batch, resolution ** 2, groups, channels / groups]);
        const { mean, variance } = tf.moments(grouped, [1, 3], true);
        const deviation = tf.sqrt(tf.add(variance, NORM_EPS));
        const normed = tf.reshape(tf.div(tf.sub(grouped, mean), deviation), x.shape);
        const y = tf.add(tf.mul(normed, weight), bias);
        return tf.mul(y, tf.sigmoid(y));
      };
      if (task.pass === "forward") return () => ({ y: forward(x, weight, bias) });
      const names = ["dx", "dweight", "dbias"];
      return withGradients(forward, [x, weight, bias], names, dy);
    }
    case "attention": {
      const { batch, tokens, channels } = task;
      const flat = (t: tf.Tensor) => tf.reshape(t, [batch, tokens, channels]);
      const forward = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => {
        const scores = tf.mul(tf.matMul(flat(q), flat(k), false, true), channels ** -0.5);
        return tf.reshape(tf.matMul(tf.softmax(scores), flat(v)), q.shape);
      };
      if (task.pass === "forward") return () => ({ y: forward(q, k, v) });
      return withGradients(forward, [q, k, v], ["dq", "dk", "dv"], dy);
    }
  }
}

function withGradients(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  names: readonly string[],
  dy: tf.Tensor,
): () => Record<string, tf.Tensor> {
  const differentiated = tf.valueAndGrads(f);
  return () => {
    const { value, grads } = differentiated(inputs, dy);
    return { y: value, ...Object.fromEntries(grads.map((grad, i) => [names[i], grad])) };
  };
}
