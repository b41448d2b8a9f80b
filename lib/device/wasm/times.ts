/**
 * Where the time of a plan goes (IMM_DEBUG=3).
 *
 * @module
 */

import type { Plan } from "../../compile/plan.ts";

/** Milliseconds per kernel of a plan. */
export class KernelTimes {
  readonly #total: number[];
  #runs = 0;

  constructor(private readonly plan: Plan) {
    this.#total = plan.kernels.map(() => 0);
  }

  /** Adds a run of a kernel. */
  add(kernel: number, milliseconds: number): void {
    if (kernel === 0) this.#runs++;
    this.#total[kernel] += milliseconds;
  }

  /** Prints the kernels to stderr, slowest first, with their share of the time. */
  print(): void {
    if (this.#runs === 0) return;
    const sum = this.#total.reduce((total, time) => total + time, 0);
    const lines = this.#total
      .map((time, kernel) => ({ time, kernel }))
      .sort((a, b) => b.time - a.time)
      .map(({ time, kernel }) => {
        const { kind, label } = this.plan.kernels[kernel];
        const share = `${(100 * time / sum).toFixed(1)}%`.padStart(6);
        return `  ${share} ${(time / this.#runs).toFixed(3)} ms  ${kernel}: ${kind} ${label}`;
      });
    const each = (sum / this.#runs).toFixed(2);
    console.error(`${this.plan.label}: ${each} ms per run\n${lines.join("\n")}`);
  }
}
