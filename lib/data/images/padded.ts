/**
 * Images with a black border, so that a network which halves them several times can have 28 x 28
 * digits as 32 x 32.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { centred } from "../../formats/image/grid.ts";
import { BaseDataset, type Dataset, type Decoding } from "../dataset.ts";

/** Another data set, its images in the middle of squares of `size`. Closes the other one. */
export class PaddedDataset extends BaseDataset {
  readonly name: string;
  readonly length: number;
  readonly imageShape: readonly [height: number, width: number, channels: number];
  readonly labelCount: number;
  override readonly labelNames: readonly string[] | null;
  override readonly labelSource: string | null;
  override readonly notes: readonly string[];
  readonly decoding: Decoding | null;
  readonly fileSize?: (index: number) => number;
  readonly storedChecksum?: () => string | null;

  /** @throws {FormatError} when the images are larger than `size` already */
  constructor(private readonly inner: Dataset, size: number) {
    super();
    const [height, width, channels] = inner.imageShape;
    if (height > size || width > size) {
      throw new FormatError(
        `${inner.name} has images of ${width} x ${height}, which cannot be padded to ${size} x ` +
          `${size}.`,
      );
    }
    this.name = inner.name;
    this.length = inner.length;
    this.imageShape = [size, size, channels];
    this.labelCount = inner.labelCount;
    this.labelNames = inner.labelNames;
    this.labelSource = inner.labelSource ?? null;
    this.notes = inner.notes ?? [];
    this.fileSize = inner.fileSize?.bind(inner);
    this.storedChecksum = inner.storedChecksum?.bind(inner);
    this.decoding = inner.decoding ?? null; // padding is left to image()
  }

  override image(index: number): Uint8Array {
    const [height, width, channels] = this.inner.imageShape;
    const [size] = this.imageShape;
    return centred({ width, height, channels, data: this.inner.image(index) }, size, size).data;
  }

  override label(index: number): number | null {
    return this.inner.label(index);
  }

  override close(): void {
    this.inner.close();
  }
}
