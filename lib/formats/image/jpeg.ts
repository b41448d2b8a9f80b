/**
 * JPEG through libjpeg-turbo compiled to WebAssembly, whose pixels are those of PIL to the last
 * bit (decoders written from scratch differ on half of the values).
 *
 * The package's own function decodes to RGBA and takes every warning for an error. So its module
 * is used directly: it is loaded as the package loads it, from the file beside its code, which works
 * from a URL and in a compiled binary alike.
 *
 * @module
 */

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { FormatError, InternalError } from "../../base/errors.ts";
import { exifOrientation } from "./exif.ts";
import {
  checkSize,
  cmykToRgb,
  type DecodedImage,
  type ImageFormat,
  ODD,
  oddities,
  orientationOddity,
  type ProbedImage,
} from "./pixels.ts";

/** What the module exports: TurboJPEG's functions (turbojpeg.h). */
interface Library {
  readonly memory: WebAssembly.Memory;
  malloc(size: number): number;
  free(pointer: number): void;
  tjInitDecompress(): number;
  tjDestroy(handle: number): void;
  /** -1: libjpeg warned. It fails by {@link Fatal}. */
  tjDecompressHeader3(
    handle: number,
    input: number,
    length: number,
    width: number,
    height: number,
    subsampling: number,
    colours: number,
  ): number;
  tjDecompress2(
    handle: number,
    input: number,
    length: number,
    output: number,
    width: number,
    pitch: number,
    height: number,
    format: number,
    flags: number,
  ): number;
}

/** libjpeg gave up. It would jump back to where it was called from. */
class Fatal extends Error {}

/** TurboJPEG's pixel formats, by the channels of the file. */
const FORMATS = new Map([[1, 6], [3, 0], [4, 11]]); // TJPF_GRAY, TJPF_RGB, TJPF_CMYK
/** Versions of libjpeg-turbo smooth what is missing in different ways, most of all of several scans. */
const DAMAGE =
  "damage that libjpeg passes over, as for Pillow, whose pixels can be others where it is";
/** A module that has taken more memory is not kept: it never gives any back. */
const KEPT_MEMORY = 2 ** 27;

let compiled: WebAssembly.Module | null = null;
let instance: Library | null = null;

/** Makes {@link decodeJpeg} ready. Cheap when it is ready already. */
export async function loadJpegDecoder(): Promise<void> {
  if (compiled !== null) return;
  await import("npm:@cwasm/jpeg-turbo@0.1.3");
  // Any place will do, but it must be one of files, which this module's address need not be.
  const place = Deno.build.os === "windows" ? "file:///C:/" : "file:///";
  const main = Object.keys(createRequire(place).cache)
    .find((path) => /[\\/]@cwasm[\\/]jpeg-turbo[\\/]/.test(path));
  if (main === undefined) throw new InternalError("the package of the JPEG decoder is not found");
  compiled = new WebAssembly.Module(await Deno.readFile(join(dirname(main), "jpeg-turbo.wasm")));
}

function library(name: string): Library {
  if (compiled === null) {
    // It was another file when decoders were loaded for what there was.
    throw new FormatError(`${name} has become a JPEG file since it was looked at; open it again.`);
  }
  const unused = () => {
    throw new Fatal();
  };
  const env = { setjmp: () => 0, longjmp: unused };
  const system = {
    environ_sizes_get: () => 0,
    environ_get: unused,
    proc_exit: unused,
    fd_close: unused,
    fd_seek: unused,
    fd_write: unused,
  };
  instance ??= new WebAssembly.Instance(compiled, { env, wasi_snapshot_preview1: system })
    .exports as unknown as Library;
  return instance;
}

/** Whether the bytes start like a JPEG file. */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xFF && bytes[1] === 0xD8 && bytes[2] === 0xFF;
}

/**
 * Decodes a JPEG file, baseline or progressive: grey, colour, or CMYK, which becomes RGB as by
 * Pillow. What libjpeg only warns of is an oddity of the picture. A rotation in the metadata is not
 * applied, as by PIL.
 *
 * @throws {FormatError} when it ends before its end marker, which Pillow refuses, too, or libjpeg
 * gives up on it
 */
export function decodeJpeg(bytes: Uint8Array, name: string): DecodedImage {
  const { width, height, components } = readFrame(bytes, name);
  checkSize(width, height, name);
  checkEnd(bytes, name);
  const { pixels, warned } = decompress(bytes, { width, height, components }, name);
  const isCmyk = components === 4;
  if (isCmyk) pixels.forEach((value, i) => pixels[i] = 255 - value); // Adobe writes them inverted
  return {
    width,
    height,
    channels: isCmyk ? 3 : components,
    data: isCmyk ? cmykToRgb(pixels) : pixels,
    ...oddities(warned ? [DAMAGE] : []),
  };
}

