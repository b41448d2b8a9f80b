/**
 * What this device knows of each kind of kernel, one row a kind: its code; the menu of codes among
 * which the tuner chooses; which kernels share a choice; and which are worth measuring first.
 *
 * @module
 */

import { blocksOf } from "../../compile/blocks.ts";
import type { Kernel, KernelKind, KernelOfKind } from "../../compile/kernels/mod.ts";
import type { AttentionGradKernel, AttentionKernel } from "../../compile/kernels/attention.ts";
import type { ConvKernel } from "../../compile/kernels/conv.ts";
import type { Access, Expression } from "../../compile/kernels/kernel.ts";
import type { MatmulKernel } from "../../compile/kernels/matmul.ts";
import type { MomentsKernel, ReduceKernel } from "../../compile/kernels/reduce.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { Dispatch, Target, Variant } from "./dispatch.ts";
import { type ProductSizes, tileName, tilesFor } from "./tiles.ts";
import { generateAttention, generateAttentionGrad } from "./wgsl/attention.ts";
import { samplesAtOnce } from "./wgsl/attention_products.ts";
import { asMatmul, convSizes, generateConv } from "./wgsl/conv.ts";
import { generateElementwise } from "./wgsl/elementwise.ts";
import { generateGather } from "./wgsl/gather.ts";
import { generateMatmul, isThin } from "./wgsl/matmul.ts";
import { generateMoments } from "./wgsl/moments.ts";
import { generateReduce } from "./wgsl/reduce.ts";
import { generateResample } from "./wgsl/resample.ts";

/** A row. (Methods: so the row of one kind also is one of any kind; see `Description`.) */
interface Row<K> {
  /** The dispatches of a kernel, in order. */
  generate(kernel: K, target: Target): Dispatch[];
  /** The variants of a kernel, the best guess first; where there is only one, nothing is tuned. */
  variants(kernel: K, target: Target): readonly Variant[];
  /** Equal for kernels with about the same sizes, which share a choice. */
  form(kernel: K, target: Target): string;
  /** About how many multiplications a kernel costs; 0 where tuning has nothing to choose. */
  cost(kernel: K): number;
}

/** All but the code of kernels that are made in one way. */
const ONE_WAY = {
  variants: () => [{ name: "only" }],
  form: ({ kind }: Kernel) => kind,
  cost: () => 0,
};

const MATMUL: Omit<Row<MatmulKernel>, "generate"> = {
  variants: (kernel, target) =>
    isThin(kernel, target) ? workgroups([64, 256], target) : tiles(matmulSizes(kernel), target),
  form(kernel, target) {
    const layout = [kernel.a, kernel.b].map(({ strides }) => strides.indexOf(1)).join("");
    return `matmul ${layout} ${product(matmulSizes(kernel))}${invariance(target)}`;
  },
  cost: (kernel) => multiplications(matmulSizes(kernel)),
};

const CONV: Row<ConvKernel> = {
  generate: generateConv,
  variants(kernel, target) {
    const matmul = asMatmul(kernel);
    return matmul ? MATMUL.variants(matmul, target) : tiles(convSizes(kernel), target);
  },
  form(kernel, target) {
    const matmul = asMatmul(kernel);
    if (matmul) return MATMUL.form(matmul, target);
    const { kernel: [kh, kw], stride } = kernel.geometry;
    const sizes = product(convSizes(kernel));
    return `${kernel.kind} ${kh}x${kw}/${stride} ${sizes}${invariance(target)}`;
  },
  cost: (kernel) => multiplications(convSizes(kernel)),
};

const REDUCTION: Omit<Row<ReduceKernel | MomentsKernel>, "generate"> = {
  variants: (_, target) => workgroups([64, 256], target),
  form({ kind, body, keptRank }, target) {
    const kept = about(sizeOf(body.shape.slice(0, keptRank)));
    const reduced = about(sizeOf(body.shape.slice(keptRank)));
    const layout = innermost(body.operands[0]);
    return `${kind} ${kept}x${reduced} ${layout} ${weight(body)}${invariance(target)}`;
  },
  cost: ({ body }) => traffic(body),
};

