/**
 * A run in words: what it is when it starts, and how far it is at each line of its log. They go to
 * `log.txt` and to the terminal.
 *
 * @module
 */

import { counted, formatBytes, formatDuration } from "../../base/units.ts";
import { type Change, describeChange } from "./changes.ts";
import type { StatsLine } from "./folder.ts";

/** What a run is, known when its first step is about to be taken. */
export interface RunStart {
  /** Folder of the run. */
  readonly folder: string;
  /** Adapter or processor. */
  readonly device: string;
  /** The data in a line; null where whoever trains did not say. */
  readonly data: string | null;
  /** Type of the network. */
  readonly network: string;
  /** The model whose weights it begins with; null for random ones, and for a resumed run. */
  readonly init: string | null;
  /** Parameters of the network, frozen ones included. */
  readonly parameters: number;
  /** Bytes of weights, gradients, moments and averages on the device. */
  readonly stateBytes: number;
  /** Bytes of all that a step needs on the device, the state included. */
  readonly deviceBytes: number;
  /** Images that were seen before, by a run that is now resumed; else 0. */
  readonly images: number;
  /** Images after which the run is complete. */
  readonly total: number;
  /** Images per step. */
  readonly batch: number;
  /** Images per pass through the network. */
  readonly microBatch: number;
}

/** A line for each thing worth knowing, in the form `name: value`. */
export function startLines(start: RunStart): string[] {
  const { images, total, batch, microBatch } = start;
  const count = (n: number) => n.toLocaleString("en");
  return [
    `device: ${start.device}`,
    ...(start.data === null ? [] : [`data: ${start.data}`]),
    `network: ${start.network}, ${counted(start.parameters, "parameter")}` +
    (start.init === null ? "" : `, with the weights of ${start.init}`),
    `memory: ${formatBytes(start.deviceBytes)} on the device, of which ` +
    `${formatBytes(start.stateBytes)} are weights, moments and averages`,
    `training: ${count(total)} images in steps of ${count(batch)}` +
    (microBatch < batch ? `, ${count(microBatch)} at a time` : "") +
    (images > 0 ? `; continued at image ${count(images)}` : ""),
    `folder: ${start.folder}`,
  ];
}

/** Where a run that is continued stands, where that needs saying, and what was changed. */
export function resumedLines(
  images: number,
  total: number,
  changes: readonly Change[],
): string[] {
  const changed = changes.map((change) => `changed: ${describeChange(change)}`);
  if (images >= total) {
    return [
      ...changed,
      `nothing is left to do: the run has seen ${counted(images, "image")}, and train.images is ` +
      `${total.toLocaleString("en")}; --set train.images=N trains on`,
    ];
  }
  return images > 0 ? changed : [
    "the run had been stopped before its first checkpoint: it begins again at image 0",
    ...changed,
  ];
}

/** `expected: 3 min 20 s more, at 412 images/s` */
export function expectedLine(seconds: number, imagesPerSecond: number): string {
  return `expected: ${formatDuration(seconds)} more, at ${pace(imagesPerSecond)}`;
}

/** `1,280 of 64,000 images, loss 0.0123, gradient 0.45, lr 0.002, 412 images/s, 3 min 20 s left`. */
export function reportLine(line: StatsLine, total: number): string {
  const { images, loss, gradientNorm, lr, imagesPerSecond } = line;
  const left = (total - images) / imagesPerSecond;
  return [
    `${images.toLocaleString("en")} of ${total.toLocaleString("en")} images`,
    `loss ${loss.toPrecision(4)}`,
    `gradient ${gradientNorm.toPrecision(3)}`,
    `lr ${lr.toPrecision(3).replace(/\.?0+$/, "")}`,
    pace(imagesPerSecond),
    ...(left > 0 ? [`${formatDuration(left)} left`] : []),
  ].join(", ");
}

/** `fd 1.234, kd 0.056`. */
export function scoreLine(values: Readonly<Record<string, number>>): string {
  return Object.entries(values).map(([name, value]) => `${name} ${value.toPrecision(4)}`)
    .join(", ");
}

/** `1,450 images/s`, `3.21 images/s` */
function pace(perSecond: number): string {
  const rounded = perSecond >= 100
    ? Math.round(perSecond).toLocaleString("en")
    : perSecond.toPrecision(3);
  return `${rounded} images/s`;
}
