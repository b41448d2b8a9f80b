/**
 * Expressions and accesses for people.
 *
 * @module
 */

import type { Access, Epilogue, Expression, Store } from "./kernel.ts";

/** An expression with the values of it that are written. */
export function printBody(body: Expression, stores: readonly Store[]): string {
  const instrs = body.instrs.map((instr, i) => {
    switch (instr.op) {
      case "load":
        return `v${i}=${printAccess(body.operands[instr.operand])}`;
      case "const":
        return `v${i}=${instr.value}`;
      case "result":
        return `v${i}=result${instr.index}`;
      case "random":
        return `v${i}=${instr.distribution}#${instr.stream}`;
      case "map":
        return `v${i}=${instr.fn}(${instr.args.map((arg) => `v${arg}`).join(",")})`;
    }
  });
  const written = stores.map(({ value, target }) => `${printAccess(target)}=v${value}`);
  return `[${body.shape}] {${[...instrs, ...written].join("; ")}}`;
}

/** What becomes of a kernel's results. */
export function printEpilogue({ body, stores }: Epilogue): string {
  return printBody(body, stores);
}

/** Where an operand lies. */
export function printAccess({ buffer, offset, strides, dtype }: Access): string {
  const half = dtype === "f16" ? "h" : "";
  return `b${buffer}${half}${offset > 0 ? `+${offset}` : ""}(${strides})`;
}
