/**
 * WebP through libwebp compiled to WebAssembly, which is what Pillow decodes with.
 *
 * Container: https://developers.google.com/speed/webp/docs/riff_container.
 *
 * @module
 */

import { joinArrays } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";
import { exifOrientation } from "./exif.ts";
import {
  checkSize,
  type DecodedImage,
  type ImageFormat,
  ODD,
  oddities,
  orientationOddity,
  type ProbedImage,
} from "./pixels.ts";

interface Decoder {
  decode(input: Uint8Array): { width: number; height: number; data: Uint8ClampedArray };
}

let decoder: Decoder | null = null;

/** Makes {@link decodeWebp} ready. Cheap when it is ready already. */
export async function loadWebpDecoder(): Promise<void> {
  decoder ??= (await import("npm:@cwasm/webp@0.1.5")).default;
}

/** Whether the bytes start like a WebP file. */
export function isWebp(bytes: Uint8Array): boolean {
  return text(bytes, 0) === "RIFF" && text(bytes, 8) === "WEBP";
}

/** Size and channels: 3, or 4 where there is transparency. @throws {FormatError} without a header */
export function probeWebp(bytes: Uint8Array, name: string): ProbedImage {
  const { width, height, hasAlpha, isAnimated, orientation } = readHeader(bytes, name);
  const found = [
    ...checkSize(width, height, name),
    ...orientationOddity(orientation),
    ...(isAnimated ? [ODD.frames] : []),
  ];
  return { width, height, channels: hasAlpha ? 4 : 3, ...oddities(found) };
}

/**
 * Decodes it, of an animation the first frame.
 *
 * @throws {FormatError} when it is damaged, even in its last bytes, as by Pillow
 */
export function decodeWebp(bytes: Uint8Array, name: string): DecodedImage {
  const { width, height, hasAlpha, isAnimated } = readHeader(bytes, name);
  checkSize(width, height, name);
  if (decoder === null) {
    // It was another file when decoders were loaded for what there was.
    throw new FormatError(`${name} has become a WebP file since it was looked at; open it again.`);
  }
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true) + 8;
  if (size > bytes.length) {
    throw new FormatError(`${name} is truncated: it has ${bytes.length} of ${size} bytes.`);
  }
  const frame = isAnimated ? firstFrame(bytes, name) : { file: bytes, left: 0, top: 0 };
  const channels = hasAlpha ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  let part: ReturnType<Decoder["decode"]>;
  try {
    part = decoder.decode(frame.file);
  } catch (cause) {
    throw new FormatError(`${name} is a truncated or corrupt WebP file.`, { cause });
  }
  if (frame.left + part.width > width || frame.top + part.height > height) throw damaged(name);
  for (let row = 0; row < part.height; row++) {
    let to = ((frame.top + row) * width + frame.left) * channels;
    const end = 4 * (row + 1) * part.width;
    for (let from = 4 * row * part.width; from < end; from += 4, to += channels) {
      for (let c = 0; c < channels; c++) data[to + c] = part.data[from + c];
    }
  }
  return { width, height, channels, data };
}

/** A chunk of the container. */
interface Chunk {
  readonly type: string;
  readonly content: Uint8Array;
}

/** Chunks from `start` on; the last one may be cut. */
function* chunks(bytes: Uint8Array, start: number): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = start; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true);
    yield { type: text(bytes, at), content: bytes.subarray(at + 8, at + 8 + length) };
    at += 8 + length + length % 2;
  }
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly hasAlpha: boolean;
  readonly isAnimated: boolean;
  readonly orientation: number;
}

function readHeader(bytes: Uint8Array, name: string): Header {
  const [first] = chunks(bytes, 12);
  if (first === undefined || first.content.length < 10) throw damaged(name);
  const { type, content } = first;
  const plain = { hasAlpha: false, isAnimated: false, orientation: 1 };
  const uint24 = (at: number) => content[at] | content[at + 1] << 8 | content[at + 2] << 16;
  if (type === "VP8 ") {
    const size = (at: number) => (content[at] | content[at + 1] << 8) & 0x3FFF;
    return { ...plain, width: size(6), height: size(8) };
  }
  if (type === "VP8L") {
    const bits = content[1] | content[2] << 8 | content[3] << 16 | content[4] << 24;
    return {
      ...plain,
      width: (bits & 0x3FFF) + 1,
      height: (bits >>> 14 & 0x3FFF) + 1,
      hasAlpha: (bits >>> 28 & 1) === 1,
    };
  }
  if (type !== "VP8X") throw damaged(name);
  const exif = [...chunks(bytes, 12)].find(({ type }) => type === "EXIF");
  const block = exif && text(exif.content, 0) === "Exif" ? exif.content.subarray(6) : exif?.content;
  return {
    width: uint24(4) + 1,
    height: uint24(7) + 1,
    hasAlpha: (content[0] & 0x10) !== 0,
    isAnimated: (content[0] & 0x02) !== 0,
    orientation: block ? exifOrientation(block) : 1,
  };
}

/** The first frame of an animation as a file of its own, and where it lies. */
function firstFrame(
  bytes: Uint8Array,
  name: string,
): { file: Uint8Array; left: number; top: number } {
  const frame = [...chunks(bytes, 12)].find(({ type }) => type === "ANMF")?.content;
  if (frame === undefined || frame.length < 24) throw damaged(name);
  const uint24 = (at: number) => frame[at] | frame[at + 1] << 8 | frame[at + 2] << 16;
  const inner = [...chunks(frame, 16)].filter(({ type }) => /^(ALPH|VP8[ L])$/.test(type));
  const hasAlpha = inner.some(({ type }) => type === "ALPH");
  const size = frame.slice(6, 12); // width and height less one, as VP8X has them
  const extended = { type: "VP8X", content: Uint8Array.of(0x10, 0, 0, 0, ...size) };
  const parts = (hasAlpha ? [extended, ...inner] : inner).map(({ type, content }) => {
    const part = new Uint8Array(8 + content.length + content.length % 2);
    part.set(new TextEncoder().encode(type));
    new DataView(part.buffer).setUint32(4, content.length, true);
    part.set(content, 8);
    return part;
  });
  const file = joinArrays(Uint8Array, [new TextEncoder().encode("RIFF    WEBP"), ...parts]);
  new DataView(file.buffer).setUint32(4, file.length - 8, true);
  return { file, left: 2 * uint24(0), top: 2 * uint24(3) };
}

function text(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

function damaged(name: string): FormatError {
  return new FormatError(`${name} is a truncated or corrupt WebP file: its header is damaged.`);
}

/** The row of WebP. */
export const WEBP: ImageFormat = {
  name: "WebP",
  extensions: [".webp"],
  is: isWebp,
  probe: probeWebp,
  decode: decodeWebp,
  load: loadWebpDecoder,
};
