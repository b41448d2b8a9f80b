/**
 * onnxruntime-web with models written by lib/formats/onnx/model.ts; forward only, for that is what it
 * does. The weights of a convolution are constants, which it may lay out anew beforehand.
 *
 * @module
 */

import { OnnxGraph } from "../../lib/formats/onnx/model.ts";
import { conv2d } from "../../lib/formats/onnx/layers.ts";
import { type KernelTask, NORM_EPS } from "../../lib/measure/tasks.ts";
import { type PreparedTask, Unsupported, type Values } from "../engine.ts";
import { toNchw, toNhwc, toOihw } from "../layout.ts";

/** What both builds of the package have in common. */
export interface Runtime {
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => OrtTensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<Session>;
  };
}

interface OrtTensor {
  readonly data: unknown;
  getData?(): Promise<unknown>;
  dispose?(): void;
}

interface Session {
  run(inputs: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

/** A task as a model, its inputs, and the way back to our layout. */
interface Formulation {
  readonly model: Uint8Array;
  readonly inputs: Readonly<Record<string, readonly [Float32Array, readonly number[]]>>;
  readonly output: (y: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;
}

/** Prepares a task. The output stays where it was computed, if the build can do so. */
export async function prepare(
  runtime: Runtime,
  options: object,
  task: KernelTask,
  values: Values,
): Promise<PreparedTask> {
  const { model, inputs, output } = formulate(task, values);
  const session = await runtime.InferenceSession.create(model, options);
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, [data, shape]]) => [
      name,
      new runtime.Tensor("float32", data, shape),
    ]),
  );
  let results: Record<string, OrtTensor> = {};
  const drop = () => Object.values(results).forEach((tensor) => tensor.dispose?.());
  return {
    async run() {
      drop();
      results = await session.run(tensors);
    },
    finish: () => Promise.resolve(),
    async read() {
      const data = await (results.y.getData?.() ?? results.y.data) as Float32Array;
      return { y: output(Float32Array.from(data)) };
    },
    free() {
      drop();
      session.release();
    },
  };
}

function formulate(task: KernelTask, values: Values): Formulation {
  if ("pass" in task && task.pass !== "forward") {
    throw new Unsupported("onnxruntime-web computes no gradients.");
  }
  const graph = new OnnxGraph("task");
  const finish = (y: ReturnType<OnnxGraph["node"]>, shape: readonly number[]) => {
    graph.output(y, "y", "float32", shape);
    return graph.toBytes();
  };
  switch (task.kind) {
    case "gemm": {
      const shape = [task.size, task.size];
      const a = graph.input("a", "float32", shape);
      // A constant: what a weight is.
      const b = graph.constant(values.b, shape);
      return {
        model: finish(graph.node("MatMul", [a, b]), shape),
        inputs: { a: [values.a, shape] },
        output: (y) => y,
      };
    }
    case "conv": {
      const { batch, resolution: size, inChannels, outChannels } = task;
      const shape = [batch, inChannels, size, size];
      const outShape = [batch, outChannels, size, size];
      const weight = {
        data: toOihw(values.w, [3, 3, inChannels, outChannels]),
        shape: [outChannels, inChannels, 3, 3],
      };
      const x = graph.input("x", "float32", shape);
      return {
        model: finish(conv2d(graph, x, weight, undefined, { padding: 1 }), outShape),
        inputs: { x: [toNchw(values.x, [batch, size, size, inChannels]), shape] },
        output: (y) => toNhwc(y, outShape),
      };
    }
    case "norm": {
      const { batch, resolution: size, channels, groups } = task;
      const shape = [batch, channels, size, size];
      const grouped = [batch, groups, channels / groups * size * size];
      const node = graph.node.bind(graph);
      const sizes = (list: readonly number[]) => graph.constant(BigInt64Array.from(list, BigInt));
      const x = graph.input("x", "float32", shape);
      // The usual way to write a group norm: the norm of each sample's groups as if they were
      // channels, whose own weights are 1 and 0.
      const ones = graph.constant(new Float32Array(groups).fill(1));
      const zeros = graph.constant(new Float32Array(groups));
      const rows = node("Reshape", [x, sizes(grouped)]);
      const flat = node("InstanceNormalization", [rows, ones, zeros], {
        epsilon: { float: NORM_EPS },
      });
      const perChannel = [1, channels, 1, 1];
      const normed = node("Reshape", [flat, sizes(shape)]);
      const scaled = node("Mul", [normed, graph.constant(values.weight, perChannel)]);
      const y = node("Add", [scaled, graph.constant(values.bias, perChannel)]);
      return {
        model: finish(node("Mul", [y, node("Sigmoid", [y])]), shape),
        inputs: { x: [toNchw(values.x, [batch, size, size, channels]), shape] },
        output: (y) => toNhwc(y, shape),
      };
    }
    case "attention": {
      const { batch, tokens, channels } = task;
      const shape = [batch, tokens, channels];
      const [q, k, v] = ["q", "k", "v"].map((name) => graph.input(name, "float32", shape));
      const scores = graph.node("MatMul", [q, graph.node("Transpose", [k], { perm: [0, 2, 1] })]);
      const scale = graph.constant(Float32Array.of(channels ** -0.5));
      const weights = graph.node("Softmax", [graph.node("Mul", [scores, scale])], { axis: 2 });
      return {
        model: finish(graph.node("MatMul", [weights, v]), shape),
        inputs: Object.fromEntries(["q", "k", "v"].map((name) => [name, [values[name], shape]])),
        output: (y) => y,
      };
    }
  }
}
