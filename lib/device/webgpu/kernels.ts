/**
 * From a kernel of a plan to dispatches.
 *
 * @module
 */

import type { Kernel } from "../../compile/plan.ts";
import { InternalError } from "../../base/errors.ts";
import type { Dispatch, Target } from "./dispatch.ts";
import { generateAttention, generateAttentionGrad } from "./wgsl/attention.ts";
import { generateConv } from "./wgsl/conv.ts";
import { generateElementwise } from "./wgsl/elementwise.ts";
import { generateGather } from "./wgsl/gather.ts";
import { generateMatmul } from "./wgsl/matmul.ts";
import { generateMoments } from "./wgsl/moments.ts";
import { generateReduce } from "./wgsl/reduce.ts";
import { generateResample } from "./wgsl/resample.ts";

/** The dispatches of a kernel, in order. */
export function generate(kernel: Kernel, target: Target): Dispatch[] {
  switch (kernel.kind) {
    case "elementwise":
      return generateElementwise(kernel, target);
    case "reduce":
      return generateReduce(kernel, target);
    case "moments":
      return generateMoments(kernel, target);
    case "matmul":
      return generateMatmul(kernel, target);
    case "conv2d":
    case "conv2dGradInput":
    case "conv2dGradWeight":
      return generateConv(kernel, target);
    case "attention":
      return generateAttention(kernel, target);
    case "attentionGrad":
      return generateAttentionGrad(kernel, target);
    case "gather":
    case "scatterAdd":
      return generateGather(kernel, target);
    case "resample":
      return generateResample(kernel, target);
    default:
      throw new InternalError(`there is no code for the kernel ${kernel satisfies never}`);
  }
}