function decompress(
  bytes: Uint8Array,
  { width, height, components }: Frame,
  name: string,
): { pixels: Uint8Array; warned: boolean } {
  const size = width * height * components;
  const decoder = library(name);
  try {
    const input = decoder.malloc(bytes.length);
    const output = decoder.malloc(size);
    const fields = decoder.malloc(16);
    const handle = decoder.tjInitDecompress();
    if (input * output * fields * handle === 0) throw new Fatal();
    new Uint8Array(decoder.memory.buffer).set(bytes, input);
    const where = [fields, fields + 4, fields + 8, fields + 12] as const;
    let status = decoder.tjDecompressHeader3(handle, input, bytes.length, ...where);
    const [ownWidth, ownHeight] = new Uint32Array(decoder.memory.buffer, fields, 2);
    if (ownWidth !== width || ownHeight !== height) {
      throw new FormatError(
        `${name} is corrupt: its header says ${width} x ${height}, its picture is ` +
          `${ownWidth} x ${ownHeight}.`,
      );
    }
    status |= decoder.tjDecompress2(
      handle,
      input,
      bytes.length,
      output,
      width,
      width * components,
      height,
      FORMATS.get(components)!,
      0,
    );
    const pixels = new Uint8Array(decoder.memory.buffer).slice(output, output + size);
    decoder.tjDestroy(handle);
    for (const pointer of [input, output, fields]) decoder.free(pointer);
    if (decoder.memory.buffer.byteLength > KEPT_MEMORY) instance = null;
    return { pixels, warned: status !== 0 };
  } catch (cause) {
    instance = null; // what it had on its stack and in its memory was left behind
    if (cause instanceof FormatError) throw cause;
    throw new FormatError(`${name} is a truncated or corrupt JPEG file.`, { cause });
  }
}

/** Without an end marker behind the first scan the file is cut: it cannot be told how much is missing. */
function checkEnd(bytes: Uint8Array, name: string): void {
  for (let at = bytes.length - 2; at > 0; at--) {
    if (bytes[at] === 0xFF && bytes[at + 1] === 0xD9) return;
    if (bytes[at] === 0xFF && bytes[at + 1] === 0xDA) break; // the beginning of the last scan
  }
  throw new FormatError(`${name} is a truncated JPEG file: it has no end marker.`);
}

/**
 * Size and channels, from the frame header (ITU-T T.81, B.2.2).
 *
 * @throws {FormatError} when `bytes` do not reach to it, or it is of a kind that is not supported
 */
export function probeJpeg(bytes: Uint8Array, name: string): ProbedImage {
  const { width, height, components, orientation } = readFrame(bytes, name);
  const found = [
    ...checkSize(width, height, name),
    ...orientationOddity(orientation),
    ...(components === 4 ? [ODD.cmyk] : []),
  ];
  return { width, height, channels: components === 4 ? 3 : components, ...oddities(found) };
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly components: number;
}

function readFrame(bytes: Uint8Array, name: string): Frame & { orientation: number } {
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xFF || marker === 0xFF || marker === 0) {
      at++; // a fill byte, or one that libjpeg passes over with a warning
      continue;
    }
    if (marker === 0xDA || marker === 0xD9) break;
    if (isFrame(marker)) {
      if (at + 10 > bytes.length) break;
      const frame = {
        width: fields.getUint16(at + 7),
        height: fields.getUint16(at + 5),
        components: bytes[at + 9],
        orientation,
      };
      if (bytes[at + 4] === 8 && FORMATS.has(frame.components)) return frame;
      throw new FormatError(
        `${name} has ${frame.components} color channels of ${bytes[at + 4]} bits; expected 1 ` +
          `(grey), 3 (color) or 4 (CMYK) of 8 bits: convert it first.`,
      );
    }
    const end = at + 2 + fields.getUint16(at + 2);
    const isExif = marker === 0xE1 &&
      String.fromCharCode(...bytes.subarray(at + 4, at + 10)) === "Exif\0\0";
    if (isExif) orientation = exifOrientation(bytes.subarray(at + 10, end));
    at = end;
  }
  throw new FormatError(`${name} is a truncated or corrupt JPEG file: it has no frame header.`);
}

/** SOF0 to SOF15, without the three numbers in between that mean something else. */
function isFrame(marker: number): boolean {
  return marker >= 0xC0 && marker <= 0xCF && ![0xC4, 0xC8, 0xCC].includes(marker);
}

/** The row of JPEG. */
export const JPEG: ImageFormat = {
  name: "JPEG",
  extensions: [".jpg", ".jpeg", ".jpe", ".jfif"],
  is: isJpeg,
  probe: probeJpeg,
  decode: decodeJpeg,
  load: loadJpegDecoder,
};