const ATTENTION: Omit<Row<AttentionKernel | AttentionGradKernel>, "generate"> = {
  variants: (kernel, target) =>
    samplesAtOnce(kernel, target) > 0
      ? [{ name: "products" }]
      : workgroups([64, 32, 128, 256], target),
  form({ kind, shape: [batch, queries, heads, dim], keys }) {
    return `${kind} ${about(batch * heads)}x${about(queries)}x${about(keys)}x${dim}`;
  },
  cost: ({ shape, keys }) => 2 * sizeOf(shape) * keys,
};

const ROWS: { readonly [Kind in KernelKind]: Row<KernelOfKind<Kind>> } = {
  elementwise: {
    generate: generateElementwise,
    variants: (_, target) => threads([64, 128, 256], target),
    form: ({ body }) => `elementwise ${about(sizeOf(body.shape))} ${weight(body)}`,
    cost: ({ body }) => traffic(body),
  },
  reduce: { generate: generateReduce, ...REDUCTION },
  moments: { generate: generateMoments, ...REDUCTION },
  matmul: { generate: generateMatmul, ...MATMUL },
  conv2d: CONV,
  conv2dGradInput: CONV,
  conv2dGradWeight: CONV,
  attention: { generate: generateAttention, ...ATTENTION },
  attentionGrad: { generate: generateAttentionGrad, ...ATTENTION },
  gather: { generate: generateGather, ...ONE_WAY },
  scatterAdd: { generate: generateGather, ...ONE_WAY },
  resample: { generate: generateResample, ...ONE_WAY },
};

function rowOf(kernel: Kernel): Row<Kernel> {
  return ROWS[kernel.kind];
}

/** The dispatches of a kernel, in order. */
export function generate(kernel: Kernel, target: Target): Dispatch[] {
  return rowOf(kernel).generate(kernel, target);
}

/** The variants of a kernel, the best guess first; a kernel that has only one needs no tuning. */
export function variantsOf(kernel: Kernel, target: Target): readonly Variant[] {
  return rowOf(kernel).variants(kernel, target);
}

/**
 * Kernels of one class share a choice: the same kind of kernel with about the same sizes. The text
 * is part of the tuner's file.
 */
export function classOf(kernel: Kernel, target: Target): string {
  const half = blocksOf(kernel).reads.some(({ dtype }) => dtype === "f16");
  return `${rowOf(kernel).form(kernel, target)}${half ? " of f16" : ""}`;
}

/** Relative cost of a kernel, to tune the most expensive first. */
export function costOf(kernel: Kernel): number {
  return rowOf(kernel).cost(kernel);
}

function tiles(sizes: ProductSizes, target: Target): Variant[] {
  return tilesFor(sizes, target).map((tile) => ({ name: tileName(tile), tile }));
}

function threads(counts: readonly number[], { maxThreads }: Target): Variant[] {
  return counts.filter((n) => n <= maxThreads).map((n) => ({ name: `${n} threads`, threads: n }));
}

function workgroups(counts: readonly number[], target: Target): Variant[] {
  const sizes: Variant[] = [{ name: "usual" }, ...threads(counts, target)];
  if (target.subgroupSize === null) return sizes;
  return sizes.flatMap((size): Variant[] => [
    size,
    { ...size, name: `${size.name}, no subgroups`, subgroups: false },
  ]);
}

function matmulSizes({ batch, m, n, k }: MatmulKernel): ProductSizes {
  return { batch, rows: m, columns: n, depth: k };
}

function multiplications({ batch, rows, columns, depth }: ProductSizes): number {
  return batch * rows * columns * depth;
}

/** A number that is read or written costs many times what a multiplication does. */
function traffic({ shape, operands }: Expression): number {
  return 16 * sizeOf(shape) * (1 + operands.length);
}

function invariance({ batchInvariant }: Target): string {
  return batchInvariant ? " invariant" : "";
}

/** Columns count exactly while tiles of different widths waste different parts of them. */
function product({ batch, rows, columns, depth }: ProductSizes): string {
  const exact = columns <= 128 ? Math.ceil(columns / 16) * 16 : about(columns);
  return `${about(batch)}x${about(rows)}x${exact}x${about(depth)}`;
}

function weight({ operands, instrs }: Expression): string {
  return `${operands.length}/${about(instrs.length)}`;
}

function innermost(access: Access | undefined): number {
  return access ? access.strides.indexOf(1) : -1;
}

/** The next power of two. */
function about(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}
