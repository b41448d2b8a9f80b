/**
 * A plan on the GPU: pipelines and bind groups are made once, and every run encodes the same flat
 * list of dispatches.
 *
 * @module
 */

import type { Plan } from "../../compile/plan.ts";
import { InternalError } from "../../base/errors.ts";
import type { Arena } from "../../tensor/state.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { DeviceBuffer, Executable, HostArray } from "../device.ts";
import { checkComplete, checkInput, findArena, findOutput } from "../inputs.ts";
import { asGpuBuffer, GpuBuffer, upload } from "./buffers.ts";
import type { WebGpuDevice } from "./device.ts";
import { type Dispatch, ELEMENT_BYTES, SCRATCH } from "./dispatch.ts";
import { KernelTimes, RunTimer } from "./timing.ts";

/** Dispatches per submission: few submissions, but the GPU starts before all is encoded. */
const DISPATCHES_PER_SUBMIT = 256;

/** A dispatch that is ready to be encoded. */
interface Command {
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** Milliseconds after which people are told what they wait for. */
const PATIENCE = 3000;

/** Tells people at a terminal, once per plan, that compiling takes long. */
class SlowStart {
  readonly #started = performance.now();
  #told = false;

  constructor(
    private readonly device: WebGpuDevice,
    private readonly plan: string,
    private readonly dispatches: number,
  ) {}

  /** So many dispatches have their shaders. */
  reached(done: number): void {
    if (this.#told || performance.now() - this.#started < PATIENCE) return;
    this.#told = true;
    if (!Deno.stderr.isTerminal()) return;
    console.error(
      `${this.device.description} compiles the shaders of ${this.plan}: ${done} of ` +
        `${this.dispatches} kernels are ready; most drivers remember them for the next start ...`,
    );
  }
}

/** A plan on the WebGPU device. */
export class WebGpuExecutable implements Executable {
  readonly #device: WebGpuDevice;
  readonly #buffers: readonly GpuBuffer[];
  /** Those of the buffers that belong to this object. */
  readonly #owned: readonly GpuBuffer[];
  readonly #params: GPUBuffer | null;
  readonly #commands: readonly Command[];
  readonly #missing: Set<string>;
  readonly #times = new KernelTimes();
  #timers: RunTimer[] = [];
  #destroyed = false;

  private constructor(
    device: WebGpuDevice,
    readonly plan: Plan,
    buffers: readonly GpuBuffer[],
    owned: readonly GpuBuffer[],
    params: GPUBuffer | null,
    commands: readonly Command[],
  ) {
    this.#device = device;
    this.#buffers = buffers;
    this.#owned = owned;
    this.#params = params;
    this.#commands = commands;
    this.#missing = new Set(plan.inputs.keys());
  }

  /** Generates and compiles the kernels and allocates the buffers. */
  static async prepare(
    device: WebGpuDevice,
    plan: Plan,
    arenas: ReadonlyMap<Arena, DeviceBuffer>,
  ): Promise<WebGpuExecutable> {
    const target = { ...device.target, batchInvariant: plan.batchInvariant ?? false };
    const dispatches = (await device.tuner.generate(plan.kernels, target)).flat();
    const owned: GpuBuffer[] = [];
    let params: GPUBuffer | null = null;
    try {
      const buffers = plan.buffers.map((buffer) => {
        if (buffer.role === "arena") return asGpuBuffer(findArena(arenas, buffer.arena!));
        const bytes = buffer.length * ELEMENT_BYTES;
        const made = new GpuBuffer(device.gpu, bytes, `${plan.label}: ${buffer.label}`);
        owned.push(made);
        return made;
      });
      const scratch = scratchBuffer(device.gpu, dispatches, plan.label);
      if (scratch) owned.push(scratch);
      const uniform = uniformBuffer(device.gpu, dispatches);
      params = uniform.buffer;
      const commands: Command[] = [];
      const notice = new SlowStart(device, plan.label, dispatches.length);
      for (const [i, dispatch] of dispatches.entries()) {
        notice.reached(i);
        if (device.debug >= 2) {
          console.error(`// ${dispatch.label}: ${dispatch.workgroups}\n${dispatch.wgsl}`);
        }
        const { pipeline, layout } = await device.pipelines.get(dispatch);
        const entries: GPUBindGroupEntry[] = dispatch.bindings.map((binding, n) => ({
          binding: n,
          resource: {
            buffer: (binding.buffer === SCRATCH ? scratch! : buffers[binding.buffer]).gpu,
            offset: binding.offset,
            size: binding.size,
          },
        }));
        if (dispatch.params.length > 0) {
          const size = Math.ceil(dispatch.params.length / 4) * 16;
          entries.push({
            binding: entries.length,
            resource: { buffer: params!, offset: uniform.offsets[i], size },
          });
        }
        commands.push({
          label: dispatch.label,
          pipeline,
          bindGroup: device.gpu.createBindGroup({ label: dispatch.label, layout, entries }),
          workgroups: dispatch.workgroups,
        });
      }
      device.check();
      if (device.debug >= 1) {
        const pipelines = new Set(commands.map((c) => c.pipeline)).size;
        const submits = Math.ceil(commands.length / DISPATCHES_PER_SUBMIT);
        console.error(
          `${plan.label} on ${device.description}: ${plan.kernels.length} kernels in ` +
            `${commands.length} dispatches of ${pipelines} shaders, submitted ` +
            `${submits === 1 ? "at once" : `in ${submits} parts`}`,
        );
      }
      return new WebGpuExecutable(device, plan, buffers, owned, params, commands);
    } catch (error) {
      for (const buffer of owned) buffer.destroy();
      params?.destroy();
      throw error;
    }
  }

