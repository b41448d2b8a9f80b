/**
 * The log of a run as TensorBoard reads it.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { eventFileHeader, scalarEvent } from "../../formats/tensorboard.ts";
import type { StatsLine } from "../run/folder.ts";

/** Writes one event file; a resumed run begins another, which TensorBoard shows as its continuation. */
export class EventFile {
  #path: string | null = null;

  /** Events go to a file in `folder`, which is made when the first is written. */
  constructor(private readonly folder: string) {}

  /** Adds numbers at a count of images. */
  async add(images: number, values: Readonly<Record<string, number>>): Promise<void> {
    const time = Date.now() / 1000;
    if (this.#path === null) {
      await Deno.mkdir(this.folder, { recursive: true });
      // The name sorts by time; two processes of one second are told apart by their ids.
      const name = `events.out.tfevents.${Math.floor(time)}.imm.${Deno.pid}`;
      this.#path = join(this.folder, name);
      await Deno.writeFile(this.#path, eventFileHeader(time), { append: true });
    }
    await Deno.writeFile(this.#path, scalarEvent(time, images, values), { append: true });
  }

  /** Adds a line of the log. */
  async line(line: StatsLine): Promise<void> {
    const values: Record<string, number> = {
      "loss/mean": line.loss,
      "norm/gradient": line.gradientNorm,
      "schedule/lr": line.lr,
      "speed/images_per_second": line.imagesPerSecond,
    };
    line.lossByTime.forEach((loss, bin) => {
      // The loss spans ten orders of magnitude over time: its logarithm shows them all.
      if (loss !== null && loss > 0) values[`loss_log10_by_time/bin_${bin}`] = Math.log10(loss);
    });
    for (const [group, { gradient, update, weight }] of Object.entries(line.layers)) {
      values[`gradient/${group}`] = gradient;
      values[`update/${group}`] = update;
      values[`weight/${group}`] = weight;
    }
    if (line.lossScale !== undefined) values["scaling/loss_scale"] = line.lossScale;
    if (line.skippedSteps !== undefined) values["scaling/skipped_steps"] = line.skippedSteps;
    for (const [part, seconds] of Object.entries(line.time)) values[`time/${part}`] = seconds;
    await this.add(line.images, values);
  }
}
