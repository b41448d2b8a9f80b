/**
 * Texts in PNG files: chunks of the type iTXt (PNG specification, 11.3.3.4), which every viewer
 * passes over.
 *
 * @module
 */

import { checksum } from "../archive/crc32.ts";
import { isPng } from "./png.ts";

/** Bytes of a chunk beside its content: length, type, checksum. */
const CHUNK = 12;

/** A PNG file with a text under a name of up to 79 characters of ASCII. */
export function withPngText(
  png: Uint8Array,
  name: string,
  text: string,
): Uint8Array<ArrayBuffer> {
  // After the name: not compressed (two bytes), no language, no translation of the name.
  const content = new TextEncoder().encode(`iTXt${name}\0\0\0\0\0${text}`);
  const result = new Uint8Array(png.length + content.length + CHUNK - 4);
  const end = png.length - CHUNK; // the last chunk, IEND, is empty
  result.set(png.subarray(0, end));
  const view = new DataView(result.buffer, end);
  view.setUint32(0, content.length - 4);
  result.set(content, end + 4);
  view.setUint32(4 + content.length, checksum(content));
  result.set(png.subarray(end), end + content.length + CHUNK - 4);
  return result;
}

/** The text under a name; null where there is none that is undamaged. */
export function pngText(bytes: Uint8Array, name: string): string | null {
  if (!isPng(bytes)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begins = new TextEncoder().encode(`iTXt${name}\0\0\0\0\0`);
  for (let at = 8; at + CHUNK <= bytes.length;) {
    const end = at + CHUNK + view.getUint32(at);
    if (end > bytes.length) return null;
    if (begins.every((byte, i) => bytes[at + 4 + i] === byte)) {
      const content = bytes.subarray(at + 4, end - 4);
      if (checksum(content) !== view.getUint32(end - 4)) return null;
      return new TextDecoder().decode(content.subarray(begins.length));
    }
    at = end;
  }
  return null;
}
