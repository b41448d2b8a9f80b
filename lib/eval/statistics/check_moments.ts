/**
 * Whether a mean and a covariance from a file can be what they say. A distance from an impossible
 * covariance is a number like any other, and may be the best of all: with its sign turned the
 * Fréchet distance of a set to itself stays 0. So files are checked where they are read.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import type { Moments } from "./statistics.ts";
import { module, withScratch } from "./module.ts";

/**
 * Share of the trace that is rounding: storing a covariance as float32 moves its eigenvalues by less
 * (6e-8 of its Frobenius norm, which is at most the trace), float64 by much less.
 */
const ROUNDING = 1e-7;

/** Names of the arrays in a file, for messages. */
export interface MomentNames {
  /** Of the mean. */
  readonly mean: string;
  /** Of the covariance. */
  readonly covariance: string;
}

/**
 * Checks that a mean is finite and a covariance is finite, symmetric and positive semidefinite, the
 * latter two to 1e-7 of the trace.
 *
 * @param name what messages call the file
 * @throws {FormatError} with the figure that is wrong
 */
export function checkMoments(
  { dimension: d, mean, covariance }: Moments,
  name: string,
  names: MomentNames = { mean: "mu", covariance: "sigma" },
): void {
  const fail = (found: string): never => {
    throw new FormatError(
      `${name} holds no possible statistics: ${found}. The file is damaged, or what wrote it ` +
        `computed something else; make it again.`,
    );
  };
  const bad = mean.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) fail(`${names.mean}[${bad}] is ${mean[bad]}`);
  const badAt = covariance.findIndex((value) => !Number.isFinite(value));
  const element = (i: number, j: number) => {
    return `${names.covariance}[${i}, ${j}] is ${covariance[i * d + j]}`;
  };
  if (badAt >= 0) fail(element(Math.floor(badAt / d), badAt % d));
  let trace = 0;
  for (let i = 0; i < d; i++) {
    const variance = covariance[i * d + i];
    if (variance < 0) fail(`${element(i, i)}, but a variance is never negative`);
    trace += variance;
  }
  const slack = ROUNDING * trace;
  if (!Number.isFinite(slack)) fail(`the variances of ${names.covariance} add up to ${trace}`);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < i; j++) {
      if (!(Math.abs(covariance[i * d + j] - covariance[j * d + i]) <= slack)) {
        fail(`${element(i, j)}, but ${element(j, i)}, and a covariance is symmetric`);
      }
    }
  }
  const eigenvalue = withScratch((scratch) =>
    module.negative_eigenvalue(scratch.copyIn(covariance), d, slack)
  );
  if (!(eigenvalue >= 0)) {
    fail(
      `${names.covariance} has the eigenvalue ${Number(eigenvalue.toPrecision(6))} (its trace is ` +
        `${Number(trace.toPrecision(6))}), but a covariance has no negative ones`,
    );
  }
}
