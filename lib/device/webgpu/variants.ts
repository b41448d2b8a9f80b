/**
 * The menu of codes for a kernel, among which the tuner chooses, and the class of kernels for which a
 * choice is made.
 *
 * @module
 */

import { blocksOf } from "../../compile/blocks.ts";
import type { Access, Expression, Kernel, MatmulKernel } from "../../compile/plan.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { Target, Variant } from "./dispatch.ts";
import { type ProductSizes, tileName, tilesFor } from "./tiles.ts";
import { samplesAtOnce } from "./wgsl/attention_products.ts";
import { asMatmul, convSizes } from "./wgsl/conv.ts";
import { isThin } from "./wgsl/matmul.ts";

/** The variants of a kernel, the best guess first; a kernel that has only one needs no tuning. */
export function variantsOf(kernel: Kernel, target: Target): readonly Variant[] {
  switch (kernel.kind) {
    case "conv2d":
    case "conv2dGradInput":
    case "conv2dGradWeight": {
      const matmul = asMatmul(kernel);
      return matmul ? variantsOf(matmul, target) : tiles(convSizes(kernel), target);
    }
    case "matmul":
      if (isThin(kernel, target)) return workgroups([64, 256], target);
      return tiles(matmulSizes(kernel), target);
    case "reduce":
    case "moments":
      return workgroups([64, 256], target);
    case "attention":
    case "attentionGrad":
      if (samplesAtOnce(kernel, target) > 0) return [{ name: "products" }];
      return workgroups([64, 32, 128, 256], target);
    case "elementwise":
      return threads([64, 128, 256], target);
    case "gather":
    case "scatterAdd":
    case "resample":
      return [{ name: "only" }];
  }
}

/**
 * Kernels of one class share a choice: the same kind of kernel with about the same sizes. The text
 * is part of the tuner's file.
 */
export function classOf(kernel: Kernel, target: Target): string {
  const half = blocksOf(kernel).reads.some(({ dtype }) => dtype === "f16");
  return `${formOf(kernel, target)}${half ? " of f16" : ""}`;
}

function formOf(kernel: Kernel, target: Target): string {
  const invariant = target.batchInvariant ? " invariant" : "";
  switch (kernel.kind) {
    case "conv2d":
    case "conv2dGradInput":
    case "conv2dGradWeight": {
      const matmul = asMatmul(kernel);
      if (matmul) return formOf(matmul, target);
      const { kernel: [kh, kw], stride } = kernel.geometry;
      return `${kernel.kind} ${kh}x${kw}/${stride} ${product(convSizes(kernel))}${invariant}`;
    }
    case "matmul": {
      const layout = [kernel.a, kernel.b].map(({ strides }) => strides.indexOf(1)).join("");
      return `matmul ${layout} ${product(matmulSizes(kernel))}${invariant}`;
    }
    case "reduce":
    case "moments": {
      const { shape } = kernel.body;
      const kept = about(sizeOf(shape.slice(0, kernel.keptRank)));
      const reduced = about(sizeOf(shape.slice(kernel.keptRank)));
      const layout = innermost(kernel.body.operands[0]);
      return `${kernel.kind} ${kept}x${reduced} ${layout} ${weight(kernel.body)}${invariant}`;
    }
    case "attention":
    case "attentionGrad": {
      const [batch, queries, heads, dim] = kernel.shape;
      return `${kernel.kind} ${about(batch * heads)}x${about(queries)}x${
        about(kernel.keys)
      }x${dim}`;
    }
    case "elementwise":
      return `elementwise ${about(sizeOf(kernel.body.shape))} ${weight(kernel.body)}`;
    case "gather":
    case "scatterAdd":
    case "resample":
      return kernel.kind;
  }
}

/** Relative cost of a kernel, to tune the most expensive first. */
export function costOf(kernel: Kernel): number {
  switch (kernel.kind) {
    case "conv2d":
    case "conv2dGradInput":
    case "conv2dGradWeight":
      return multiplications(convSizes(kernel));
    case "matmul":
      return multiplications(matmulSizes(kernel));
    case "attention":
    case "attentionGrad":
      return 2 * sizeOf(kernel.shape) * kernel.keys;
    case "elementwise":
    case "reduce":
    case "moments":
      // A number that is read or written costs many times what a multiplication does.
      return 16 * sizeOf(kernel.body.shape) * (1 + kernel.body.operands.length);
    case "gather":
    case "scatterAdd":
    case "resample":
      return 0;
  }
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
