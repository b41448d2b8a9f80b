/**
 * JPEG through libjpeg-turbo compiled to WebAssembly, whose pixels are those of PIL to the last
 * bit (decoders written from scratch differ on half of the values). The package is CommonJS that
 * reads its .wasm with `fs` beside itself, which works from a URL and in a compiled binary alike.
 *
 * The decoder is loaded when the first JPEG asks for it.
 *
 * @module
 */

import { FormatError, InternalError } from "../errors.ts";
import { type Image, type ImageShape, MAX_PIXELS } from "./pixels.ts";

interface Decoder {
  decode(input: Uint8Array): { width: number; height: number; data: Uint8ClampedArray };
}

let decoder: Decoder | null = null;

/** Makes {@link decodeJpeg} ready. Cheap when it is ready already. */
export async function loadJpegDecoder(): Promise<void> {
  decoder ??= (await import("npm:@cwasm/jpeg-turbo@0.1.3")).default;
}

/** Whether the bytes start like a JPEG file. */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xFF && bytes[1] === 0xD8 && bytes[2] === 0xFF;
}

/**
 * Decodes a JPEG file, baseline or progressive, grey or colour. A rotation in the metadata is
 * not applied, as by PIL.
 *
 * @throws {FormatError} when the file is damaged, even slightly, or has four colours (CMYK)
 */
export function decodeJpeg(bytes: Uint8Array, name: string): Image {
  const { width, height, channels } = probeJpeg(bytes, name);
  if (decoder === null) {
    throw new InternalError("loadJpegDecoder() must be awaited before the first decodeJpeg()");
  }
  let rgba: ReturnType<Decoder["decode"]>;
  try {
    rgba = decoder.decode(bytes);
  } catch (cause) {
    throw new FormatError(`${name} is a truncated or corrupt JPEG file.`, { cause });
  }
  if (rgba.width !== width || rgba.height !== height) {
    throw new FormatError(
      `${name} is corrupt: its header says ${width} x ${height}, its picture is ` +
        `${rgba.width} x ${rgba.height}.`,
    );
  }
  const data = new Uint8Array(width * height * channels);
  for (let from = 0, to = 0; to < data.length; from += 4, to += channels) {
    for (let c = 0; c < channels; c++) data[to + c] = rgba.data[from + c];
  }
  return { width, height, channels, data };
}

/**
 * Size and channels, from the frame header (ITU-T T.81, B.2.2).
 *
 * @throws {FormatError} when `bytes` do not reach to it, or it is of a kind that is not supported
 */
export function probeJpeg(bytes: Uint8Array, name: string): ImageShape {
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 2; at + 4 <= bytes.length;) {
    if (bytes[at] !== 0xFF) break;
    const marker = bytes[at + 1];
    if (marker === 0xFF) { // fill byte
      at++;
      continue;
    }
    if (isFrame(marker)) {
      if (at + 10 > bytes.length) break;
      return checkedShape(
        { width: fields.getUint16(at + 7), height: fields.getUint16(at + 5) },
        bytes[at + 9],
        bytes[at + 4],
        name,
      );
    }
    at += 2 + fields.getUint16(at + 2);
  }
  throw new FormatError(`${name} is a truncated or corrupt JPEG file: it has no frame header.`);
}

/** SOF0 to SOF15, without the three numbers in between that mean something else. */
function isFrame(marker: number): boolean {
  return marker >= 0xC0 && marker <= 0xCF && ![0xC4, 0xC8, 0xCC].includes(marker);
}

function checkedShape(
  { width, height }: { width: number; height: number },
  components: number,
  precision: number,
  name: string,
): ImageShape {
  if (precision !== 8 || (components !== 1 && components !== 3)) {
    throw new FormatError(
      `${name} has ${components} colour channels of ${precision} bits; expected 1 (grey) or 3 ` +
        `(colour) of 8 bits: convert it first.`,
    );
  }
  if (width === 0 || height === 0 || width * height > MAX_PIXELS) {
    throw new FormatError(
      `${name} is ${width} x ${height}; expected at least one and at most ${MAX_PIXELS} pixels.`,
    );
  }
  return { width, height, channels: components };
}
