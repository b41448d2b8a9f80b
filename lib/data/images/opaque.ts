/**
 * Images without their alpha channel: networks are trained on grey pictures or on RGB, whatever the
 * file holds, so that what they draw can be shown.
 *
 * @module
 */

import { dropAlpha } from "../../formats/image/pixels.ts";
import { BaseDataset, type Dataset } from "../dataset.ts";
import { transparencyNote } from "./folder.ts";

/** Another data set, of 2 or 4 channels, with 1 or 3. Closes the other one. */
export class OpaqueDataset extends BaseDataset {
  readonly name: string;
  readonly length: number;
  readonly imageShape: readonly [height: number, width: number, channels: number];
  readonly labelCount: number;
  override readonly labelNames: readonly string[] | null;
  override readonly labelSource: string | null;
  override readonly notes: readonly string[];
  readonly fileSize?: (index: number) => number;
  readonly storedChecksum?: () => string | null;

  constructor(private readonly inner: Dataset) {
    super();
    const [height, width, channels] = inner.imageShape;
    const { name, length } = inner;
    this.name = name;
    this.length = length;
    this.imageShape = [height, width, channels - 1];
    this.labelCount = inner.labelCount;
    this.labelNames = inner.labelNames;
    this.fileSize = inner.fileSize?.bind(inner);
    this.storedChecksum = inner.storedChecksum?.bind(inner);
    this.labelSource = inner.labelSource ?? null;
    this.notes = [...(inner.notes ?? []), transparencyNote(name, length, length)];
  }

  override image(index: number): Uint8Array {
    const [height, width, channels] = this.inner.imageShape;
    return dropAlpha({ width, height, channels, data: this.inner.image(index) }).data;
  }

  override label(index: number): number | null {
    return this.inner.label(index);
  }

  override close(): void {
    this.inner.close();
  }
}
