/** Expected values: tests/golden/NAME.json and NAME.safetensors, described in its README.md. */

/** One array of a fixture. F64 arrays hold digits that float32 would lose. */
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

const FOLDER = new URL("../../golden/", import.meta.url);
const ARRAYS = { F32: Float32Array, F64: Float64Array, I32: Int32Array } as const;

/** The JSON of a fixture. The caller states its form. */
export function goldenJson<T>(name: string): T {
  return JSON.parse(Deno.readTextFileSync(new URL(`${name}.json`, FOLDER)));
}

/** The tensors of a fixture. Reads the format on its own, so that lib/format is not tested here. */
export function goldenTensors(name: string): Map<string, GoldenTensor> {
  const bytes = Deno.readFileSync(new URL(`${name}.safetensors`, FOLDER));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Record<
    string,
    { dtype: keyof typeof ARRAYS; shape: number[]; data_offsets: [number, number] }
  > = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const tensors = new Map<string, GoldenTensor>();
  for (const [key, entry] of Object.entries(header)) {
    if (key === "__metadata__") continue;
    const [start, end] = entry.data_offsets;
    const copy = bytes.slice(8 + length + start, 8 + length + end).buffer; // aligned
    tensors.set(key, { shape: entry.shape, data: new ARRAYS[entry.dtype](copy) });
  }
  return tensors;
}

/** One array of a fixture; fails with its name when it is missing. */
export function goldenTensor(tensors: Map<string, GoldenTensor>, name: string): GoldenTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`the fixture has no tensor ${name}`);
  return tensor;
}
