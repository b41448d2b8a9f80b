/**
 * Expected values: NAME.json and NAME.safetensors in tests/golden, described in its README.md, or in
 * another folder of the same form that IMM_GOLDEN names. What is in one folder need not be in the
 * other: tests of fixtures are declared inside of {@linkcode withGolden}, and take sizes, counts and
 * settings from the fixture.
 */

import { resolve, toFileUrl } from "jsr:@std/path@1.0.8";
import { needing } from "../needs.ts";

/** One array of a fixture. F64 arrays hold digits that float32 would lose. */
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

const given = Deno.env.get("IMM_GOLDEN");
const FOLDER = given ? toFileUrl(resolve(given) + "/") : new URL("../../golden/", import.meta.url);
if (!Deno.statSync(FOLDER).isDirectory) throw new Error(`IMM_GOLDEN=${given} is no folder`);
const ARRAYS = { F32: Float32Array, F64: Float64Array, I32: Int32Array } as const;

/**
 * Declares tests of fixtures, or makes the list of their cases. `files` are the files that the tests
 * read, such as `stats.json`. Where one is missing, `declare` is not called, and there is a test
 * instead that is ignored and names the file.
 */
export function withGolden<T>(files: readonly string[], declare: () => T): T | undefined {
  const missing = files.find((file) => !isThere(file));
  if (missing === undefined) return declare();
  const name = `what ${missing} expects`;
  Deno.test(needing(`fixture ${missing}`, false, { name, fn: () => {} }));
}

function isThere(file: string): boolean {
  try {
    return Deno.statSync(new URL(file, FOLDER)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Both files of a fixture. */
export const bothFiles = (name: string) => [`${name}.json`, `${name}.safetensors`] as const;

/** The JSON of a fixture. The caller states its form. */
export function goldenJson<T>(name: string): T {
  return JSON.parse(Deno.readTextFileSync(new URL(`${name}.json`, FOLDER)));
}

/**
 * The tensors of a fixture, in the order in which they lie in the file. Reads the format on its own,
 * so that lib/formats is not tested here.
 */
export function goldenTensors(name: string): Map<string, GoldenTensor> {
  const bytes = Deno.readFileSync(new URL(`${name}.safetensors`, FOLDER));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: _, ...header }: Record<
    string,
    { dtype: keyof typeof ARRAYS; shape: number[]; data_offsets: [number, number] }
  > = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const inOrder = Object.entries(header)
    .sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  return new Map(inOrder.map(([key, { dtype, shape, data_offsets: [start, end] }]) => {
    const copy = bytes.slice(8 + length + start, 8 + length + end).buffer; // aligned
    return [key, { shape, data: new ARRAYS[dtype](copy) }];
  }));
}

/** One array of a fixture; fails with its name when it is missing. */
export function goldenTensor(
  tensors: ReadonlyMap<string, GoldenTensor>,
  name: string,
): GoldenTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`the fixture has no tensor ${name}`);
  return tensor;
}

/** Entry `index` of an array whose first axis counts entries, such as the steps of a run. */
export function goldenEntry({ shape, data }: GoldenTensor, index: number): GoldenTensor {
  const size = data.length / shape[0];
  return { shape: shape.slice(1), data: data.slice(index * size, (index + 1) * size) };
}
