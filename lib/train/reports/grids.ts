/**
 * Sample grids while training: the same seeds and classes every time, so that the pictures of a run
 * can be compared.
 *
 * @module
 */

import { normalizationOf } from "../../data/latents/note.ts";
import type { Device } from "../../device/device.ts";
import type { Image } from "../../formats/image/pixels.ts";
import { channelView } from "../../formats/image/grid.ts";
import { encodePng } from "../../formats/image/png.ts";
import { uniformSteps } from "../../sample/schedule.ts";
import { createNetwork } from "../../models/registry.ts";
import { objectiveOf } from "../../objectives/registry.ts";
import { LatentDecoder } from "../../sample/decoder.ts";
import { Generator } from "../../sample/generator.ts";
import { sampleGrid, toPictures } from "../../sample/output/picture.ts";
import type { TrainConfig } from "../config/config.ts";
import type { Learner } from "../step/learner.ts";
import type { Draw } from "../trainer.ts";

/** Classes in a row of a grid, at most. */
const MAX_COLUMNS = 10;

/** How the samples of a grid lie. */
export interface GridLayout {
  /** Samples in a row. */
  readonly columns: number;
  /** Class of each sample, row by row; null for a network without classes. */
  readonly classes: readonly number[] | null;
}

/** The layout of `count` samples of a network with so many classes: all in turn. */
export function gridLayout(classes: number, count: number): GridLayout {
  return {
    columns: classes > 1 ? Math.min(classes, MAX_COLUMNS) : Math.ceil(Math.sqrt(count)),
    classes: classes > 0 ? Array.from({ length: count }, (_, i) => i % classes) : null,
  };
}

/** The decoder of a run's grids, where it has one. @throws {FormatError} when it does not fit */
export async function openGridDecoder(
  { data: { latents }, report: { decoder, decoderRange: range }, network }: TrainConfig,
): Promise<LatentDecoder | null> {
  if (decoder === null || latents === null) return null;
  return await LatentDecoder.load(decoder, {
    latentShape: createNetwork(network).sampleShape,
    normalization: normalizationOf(latents),
    range,
  });
}

/** Draws the grids of a configuration; compiles the sampling plan the first time. */
export class GridPainter {
  #generator: Generator | null = null;

  /** @param decoder see {@link openGridDecoder}; it is borrowed */
  constructor(
    private readonly device: Device,
    private readonly config: TrainConfig,
    private readonly decoder: LatentDecoder | null = null,
  ) {}

  /** One grid per entry of `report.steps`, as PNG. */
  readonly draw: Draw = async (learner, signal) => {
    const { steps, grid } = this.config.report;
    const pictures = [];
    for (const count of steps) {
      const image = await this.grid(learner, count, grid, signal);
      pictures.push({ steps: count, png: await encodePng(image) });
    }
    return pictures;
  };

  /** A grid of `count` samples of the averaged weights in `steps` steps. */
  async grid(
    learner: Learner,
    steps: number,
    count: number,
    signal?: AbortSignal,
  ): Promise<Image> {
    const { network } = learner;
    const shape = this.decoder?.shape ?? network.sampleShape;
    this.#generator ??= await Generator.create(this.device, {
      network,
      objective: objectiveOf(this.config),
      ...learner.averaged,
    }, { batch: count });
    const { columns, classes } = gridLayout(network.conditioning.labels?.classes ?? 0, count);
    const seeds = Array.from({ length: count }, (_, i) => i);
    const made = await this.#generator.generate({
      seeds,
      labels: classes ?? undefined,
      steps: uniformSteps(this.#generator.objective, steps),
      signal,
    });
    const samples = this.decoder ? await this.decoder.decode(made) : made;
    if (shape.length === 1) return scatterPlot(samples, shape[0]);
    const pictures = toPictures(samples, shape);
    // Of latents that nothing decodes the first channels are shown, as they are.
    const isDecoded = this.config.data.latents === null || this.decoder !== null;
    const shown = isDecoded ? pictures : pictures.map(channelView);
    return sampleGrid(shown, { shape, columns });
  }

  /** Gives back what it holds on the device. */
  free(): void {
    this.#generator?.free();
    this.#generator = null;
  }
}

/** Width and height of a plot of points, which shows [-PLOT_RANGE, PLOT_RANGE]. */
const [PLOT_SIZE, PLOT_RANGE] = [256, 1.25];

/** The first two coordinates of points, white on black; where points lie close it is brighter. */
export function scatterPlot(points: Float32Array, dimensions: number): Image {
  const data = new Uint8ClampedArray(PLOT_SIZE * PLOT_SIZE);
  const pixel = (x: number) => Math.floor((x / PLOT_RANGE + 1) / 2 * PLOT_SIZE);
  for (let i = 0; i < points.length; i += dimensions) {
    const [column, row] = [pixel(points[i]), PLOT_SIZE - 1 - pixel(points[i + 1] ?? 0)];
    const inside = column >= 0 && column < PLOT_SIZE && row >= 0 && row < PLOT_SIZE;
    if (inside) data[row * PLOT_SIZE + column] += 128;
  }
  return { width: PLOT_SIZE, height: PLOT_SIZE, channels: 1, data: new Uint8Array(data) };
}
