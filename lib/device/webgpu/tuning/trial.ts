/**
 * Trying the variants of a kernel on memory of its own: whether each gives the same bits as the first,
 * and how long it takes.
 *
 * @module
 */

import { GpuBuffer, readBack, type ReadRange, upload } from "../buffers.ts";
import { type Dispatch, SCRATCH } from "../dispatch.ts";
import type { PipelineCache } from "../pipelines.ts";

/** Kernels that touch more memory than this are not tried. */
const MOST_BYTES = 256 << 20;
/** Of the random numbers that the buffers are filled with. */
const RANDOM_BYTES = 4 << 20;
/** Of each buffer that is written, so much is compared from either end. */
const COMPARED_BYTES = 1 << 20;
/** How long the repetitions of one variant should take together, by the way of timing. */
const STAMPED_MILLISECONDS = 4;
const CLOCKED_MILLISECONDS = 30;
const MOST_REPETITIONS = 128;
/** How wrong a single time by the clock may be, in milliseconds. */
const CLOCK_ERROR = 10;
const ROUNDS = 3;

/** By the timestamps of the device, by the clock, or not at all. */
export type Timing = "stamps" | "clock" | "none";

/** A variant that gave the same bits as the first, with the shortest of several times. */
export interface TrialResult {
  /** Number of the variant. */
  readonly index: number;
  /** Per run; the unit is the same for all variants of a trial. */
  readonly time: number;
}

interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** Part of a plan's buffer that stands for it in a trial. */
interface Stand {
  readonly buffer: GpuBuffer;
  /** Where it starts in the plan's buffer. */
  readonly start: number;
  readonly written: boolean;
  readonly half: boolean;
}

/**
 * Runs all variants. Variants whose bits differ from the first's, and those that do not compile, are
 * missing from the result; the first is always there unless the kernel cannot be tried at all.
 */
export async function tryVariants(
  gpu: GPUDevice,
  pipelines: PipelineCache,
  variants: readonly (readonly Dispatch[])[],
  timing: Timing,
): Promise<TrialResult[]> {
  const stands = standsFor(gpu, variants.flat());
  if (!stands) return [];
  const uniforms: GPUBuffer[] = [];
  let numbers: Filling | null = null;
  try {
    numbers = filling(gpu, [...stands.values()].some(({ half }) => half));
    for (const stand of stands.values()) refill(gpu, stand, numbers);
    const same: { index: number; commands: Command[] }[] = [];
    let expected: ArrayBuffer[] | null = null;
    for (const [index, dispatches] of variants.entries()) {
      const commands: Command[] = [];
      try {
        for (const dispatch of dispatches) {
          commands.push(await prepare(gpu, pipelines, dispatch, stands, uniforms));
        }
      } catch (error) {
        if (index === 0) throw error;
        continue; // a driver that refuses one code may take another
      }
      for (const stand of stands.values()) if (stand.written) refill(gpu, stand, numbers);
      submit(gpu, [{ commands, repetitions: 1 }]);
      const bits = await readBack(gpu, comparedRanges(stands));
      expected ??= bits;
      if (sameBits(bits, expected)) same.push({ index, commands });
    }
    const times = timing === "none"
      ? same.map(() => 0)
      : await timeAll(gpu, same.map((s) => s.commands), timing);
    return same.map(({ index }, i) => ({ index, time: times[i] }));
  } finally {
    for (const { buffer } of stands.values()) buffer.destroy();
    numbers?.singles.destroy();
    numbers?.halves?.destroy();
    for (const uniform of uniforms) uniform.destroy();
  }
}

