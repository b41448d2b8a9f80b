/**
 * The operations that decide how fast networks run, as tasks that any engine can be given: shapes,
 * inputs, and what is to come out.
 *
 * @module
 */

import type { Program } from "../compile/program.ts";
import { threefry2x32 } from "../random/threefry.ts";
import {
  attention,
  conv2d,
  conv2dGradInput,
  conv2dGradWeight,
  grad,
  groupNorm,
  input,
  matmul,
  mul,
  type Shape,
  silu,
  sizeOf,
  sum,
  type Tensor,
} from "../tensor/mod.ts";

/** C [n, n] = A [n, n] B [n, n]. */
export interface GemmTask {
  readonly kind: "gemm";
  /** n */
  readonly size: number;
}

/** A 3x3 convolution with stride 1 and a border of zeros, or one of its gradients. */
export interface ConvTask {
  readonly kind: "conv";
  readonly pass: "forward" | "input gradient" | "weight gradient";
  readonly batch: number;
  /** Height and width of input and output. */
  readonly resolution: number;
  readonly inChannels: number;
  readonly outChannels: number;
}

/** SiLU of a group norm; with `gradient` the gradients of input, weight and bias as well. */
export interface NormTask {
  readonly kind: "norm";
  readonly pass: "forward" | "gradient";
  readonly batch: number;
  readonly resolution: number;
  readonly channels: number;
  readonly groups: number;
}

/** Attention with one head; with `gradient` the gradients of q, k and v as well. */
export interface AttentionTask {
  readonly kind: "attention";
  readonly pass: "forward" | "gradient";
  readonly batch: number;
  readonly tokens: number;
  readonly channels: number;
}

/** A task; images are NHWC and weights of convolutions [kh, kw, in, out]. */
export type KernelTask = GemmTask | ConvTask | NormTask | AttentionTask;

/** Added to variances. */
export const NORM_EPS = 1e-5;

/** What a task is called in tables. */
export function taskName(task: KernelTask): string {
  switch (task.kind) {
    case "gemm":
      return `GEMM ${task.size}`;
    case "conv": {
      const { batch, resolution, inChannels, outChannels, pass } = task;
      const image = `${batch} x ${resolution}x${resolution}`;
      return `conv 3x3 ${inChannels}-${outChannels}, ${image}, ${pass}`;
    }
    case "norm": {
      const { batch, resolution, channels, pass } = task;
      const image = `${batch} x ${resolution}x${resolution}`;
      return `group norm + SiLU ${channels}, ${image}, ${withForward(pass)}`;
    }
    case "attention": {
      const { batch, tokens, channels, pass } = task;
      return `attention ${batch} x ${tokens} x ${channels}, ${withForward(pass)}`;
    }
  }
}

function withForward(pass: "forward" | "gradient"): string {
  return pass === "gradient" ? "forward + gradient" : pass;
}

/** The inputs of a task by name, and their shapes. */
export function taskShapes(task: KernelTask): Record<string, Shape> {
  switch (task.kind) {
    case "gemm":
      return { a: [task.size, task.size], b: [task.size, task.size] };
    case "conv": {
      const { batch, resolution, inChannels, outChannels, pass } = task;
      const x = [batch, resolution, resolution, inChannels];
      const y = [batch, resolution, resolution, outChannels];
      const w = [3, 3, inChannels, outChannels];
      return pass === "forward"
        ? { x, w }
        : pass === "input gradient"
        ? { dy: y, w }
        : { x, dy: y };
    }
    case "norm": {
      const { batch, resolution, channels, pass } = task;
      const x = [batch, resolution, resolution, channels];
      return { x, weight: [channels], bias: [channels], ...(pass === "gradient" ? { dy: x } : {}) };
    }
    case "attention": {
      const q = [task.batch, task.tokens, 1, task.channels];
      return { q, k: q, v: q, ...(task.pass === "gradient" ? { dy: q } : {}) };
    }
  }
}

/** The same inputs for every engine: uniform from -1 to 1. */
export function taskInputs(task: KernelTask): Record<string, Float32Array<ArrayBuffer>> {
  return Object.fromEntries(
    Object.entries(taskShapes(task)).map(([name, shape], i) => {
      const values = new Float32Array(sizeOf(shape));
      for (let j = 0; j < values.length; j += 2) {
        const words = threefry2x32(i, 0, j, 0);
        values[j] = words[0] * 2 ** -31 - 1;
        if (j + 1 < values.length) values[j + 1] = words[1] * 2 ** -31 - 1;
      }
      return [name, values];
    }),
  );
}

/** The task as a program. */
export function taskProgram(task: KernelTask): Program {
  const inputs: Record<string, Tensor> = Object.fromEntries(
    Object.entries(taskShapes(task)).map(([name, shape]) => [name, input(name, shape)]),
  );
  return {
    label: taskName(task),
    inputs: Object.values(inputs),
    outputs: taskOutputs(task, inputs),
    updates: [],
  };
}

function taskOutputs(
  task: KernelTask,
  { a, b, x, w, dy, weight, bias, q, k, v }: Record<string, Tensor>,
): Record<string, Tensor> {
  switch (task.kind) {
    case "gemm":
      return { y: matmul(a, b) };
    case "conv": {
      const geometry = { kernel: [3, 3], stride: 1, padding: 1 } as const;
      const { batch, resolution, inChannels, pass } = task;
      if (pass === "forward") return { y: conv2d(x, w) };
      if (pass === "weight gradient") return { dw: conv2dGradWeight(x, dy, geometry) };
      const shape = [batch, resolution, resolution, inChannels];
      return { dx: conv2dGradInput(dy, w, shape, geometry) };
    }
    case "norm": {
      const y = silu(groupNorm(x, task.groups, weight, bias, NORM_EPS));
      if (task.pass === "forward") return { y };
      const [dx, dweight, dbias] = grad(sum(mul(y, dy)), [x, weight, bias]);
      return { y, dx, dweight, dbias };
    }
    case "attention": {
      const y = attention(q, k, v);
      if (task.pass === "forward") return { y };
      const [dq, dk, dv] = grad(sum(mul(y, dy)), [q, k, v]);
      return { y, dq, dk, dv };
    }
  }
}
