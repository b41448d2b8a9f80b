/**
 * Buffers on the GPU, each owned and destroyed by hand: the garbage collector does not know how
 * much memory hangs on a small JavaScript object.
 *
 * @module
 */

import { DeviceError, InternalError } from "../../base/errors.ts";
import type { DeviceBuffer, HostArray } from "../device.ts";

/** Uploads are cut into pieces of this size, because each piece is staged in driver memory. */
const UPLOAD_CHUNK_BYTES = 32 << 20;

/** Memory on the GPU. */
export class GpuBuffer implements DeviceBuffer {
  readonly gpu: GPUBuffer;

  constructor(device: GPUDevice, readonly bytes: number, readonly label: string) {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    if (size > device.limits.maxBufferSize) {
      throw new DeviceError(
        `${label} needs a buffer of ${size} bytes, but this device allows ` +
          `${device.limits.maxBufferSize}; use a smaller batch or a smaller network`,
      );
    }
    this.gpu = device.createBuffer({
      label,
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  }

  destroy(): void {
    this.gpu.destroy();
  }
}

/** The GPU buffer behind the interface. */
export function asGpuBuffer(buffer: DeviceBuffer): GpuBuffer {
  if (!(buffer instanceof GpuBuffer)) {
    throw new InternalError(`the buffer ${buffer.label} is not of the WebGPU device`);
  }
  return buffer;
}

/** Copies host data to a buffer, in pieces. */
export function upload(
  queue: GPUQueue,
  buffer: GpuBuffer,
  data: HostArray,
  byteOffset: number,
): void {
  if (byteOffset % 4 !== 0 || byteOffset + data.byteLength > buffer.bytes) {
    throw new InternalError(
      `${data.byteLength} bytes do not fit at ${byteOffset} of ${buffer.label} ` +
        `(${buffer.bytes} bytes)`,
    );
  }
  const step = UPLOAD_CHUNK_BYTES / 4;
  for (let start = 0; start < data.length; start += step) {
    // Element offsets of typed arrays: the whole view stays, only a window is copied.
    queue.writeBuffer(
      buffer.gpu,
      byteOffset + start * 4,
      data as Float32Array<ArrayBuffer>,
      start,
      Math.min(step, data.length - start),
    );
  }
}

/** A range to be read back. */
export interface ReadRange {
  readonly buffer: GpuBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Copies ranges to the host with a single wait, once everything submitted before is done. */
export async function readBack(
  device: GPUDevice,
  ranges: readonly ReadRange[],
): Promise<ArrayBuffer[]> {
  for (const { buffer, byteOffset, byteLength } of ranges) {
    if (byteOffset % 4 !== 0 || byteLength % 4 !== 0 || byteOffset + byteLength > buffer.bytes) {
      throw new InternalError(
        `cannot read ${byteLength} bytes at ${byteOffset} of ${buffer.label} ` +
          `(${buffer.bytes} bytes)`,
      );
    }
  }
  const total = ranges.reduce((sum, r) => sum + r.byteLength, 0);
  if (total === 0) return ranges.map(() => new ArrayBuffer(0));
  const staging = device.createBuffer({
    label: "read-back",
    size: total,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder();
    let at = 0;
    for (const { buffer, byteOffset, byteLength } of ranges) {
      if (byteLength > 0) {
        encoder.copyBufferToBuffer(buffer.gpu, byteOffset, staging, at, byteLength);
      }
      at += byteLength;
    }
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const mapped = staging.getMappedRange();
    at = 0;
    return ranges.map(({ byteLength }) => {
      const copy = mapped.slice(at, at + byteLength);
      at += byteLength;
      return copy;
    });
  } finally {
    staging.destroy();
  }
}
