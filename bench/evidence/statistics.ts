/**
 * Means, spreads, and whether two means differ.
 *
 * @module
 */

/** Mean and standard deviation of some numbers. */
export interface Summary {
  readonly mean: number;
  /** With n - 1 below; NaN for a single number. */
  readonly deviation: number;
  readonly count: number;
}

/** The summary of at least one number. */
export function summarize(values: readonly number[]): Summary {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (count - 1)), count };
}

/** Welch's test of two means. */
export interface WelchTest {
  /** Difference of the means over its standard error. */
  readonly t: number;
  /** Degrees of freedom, by Welch and Satterthwaite. */
  readonly freedom: number;
  /** Probability of a difference at least as large if the means are equal. */
  readonly p: number;
}

/** Welch's test; null where a side has fewer than two numbers, or neither any spread. */
export function welch(a: Summary, b: Summary): WelchTest | null {
  const [va, vb] = [a, b].map(({ deviation, count }) => deviation ** 2 / count);
  if (a.count < 2 || b.count < 2 || !(va + vb > 0)) return null;
  const t = (a.mean - b.mean) / Math.sqrt(va + vb);
  const freedom = (va + vb) ** 2 / (va ** 2 / (a.count - 1) + vb ** 2 / (b.count - 1));
  return { t, freedom, p: incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) };
}

/** Regularised incomplete beta function, by its integral: both parameters here are at least 1/2. */
function incompleteBeta(x: number, a: number, b: number): number {
  // u = sin^2 takes away both ends' poles for a, b >= 1/2; Simpson's rule does the rest.
  const integral = (to: number) => {
    const n = 2000;
    const f = (angle: number) =>
      2 * Math.sin(angle) ** (2 * a - 1) * Math.cos(angle) ** (2 * b - 1);
    let sum = f(0) + f(to);
    for (let i = 1; i < n; i++) sum += f(to * i / n) * (i % 2 === 1 ? 4 : 2);
    return sum * to / n / 3;
  };
  return integral(Math.asin(Math.sqrt(x))) / integral(Math.PI / 2);
}
