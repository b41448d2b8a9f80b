/** Pictures that both sides of a comparison can make. */

import { createHash } from "node:crypto";
import type { Image } from "../../../lib/formats/image/pixels.ts";

/** Byte i is bits 13 to 20 of i * 2654435761: no smoothness that would hide a wrong weight. */
export function hashPicture(height: number, width: number, channels: number): Image {
  const data = Uint8Array.from(
    { length: height * width * channels },
    (_, i) => (Math.imul(i, 2654435761) >>> 13) & 255,
  );
  return { height, width, channels, data };
}

/** The first 16 digits of the SHA-256 of the pixels. */
export function pictureHash({ data }: Image): string {
  return createHash("sha256").update(data).digest("hex").slice(0, 16);
}