/** A buffer for each that the dispatches bind, or null where they are too large. */
function standsFor(gpu: GPUDevice, dispatches: readonly Dispatch[]): Map<number, Stand> | null {
  const ranges = new Map<number, Omit<Stand, "buffer"> & { end: number }>();
  for (const { buffer, offset, size, writable, half } of dispatches.flatMap((d) => d.bindings)) {
    const range = ranges.get(buffer) ?? { start: offset, end: 0, written: false };
    ranges.set(buffer, {
      half,
      start: Math.min(range.start, offset),
      end: Math.max(range.end, offset + size),
      written: range.written || (writable && buffer !== SCRATCH),
    });
  }
  const bytes = [...ranges.values()].reduce((sum, { start, end }) => sum + end - start, 0);
  if (bytes > MOST_BYTES) return null;
  return new Map(
    [...ranges].map(([buffer, { start, end, written, half }]) => [buffer, {
      half,
      buffer: new GpuBuffer(gpu, end - start, `trial: buffer ${buffer}`),
      start,
      written,
    }]),
  );
}

/** Numbers that buffers are filled with, as f32 and, where there are such buffers, as f16. */
interface Filling {
  readonly singles: GpuBuffer;
  readonly halves: GpuBuffer | null;
}

function filling(gpu: GPUDevice, withHalves: boolean): Filling {
  const numbers = randomNumbers ??= makeNumbers();
  const singles = new GpuBuffer(gpu, RANDOM_BYTES, "trial: numbers");
  upload(gpu.queue, singles, numbers, 0);
  if (!withHalves) return { singles, halves: null };
  const halves = new GpuBuffer(gpu, RANDOM_BYTES / 2, "trial: numbers of f16");
  upload(gpu.queue, halves, new Float32Array(Float16Array.from(numbers).buffer), 0);
  return { singles, halves };
}

/** Numbers between -1 and 1; they are the same in every trial, and made in the first. */
let randomNumbers: Float32Array<ArrayBuffer> | null = null;

function makeNumbers(): Float32Array<ArrayBuffer> {
  const data = new Float32Array(RANDOM_BYTES / 4);
  let state = 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = state / 2 ** 31;
  }
  return data;
}

/** Fills a buffer with numbers of its type over and over. */
function refill(gpu: GPUDevice, { buffer, half }: Stand, { halves, singles }: Filling): void {
  const numbers = half ? halves! : singles;
  const encoder = gpu.createCommandEncoder();
  for (let at = 0; at < buffer.bytes; at += numbers.bytes) {
    // Buffers of the GPU end at multiples of four bytes.
    const bytes = Math.min(numbers.bytes, buffer.bytes - at) & ~3;
    encoder.copyBufferToBuffer(numbers.gpu, 0, buffer.gpu, at, bytes);
  }
  gpu.queue.submit([encoder.finish()]);
}

