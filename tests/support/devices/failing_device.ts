/** A device that fails. */

import type { Device, Executable } from "../../../lib/device/device.ts";

/** The device, but after `runs` runs of plans each throws `error`. */
export function failingAfter(device: Device, runs: number, error: Error): Device {
  let left = runs;
  const use = () => {
    if (left-- <= 0) throw error;
  };
  const failing = (executable: Executable): Executable => ({
    plan: executable.plan,
    run: (inputs) => {
      use();
      executable.run(inputs);
    },
    read: (names) => executable.read(names),
    destroy: () => executable.destroy(),
  });
  return {
    kind: device.kind,
    description: device.description,
    float16: device.float16,
    limits: device.limits,
    allocate: (bytes, label) => device.allocate(bytes, label),
    write: (buffer, data, offset) => device.write(buffer, data, offset),
    read: (buffer, offset, length) => device.read(buffer, offset, length),
    free: (buffer) => device.free(buffer),
    prepare: async (plan, arenas) => failing(await device.prepare(plan, arenas)),
    finish: () => device.finish(),
    close: () => device.close(),
  };
}
