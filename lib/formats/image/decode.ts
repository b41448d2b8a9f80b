/**
 * Decoding pictures, whatever file they came from: what a file is is told from its bytes, not from
 * its name.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { BMP } from "./bmp.ts";
import { GIF } from "./gif.ts";
import { JPEG } from "./jpeg.ts";
import type { DecodedImage, ImageFormat, ProbedImage } from "./pixels.ts";
import { PNG } from "./png.ts";
import { PNM } from "./pnm.ts";
import { TIFF } from "./tiff.ts";
import { WEBP } from "./webp.ts";

export {
  type DecodedImage,
  type Image,
  type ImageShape,
  type ProbedImage,
  toRgb,
} from "./pixels.ts";

/** The formats that are read, the most frequent first. */
const FORMATS: readonly ImageFormat[] = [PNG, JPEG, WEBP, GIF, BMP, TIFF, PNM];

/** Endings of the files that the decoders are meant for. */
export const IMAGE_EXTENSIONS: readonly string[] = FORMATS.flatMap(({ extensions }) => extensions);

/** Endings of pictures of kinds that are not read. */
export const OTHER_IMAGE_EXTENSIONS: readonly string[] = [
  ...[".avif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".jpx", ".apng", ".ico", ".cur", ".tga"],
  ...[".psd", ".exr", ".hdr", ".pcx", ".dds", ".svg", ".eps", ".pdf", ".xcf", ".qoi", ".pam"],
  ...[".pfm", ".raw", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2"],
];

/**
 * Decodes a picture file.
 *
 * @param name what error messages call the file
 * @throws {FormatError} when it is no picture, is damaged, or is of a kind that is not supported
 */
export async function decodeImage(bytes: Uint8Array, name: string): Promise<DecodedImage> {
  await loadDecoder(bytes);
  return decodeImageSync(bytes, name);
}

/** As {@link decodeImage}, at once; {@link loadDecoder} must have been awaited before. */
export function decodeImageSync(bytes: Uint8Array, name: string): DecodedImage {
  return formatOf(bytes, name).decode(bytes, name);
}

/** Makes {@link decodeImageSync} ready for files that start like this one. Cheap when it is. */
export async function loadDecoder(bytes: Uint8Array): Promise<void> {
  await FORMATS.find((format) => format.is(bytes))?.load?.();
}

/**
 * Size, channels and what is unusual, from the header alone.
 *
 * @param bytes at least the header: the first 64 KiB hold it unless a JPEG carries much metadata, or
 * a TIFF file has it at its end
 * @throws {FormatError} as {@link decodeImage}
 */
export function probeImage(bytes: Uint8Array, name: string): ProbedImage {
  return formatOf(bytes, name).probe(bytes, name);
}

function formatOf(bytes: Uint8Array, name: string): ImageFormat {
  const format = FORMATS.find((format) => format.is(bytes));
  if (format !== undefined) return format;
  const found = bytes.length === 0 ? "is empty" : `is ${otherFormat(bytes)}`;
  const names = FORMATS.map(({ name }) => name);
  throw new FormatError(
    `${name} ${found}; expected a picture: ${names.slice(0, -1).join(", ")} or ${names.at(-1)}.`,
  );
}

/** What a file seems to be that is none of the formats. */
function otherFormat(bytes: Uint8Array): string {
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  const brand = text(4, 8) === "ftyp" ? text(8, 12) : "";
  if (/^avi[fs]$/.test(brand)) return "an AVIF file, which is not read";
  if (/^(hei[cx]|hev[cx]|mif1|msf1)$/.test(brand)) return "a HEIF file, which is not read";
  if (text(0, 2) === "\xFF\x0A" || text(4, 8) === "JXL ") {
    return "a JPEG XL file, which is not read";
  }
  if (text(4, 8) === "jP  " || text(0, 4) === "\xFF\x4F\xFF\x51") {
    return "a JPEG 2000 file, which is not read";
  }
  if (/^\s*<(!doctype html|html)/i.test(text(0, 100))) return "a web page";
  if (/^\s*<(\?xml|svg)/i.test(text(0, 100))) return "an SVG or XML file, which is not read";
  if (text(0, 7) === "version" && text(0, 60).includes("git-lfs")) {
    return 'a pointer of git-lfs, whose file is missing ("git lfs pull" gets it)';
  }
  return "no picture of a kind that is known";
}
