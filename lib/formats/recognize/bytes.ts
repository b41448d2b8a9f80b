/**
 * What a file is that was not expected where it was found: named, with what to do about it.
 *
 * Downloads leave other things under the name of a file than the file: a pointer of git-lfs, a page
 * that asks to sign in, the message of a server. None of the formats that are read here begins like
 * them, so every file is looked at when it is opened.
 *
 * @module
 */

import { basename } from "jsr:@std/path@1.0.8";
import { printable } from "../../base/printable.ts";
import { formatBytes } from "../../base/units.ts";

/** What something turned out to be. */
export interface Recognized {
  /** With its article: `a pointer of git-lfs`. */
  readonly what: string;
  /** What to do about it: the end of a sentence, without a full stop. */
  readonly advice: string;
}

/** So many bytes of the beginning are enough to recognise what is recognised here. */
export const START_BYTES = 512;
/** Nothing that stands in the place of a file is longer. */
export const MAX_STAND_IN_BYTES = 2 ** 22;

const AGAIN =
  "get the file itself again, by the link that downloads it, with the access that it needs";

/** What is in the place of a file: a pointer to it, or what a server said instead; else null. */
export function recognizeStandIn(start: Uint8Array, size: number): Recognized | null {
  // Quickly done with what is opened by thousands: no text begins like a PNG or JPEG.
  const [first = 0] = start;
  if (size > MAX_STAND_IN_BYTES || first < 9 || first > 0x7e && first !== 0xef) return null;
  const text = new TextDecoder().decode(start).replace(/^\ufeff?\s+/, "");
  if (/^version https:\/\/(?:git-lfs|hawser)\.github\.com\/spec\//.test(text)) {
    const bytes = /^size (\d+)$/m.exec(text);
    return {
      what: `a pointer of git-lfs${bytes ? ` to a file of ${formatBytes(Number(bytes[1]))}` : ""}`,
      advice: 'run "git lfs pull" in its repository, or download the file itself',
    };
  }
  if (/^(?:\.\.\/)*(?:\.git)?\/?annex\/objects\//.test(text)) {
    return { what: "a pointer of git-annex", advice: 'run "git annex get" in its repository' };
  }
  if (/^(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body|script)\b/is.test(text)) {
    const title = /<title[^>]*>\s*([^<]{1,80}?)\s*</i.exec(text);
    return { what: `a web page${title ? ` (${quoted(title[1])})` : ""}`, advice: AGAIN };
  }
  if (/^<\?xml\b.*?<Error\b/s.test(text)) {
    const code = /<Code>([^<]{1,80})</.exec(text);
    return { what: `the message of a server${code ? ` (${quoted(code[1])})` : ""}`, advice: AGAIN };
  }
  const isMessage = size <= START_BYTES && (
    /^\{\s*"(?:error|message|detail|errors)"\s*:/.test(text) ||
    /^(?:404|403|401|not found\b|entry not found|repository not found|invalid username|access to |too many requests|forbidden|unauthorized)/i
      .test(text)
  );
  if (isMessage) {
    return { what: `the message of a server (${quoted(text.trim())})`, advice: AGAIN };
  }
  return null;
}

/** The beginnings of formats, as characters up to 255, and what they are. */
const BEGINNINGS: readonly (readonly [begin: string, what: string, advice?: string])[] = [
  ["\x1f\x8b", "a file that gzip has compressed", "unpack it first"],
  ["BZh", "a file that bzip2 has compressed", "unpack it first"],
  ["\xfd7zXZ\0", "a file that xz has compressed", "unpack it first"],
  ["\x28\xb5\x2f\xfd", "a file that zstd has compressed", "unpack it first"],
  ["7z\xbc\xaf\x27\x1c", "an archive of 7-Zip", "unpack it first"],
  ["Rar!", "an archive of RAR", "unpack it first"],
  ["\x89HDF\r\n\x1a\n", "a file of HDF5, as Keras writes it", "save its arrays as npz"],
  ["GGUF", "a file of GGUF, a quantized model of llama.cpp", "take the model that it was made of"],
  ["\x93NUMPY", "an array of numpy (.npy)"],
  ["\x89PNG", "a PNG picture"],
  ["\xff\xd8\xff", "a JPEG picture"],
  ["GIF8", "a GIF picture"],
  ["BM", "a BMP picture"],
  ["II*\0", "a TIFF picture"],
  ["MM\0*", "a TIFF picture"],
  ["%PDF", "a PDF document"],
  ["PAR1", "a table of Parquet", "write its pictures into a folder"],
  ["ARROW1", "a table of Arrow", "write its pictures into a folder"],
  ["PK\x03\x04", "a zip archive"],
  ["\x7fELF", "a program"],
  ["MZ", "a program of Windows"],
];

/** What else a file is, by its beginning and its name; null when it shows neither. */
export function recognizeStart(
  start: Uint8Array,
  size: number,
  path: string,
): Recognized | null {
  if (size === 0) return { what: "empty", advice: "get it again" };
  const standIn = recognizeStandIn(start, size);
  if (standIn !== null) return standIn;
  const characters = String.fromCharCode(...start.subarray(0, 16));
  const begun = BEGINNINGS.find(([begin]) => characters.startsWith(begin));
  if (begun) return { what: begun[1], advice: begun[2] ?? "" };
  if (/^RIFF....WEBP/s.test(characters)) return { what: "a WebP picture", advice: "" };
  if (String.fromCharCode(...start.subarray(257, 262)) === "ustar") {
    return { what: "a tar archive", advice: "unpack it first" };
  }
  // PROTO, and the protocol.
  if (start[0] === 0x80 && start[1] <= 5) {
    return { what: "a pickle of Python, as PyTorch writes it", advice: "" };
  }
  if (start[8] === 0x7B && start[7] === 0 && start[6] === 0) {
    return { what: "a file of safetensors", advice: "" };
  }
  const name = basename(path).toLowerCase();
  if (name.endsWith(".onnx")) return { what: "an ONNX network", advice: "" };
  if (name.endsWith(".msgpack")) {
    return { what: "weights of Flax in msgpack", advice: "save them as npz or safetensors" };
  }
  if (/\.(?:part|crdownload|aria2|incomplete|tmp)$/.test(name)) {
    return { what: "a download that is not finished", advice: "let it finish" };
  }
  if (start.every((byte) => byte === 0)) {
    return {
      what: "zeros at its beginning",
      advice: "get it again, since a download may have broken off",
    };
  }
  const text = new TextDecoder().decode(start.subarray(0, 200));
  // deno-lint-ignore no-control-regex -- text has none but tabs and breaks
  if (!/[\x00-\x08\x0e-\x1f\ufffd]/.test(text.slice(0, -3))) {
    const kind = /^\s*[[{]/.test(text) ? "JSON" : "a text";
    return { what: `${kind} (${quoted(text)})`, advice: "" };
  }
  return null;
}

/**
 * A sentence about a file that was not expected: `x.pt is a web page ("Sign in"): get …`.
 *
 * @param fallback what to do where nothing better is known: the end of a sentence
 */
export function unexpected(path: string, { what, advice }: Recognized, fallback = ""): string {
  const rest = advice || fallback;
  const verb = what.startsWith("zeros") ? "has" : "is";
  return `${path} ${verb} ${what}${rest ? `: ${rest}` : ""}.`;
}

/** What to do with arrays of these names where pictures or their statistics were expected: a sentence. */
export function weightsHint(names: Iterable<unknown>): string {
  for (const name of names) {
    if (/^(?:ema|model|state_dict|net|network)$|\.(?:weight|bias)$/.test(String(name))) {
      return " It holds the weights of a model, of which pictures are made with --checkpoint (after " +
        "imm convert, where the model is of another program).";
    }
  }
  return "";
}

function quoted(text: string): string {
  const line = printable(text.trim().split("\n", 1)[0]);
  return `"${line.slice(0, 60)}${line.length > 60 ? "…" : ""}"`;
}
