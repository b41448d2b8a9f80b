/**
 * Norms of gradients, updates and weights by groups of layers: where a network learns, and where it
 * does not.
 *
 * @module
 */

import type { Program } from "../../compile/program.ts";
import {
  type Arena,
  concat,
  div,
  input,
  mul,
  narrow,
  reshape,
  square,
  sub,
  sum,
  type Tensor,
  where,
} from "../../tensor/mod.ts";
import { optimizerNumber, optimizerStride, UPDATE_NUMBERS } from "./optimizer.ts";
import type { TrainingArenas } from "./programs.ts";

/** Norms of one group of layers. */
export interface LayerNorms {
  /** Of the newest step's gradient, before clipping. */
  readonly gradient: number;
  /** Of what the newest step added to the weights. */
  readonly update: number;
  /** Of the weights. */
  readonly weight: number;
}

/** Consecutive entries of an arena that belong to one group. */
interface Range {
  readonly group: string;
  readonly start: number;
  readonly end: number;
}

/** Outputs of {@link normsProgram}, sums of squares of each range. */
export const NORMS = ["gradient", "update", "weight"] as const;

/** The group of a parameter: `enc.32x32`, `blocks.3`, `map`. */
export function layerGroup(parameter: string): string {
  const [first, second = ""] = parameter.replace(/^model\./, "").split(".");
  if (first === "enc" || first === "dec") return `${first}.${second.split("_")[0]}`;
  if (/^\d+$/.test(second)) return `${first}.${second}`;
  return first.replace(/(_layer)?\d+(_s)?$/, "$2").replace(/_(weight|bias)$/, "");
}

/** Ranges of an arena by group, in its order. A group may have several. */
function ranges(arena: Arena): Range[] {
  const found: Range[] = [];
  const entries = [...arena.entries.values()];
  entries.forEach(({ name, offset }, i) => {
    const group = layerGroup(name);
    const end = entries[i + 1]?.offset ?? arena.length;
    const last = found.at(-1);
    if (last?.group === group) found[found.length - 1] = { ...last, end };
    else found.push({ group, start: offset, end });
  });
  return found;
}

/**
 * Sums of squares after a step, from the numbers that its update was given (`numbers`; with loss
 * scaling they are on the device). Of a step that was skipped, gradient and update are 0.
 */
export function normsProgram(arenas: TrainingArenas): Program {
  const { scaling } = arenas;
  const numbers = scaling ? scaling.tensor("numbers") : input("numbers", [UPDATE_NUMBERS]);
  const ofStep = (value: Tensor) => scaling ? where(scaling.tensor("applied"), value, 0) : value;
  const decay = optimizerNumber(numbers, "decay");
  const squares = (value: (part: (arena: Arena) => Tensor) => Tensor) =>
    concat(
      ranges(arenas.parameters).map(({ start, end }) => {
        const part = (arena: Arena) => narrow(arena.whole(), 0, start, end - start);
        return reshape(sum(square(value(part))), [1]);
      }),
      0,
    );
  return {
    label: "norms",
    inputs: scaling ? [] : [numbers],
    outputs: {
      gradient: squares((part) => {
        const gradient = part(arenas.gradients);
        return ofStep(scaling ? mul(gradient, scaling.tensor("inverse")) : gradient);
      }),
      // new = decay old - step, so new - old = new (1 - 1/decay) - step/decay.
      update: squares((part) =>
        ofStep(sub(
          mul(part(arenas.parameters), sub(1, div(1, decay))),
          div(optimizerStride(part(arenas.m), part(arenas.v), numbers), decay),
        ))
      ),
      weight: squares((part) => part(arenas.parameters)),
    },
    updates: [],
  };
}

/** Norms by group, from what {@link normsProgram} put out. */
export function normsByGroup(
  arena: Arena,
  squares: Readonly<Record<typeof NORMS[number], ArrayLike<number>>>,
): Record<string, LayerNorms> {
  const sums = new Map<string, Record<typeof NORMS[number], number>>();
  ranges(arena).forEach(({ group }, i) => {
    const known = sums.get(group) ?? { gradient: 0, update: 0, weight: 0 };
    for (const name of NORMS) known[name] += squares[name][i];
    sums.set(group, known);
  });
  return Object.fromEntries(
    [...sums].map(([group, { gradient, update, weight }]) => [group, {
      gradient: Math.sqrt(gradient),
      update: Math.sqrt(update),
      weight: Math.sqrt(weight),
    }]),
  );
}