  /** Dispatches per run. */
  get dispatches(): number {
    return this.#commands.length;
  }

  run(inputs: Readonly<Record<string, HostArray>>): void {
    this.#usable();
    this.#device.check();
    let uploaded = 0;
    for (const [name, data] of Object.entries(inputs)) {
      const { buffer } = checkInput(this.plan, name, data);
      upload(this.#device.gpu.queue, this.#buffers[buffer], data, 0);
      uploaded += data.byteLength;
      this.#missing.delete(name);
    }
    checkComplete(this.plan, this.#missing);
    if (this.#device.debug >= 3) this.#encodeTimed();
    else this.#encode();
    this.#device.throttle(uploaded);
  }

  async read<const Names extends readonly string[]>(
    names: Names,
  ): Promise<{ [Name in Names[number]]: HostArray }> {
    this.#usable();
    const values = names.map((name) => findOutput(this.plan, name));
    const data = await this.#device.readRanges(values.map((value) => ({
      buffer: this.#buffers[value.buffer],
      byteOffset: 0,
      byteLength: sizeOf(value.shape) * ELEMENT_BYTES,
    })));
    await this.collectTimes();
    return Object.fromEntries(values.map(({ dtype }, i) => [
      names[i],
      dtype === "i32" ? new Int32Array(data[i]) : new Float32Array(data[i]),
    ])) as { [Name in Names[number]]: HostArray };
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    if (this.#device.debug >= 3 && this.#times.list().length > 0) {
      console.error(this.#times.format(this.plan.label));
    }
    for (const timer of this.#timers) timer.destroy();
    for (const buffer of this.#owned) buffer.destroy();
    this.#params?.destroy();
    this.#device.forget(this);
  }

  /** Reads the timestamps of the runs so far (IMM_DEBUG=3) and tells who wants to know. */
  async collectTimes(): Promise<void> {
    const timers = this.#timers;
    this.#timers = [];
    for (const timer of timers) await timer.collect(this.#times);
    if (timers.length > 0) this.#device.onKernelTimes?.(this.plan.label, this.#times.list());
  }

  #encode(): void {
    const { gpu } = this.#device;
    const commands = this.#commands;
    for (let first = 0; first < commands.length; first += DISPATCHES_PER_SUBMIT) {
      const end = Math.min(commands.length, first + DISPATCHES_PER_SUBMIT);
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      let current: GPUComputePipeline | null = null;
      for (let i = first; i < end; i++) {
        const { pipeline, bindGroup, workgroups: [x, y, z] } = commands[i];
        if (pipeline !== current) pass.setPipeline(pipeline);
        current = pipeline;
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(x, y, z);
      }
      pass.end();
      gpu.queue.submit([encoder.finish()]);
    }
  }

  /** One pass per dispatch, with the time of each. */
  #encodeTimed(): void {
    const { gpu } = this.#device;
    const timer = gpu.features.has("timestamp-query")
      ? new RunTimer(gpu, this.#commands.map((c) => c.label))
      : null;
    let encoder = gpu.createCommandEncoder();
    this.#commands.forEach(({ label, pipeline, bindGroup, workgroups: [x, y, z] }, i) => {
      const pass = encoder.beginComputePass(timer ? { timestampWrites: timer.writes(i) } : {});
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(x, y, z);
      pass.end();
      if (timer) return;
      const start = performance.now();
      gpu.queue.submit([encoder.finish()]);
      this.#device.wait();
      this.#times.add(label, performance.now() - start);
      encoder = gpu.createCommandEncoder();
    });
    timer?.resolve(encoder);
    gpu.queue.submit([encoder.finish()]);
    if (timer) this.#timers.push(timer);
    else this.#device.onKernelTimes?.(this.plan.label, this.#times.list());
  }

  #usable(): void {
    if (this.#destroyed) throw new InternalError(`${this.plan.label} was destroyed`);
  }
}

/** One buffer for the partial results of all split kernels: they use it one after another. */
function scratchBuffer(
  gpu: GPUDevice,
  dispatches: readonly Dispatch[],
  label: string,
): GpuBuffer | null {
  let bytes = 0;
  for (const { bindings } of dispatches) {
    for (const { buffer, offset, size } of bindings) {
      if (buffer === SCRATCH) bytes = Math.max(bytes, offset + size);
    }
  }
  return bytes === 0 ? null : new GpuBuffer(gpu, bytes, `${label}: scratch`);
}

/** The uniforms of all dispatches in one buffer. */
function uniformBuffer(
  gpu: GPUDevice,
  dispatches: readonly Dispatch[],
): { buffer: GPUBuffer | null; offsets: number[] } {
  const alignment = gpu.limits.minUniformBufferOffsetAlignment;
  let size = 0;
  const offsets = dispatches.map(({ params }) => {
    const offset = size;
    size += Math.ceil(params.length * ELEMENT_BYTES / alignment) * alignment;
    return offset;
  });
  if (size === 0) return { buffer: null, offsets };
  const data = new Uint32Array(size / ELEMENT_BYTES);
  dispatches.forEach(({ params }, i) => data.set(params, offsets[i] / ELEMENT_BYTES));
  const buffer = gpu.createBuffer({
    label: "params",
    size,
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  });
  gpu.queue.writeBuffer(buffer, 0, data);
  return { buffer, offsets };
}