async function prepare(
  gpu: GPUDevice,
  pipelines: PipelineCache,
  dispatch: Dispatch,
  stands: ReadonlyMap<number, Stand>,
  uniforms: GPUBuffer[],
): Promise<Command> {
  const { pipeline, layout } = await pipelines.get(dispatch);
  const entries: GPUBindGroupEntry[] = dispatch.bindings.map(
    ({ buffer, offset, size }, binding) => {
      const stand = stands.get(buffer)!;
      return {
        binding,
        resource: { buffer: stand.buffer.gpu, offset: offset - stand.start, size },
      };
    },
  );
  if (dispatch.params.length > 0) {
    const uniform = gpu.createBuffer({
      size: Math.ceil(dispatch.params.length / 4) * 16,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    gpu.queue.writeBuffer(uniform, 0, new Uint32Array(dispatch.params));
    uniforms.push(uniform);
    entries.push({ binding: entries.length, resource: { buffer: uniform } });
  }
  return {
    pipeline,
    bindGroup: gpu.createBindGroup({ layout, entries }),
    workgroups: dispatch.workgroups,
  };
}

function comparedRanges(stands: ReadonlyMap<number, Stand>): ReadRange[] {
  return [...stands.values()].filter((s) => s.written).flatMap(({ buffer }) => {
    const { bytes } = buffer;
    if (bytes <= 2 * COMPARED_BYTES) return [{ buffer, byteOffset: 0, byteLength: bytes }];
    return [0, bytes - COMPARED_BYTES].map((byteOffset) => ({
      buffer,
      byteOffset,
      byteLength: COMPARED_BYTES,
    }));
  });
}

function sameBits(a: readonly ArrayBuffer[], b: readonly ArrayBuffer[]): boolean {
  return a.every((part, i) => {
    const [x, y] = [new Uint32Array(part), new Uint32Array(b[i])];
    return x.every((bits, j) => bits === y[j]);
  });
}

/** The shortest time of each list of commands, by turns. */
async function timeAll(
  gpu: GPUDevice,
  lists: readonly Command[][],
  timing: "stamps" | "clock",
): Promise<number[]> {
  const time = timing === "stamps" ? timeByStamps : timeByClock;
  const wanted = timing === "stamps" ? STAMPED_MILLISECONDS : CLOCKED_MILLISECONDS;
  const once = await time(gpu, lists.map((commands) => ({ commands, repetitions: 1 })));
  // What is far behind the first after one run is not run again; one run by the clock is not exact.
  const limit = 3 * once[0] + (timing === "clock" ? CLOCK_ERROR : 0);
  const runs = lists.map((commands, i) => ({
    commands,
    repetitions: once[i] > limit
      ? 0
      : Math.max(1, Math.min(MOST_REPETITIONS, Math.round(wanted / once[i]))),
  }));
  const best = lists.map(() => Infinity);
  for (let round = 0; round < ROUNDS; round++) {
    const times = await time(gpu, runs);
    runs.forEach(({ repetitions }, i) => {
      if (repetitions > 0) best[i] = Math.min(best[i], times[i] / repetitions);
    });
  }
  return best;
}

interface Repeated {
  readonly commands: readonly Command[];
  readonly repetitions: number;
}

/** In milliseconds where the driver's unit is nanoseconds, as on all that were seen. */
async function timeByStamps(gpu: GPUDevice, runs: readonly Repeated[]): Promise<number[]> {
  const count = 2 * runs.length;
  const querySet = gpu.createQuerySet({ type: "timestamp", count });
  const size = 8 * count;
  const resolved = gpu.createBuffer({
    size,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const staging = gpu.createBuffer({
    size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = gpu.createCommandEncoder();
    runs.forEach((run, i) =>
      encode(encoder, run, {
        timestampWrites: {
          querySet,
          beginningOfPassWriteIndex: 2 * i,
          endOfPassWriteIndex: 2 * i + 1,
        },
      })
    );
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(staging.getMappedRange());
    return runs.map((_, i) => Number(stamps[2 * i + 1] - stamps[2 * i]) / 1e6);
  } finally {
    querySet.destroy();
    resolved.destroy();
    staging.destroy();
  }
}

/** In milliseconds, less what waiting takes when there is nothing to wait for. */
async function timeByClock(gpu: GPUDevice, runs: readonly Repeated[]): Promise<number[]> {
  const nothing = { commands: [], repetitions: 1 };
  const times: number[] = [];
  for (const run of [nothing, nothing, ...runs]) {
    const start = performance.now();
    submit(gpu, [run]);
    await gpu.queue.onSubmittedWorkDone();
    times.push(performance.now() - start);
  }
  const [first, second, ...rest] = times;
  return rest.map((time) => Math.max(0.001, time - Math.min(first, second)));
}

function submit(gpu: GPUDevice, runs: readonly Repeated[]): void {
  const encoder = gpu.createCommandEncoder();
  for (const run of runs) encode(encoder, run, {});
  gpu.queue.submit([encoder.finish()]);
}

function encode(
  encoder: GPUCommandEncoder,
  { commands, repetitions }: Repeated,
  descriptor: GPUComputePassDescriptor,
): void {
  const pass = encoder.beginComputePass(descriptor);
  for (let i = 0; i < repetitions; i++) {
    for (const { pipeline, bindGroup, workgroups: [x, y, z] } of commands) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(x, y, z);
    }
  }
  pass.end();
}
