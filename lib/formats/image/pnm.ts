/**
 * Netpbm's formats PBM, PGM and PPM, as text and as bytes, as Pillow reads them.
 * Specification: https://netpbm.sourceforge.net/doc/pnm.html.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import {
  checkSize,
  type DecodedImage,
  type ImageFormat,
  ODD,
  oddities,
  type ProbedImage,
} from "./pixels.ts";

/** Whether the bytes start like such a file. */
export function isPnm(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] >= 0x31 && bytes[1] <= 0x36 && isSpace(bytes[2]);
}

/** Size and channels. @throws {FormatError} when `bytes` do not reach to them */
export function probePnm(bytes: Uint8Array, name: string): ProbedImage {
  const { width, height, channels, most } = readHeader(bytes, name);
  const found = checkSize(width, height, name);
  if (most > 255 && channels === 1) {
    found.push(ODD.deepGrey);
  }
  return { width, height, channels, ...oddities(found) };
}

/** Decodes it. @throws {FormatError} when it is damaged */
export function decodePnm(bytes: Uint8Array, name: string): DecodedImage {
  const header = readHeader(bytes, name);
  const { kind, width, height, channels, most, end } = header;
  checkSize(width, height, name);
  const count = width * height * channels;
  const data = new Uint8Array(count);
  // Grey of more than 8 bits is scaled to 16, and then clipped.
  const scale = most > 255 && channels === 1 ? 65535 : 255;
  const put = (i: number, value: number) => {
    const scaled = most === scale ? value : roundHalfEven(value / most * scale);
    data[i] = Math.min(255, scaled);
  };
  if (kind === 4) {
    const rowBytes = Math.ceil(width / 8);
    need(bytes.length - end, rowBytes * height, name);
    for (let i = 0; i < count; i++) {
      const column = i % width;
      const byte = bytes[end + Math.floor(i / width) * rowBytes + (column >> 3)];
      data[i] = byte & 0x80 >> (column & 7) ? 0 : 255;
    }
  } else if (kind > 4) {
    const size = most > 255 ? 2 : 1;
    need(bytes.length - end, count * size, name);
    for (let i = 0; i < count; i++) {
      put(i, size === 1 ? bytes[end + i] : bytes[end + 2 * i] << 8 | bytes[end + 2 * i + 1]);
    }
  } else {
    const text = new TextDecoder().decode(bytes.subarray(end)).replace(/#[^\r\n]*/g, "");
    const tokens = kind === 1 ? text.replace(/\s/g, "") : text.split(/\s+/).filter(Boolean);
    need(tokens.length, count, name);
    for (let i = 0; i < count; i++) {
      const value = Number(tokens[i]);
      if (!(Number.isInteger(value) && value >= 0 && value <= most)) {
        throw new FormatError(
          `${name} is corrupt: ${
            JSON.stringify(tokens[i].slice(0, 20))
          } is no value from 0 to ${most}.`,
        );
      }
      if (kind === 1) data[i] = value === 1 ? 0 : 255;
      else put(i, value);
    }
  }
  return { width, height, channels, data };
}

interface Header {
  /** The number behind P. */
  readonly kind: number;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** What white is. */
  readonly most: number;
  /** Where the pixels begin. */
  readonly end: number;
}

function readHeader(bytes: Uint8Array, name: string): Header {
  const kind = bytes[1] - 0x30;
  let at = 2;
  const number = (what: string, limit: number): number => {
    let value = "";
    for (; at < bytes.length; at++) {
      if (bytes[at] === 0x23) {
        while (at < bytes.length && bytes[at] !== 10 && bytes[at] !== 13) at++;
      } else if (!isSpace(bytes[at])) value += String.fromCharCode(bytes[at]);
      else if (value !== "") break;
      if (value.length > 10) break;
    }
    const found = /^\d{1,10}$/.test(value) ? Number(value) : 0;
    if (at >= bytes.length || found < 1 || found > limit) {
      throw new FormatError(
        `${name} is a truncated or corrupt Netpbm file: it has no valid ${what}.`,
      );
    }
    return found;
  };
  const width = number("width", 2 ** 31);
  const height = number("height", 2 ** 31);
  const most = kind === 1 || kind === 4 ? 1 : number("greatest value", 65535);
  const channels = kind === 3 || kind === 6 ? 3 : 1;
  return { kind, width, height, channels, most, end: at + 1 };
}

function need(found: number, expected: number, name: string): void {
  if (found >= expected) return;
  throw new FormatError(`${name} is truncated: it has ${found} of ${expected} values.`);
}

function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}

/** As Python rounds. */
function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}

/** The row of PNM. */
export const PNM: ImageFormat = {
  name: "PNM",
  extensions: [".pbm", ".pgm", ".ppm", ".pnm"],
  is: isPnm,
  probe: probePnm,
  decode: decodePnm,
};
