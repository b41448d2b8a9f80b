/**
 * Doubling and halving of images by a separable filter, as lib/tensor/resample.ts defines it: `down`
 * is a convolution with stride 2, `up` its transpose, both with the taps as given (a gradient has
 * the taps of the other direction) and zeros outside. One thread makes one element, or four
 * channels where they are aligned.
 *
 * @module
 */

import type { ResampleKernel } from "../../../compile/kernels/resample.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import { type Dispatch, foldWorkgroups, type Target, workgroupNumber } from "../dispatch.ts";
import { literal } from "./functions.ts";
import { Memory, typeName } from "./memory.ts";

const THREADS = 64;

/** Code for a resampling. */
export function generateResample(kernel: ResampleKernel, target: Target): Dispatch[] {
  const { direction, filter, label } = kernel;
  const [, inputHeight, inputWidth, channels] = kernel.inputShape;
  const [, height, width] = kernel.outputShape;
  if (sizeOf(kernel.outputShape) === 0) return [];
  const vector = channels % 4 === 0 && kernel.source.offset % 4 === 0 &&
    kernel.target.offset % 4 === 0;
  const memory = new Memory(target, label);
  const source = memory.view(kernel.source, sizeOf(kernel.inputShape), { vector });
  const result = memory.view(kernel.target, sizeOf(kernel.outputShape), { vector, write: true });
  memory.seal();

  const lanes = vector ? 4 : 1;
  const threads = sizeOf(kernel.outputShape) / lanes;
  const workgroups = foldWorkgroups(Math.ceil(threads / THREADS), target);
  const padding = Math.floor((filter.length - 1) / 2);

  // Tap k of an axis of the output position `o`: the input position, and whether it is one.
  const tap = (o: string, size: number, k: number, name: string): string =>
    direction === "down"
      ? `let ${name} = i32(${o}) * 2 + ${k - padding}; let ${name}_in = ${name} >= 0 && ` +
        `${name} < ${size};`
      : `let ${name}_t = i32(${o}) + ${padding - k}; let ${name} = ${name}_t / 2; ` +
        `let ${name}_in = ${name}_t >= 0 && ${name}_t % 2 == 0 && ${name} < ${size};`;
  const lines: string[] = [];
  filter.forEach((_, k) => {
    lines.push(tap("y", inputHeight, k, `y${k}`), tap("x", inputWidth, k, `x${k}`));
  });
  filter.forEach((fy, ky) =>
    filter.forEach((fx, kx) => {
      const at = `((n * ${inputHeight}u + u32(y${ky})) * ${inputWidth}u + u32(x${kx})) * ` +
        `${channels}u + c`;
      const weight = literal(fy * fx, "f32");
      lines.push(
        `if (y${ky}_in && x${kx}_in) { value += ${weight} * ${
          vector ? source.load4(at) : source.load(at)
        }; }`,
      );
    })
  );
  const wgsl = `${memory.declarations}

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let thread = ${workgroupNumber(workgroups)} * ${THREADS}u + local;
if (thread >= ${threads}u) { return; }
let point = thread${vector ? " * 4u" : ""};
let c = point % ${channels}u;
let x = point / ${channels}u % ${width}u;
let y = point / ${channels * width}u % ${height}u;
let n = point / ${channels * width * height}u;
var value = ${typeName("f32", lanes)}(0.0);
${lines.join("\n")}
${vector ? result.store4("point", "value") : result.store("point", "value")}
}
`;
  return [{ label, wgsl, bindings: memory.bindings, params: memory.params, workgroups }];
}
