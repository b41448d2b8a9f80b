/**
 * Whether shaders can use subgroups here, found out by trying.
 *
 * @module
 */

const THREADS = 64;

/** What a shader sees of its subgroup. The language wants `enable subgroups;`, but Deno refuses it. */
const PROBE = `@group(0) @binding(0) var<storage, read_write> seen: array<vec4<u32>>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(local_invocation_index) local: u32, @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) lane: u32) {
  seen[local] = vec4<u32>(size, lane, subgroupBroadcast(local, 1u), subgroupShuffleDown(local, 2u));
}
`;

/**
 * The number of lanes of a subgroup, or null where shaders cannot use subgroups, where the driver
 * may choose the size, or where the lanes of a subgroup are not neighbouring threads.
 */
export async function findSubgroupSize(
  adapter: GPUAdapter,
  gpu: GPUDevice,
): Promise<number | null> {
  if (!gpu.features.has("subgroups" as GPUFeatureName)) return null;
  const info = adapter.info as GPUAdapterInfo & SubgroupSizes;
  const size = info.subgroupMinSize;
  if (!size || size !== info.subgroupMaxSize || size < 4 || size > THREADS) return null;
  const seen = await probe(gpu);
  if (!seen) return null;
  for (let thread = 0; thread < THREADS; thread++) {
    const [saidSize, lane, second, down] = seen.subarray(4 * thread);
    const first = thread - thread % size;
    if (saidSize !== size || lane !== thread - first || second !== first + 1) return null;
    // Past the end of the subgroup the value is undefined.
    if (lane + 2 < size && down !== thread + 2) return null;
  }
  return size;
}

interface SubgroupSizes {
  readonly subgroupMinSize?: number;
  readonly subgroupMaxSize?: number;
}

/** Four numbers per thread, or null where the shader is refused. */
async function probe(gpu: GPUDevice): Promise<Uint32Array | null> {
  const bytes = 16 * THREADS;
  const storage = gpu.createBuffer({
    size: bytes,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
  });
  const staging = gpu.createBuffer({
    size: bytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  gpu.pushErrorScope("validation");
  try {
    const pipeline = gpu.createComputePipeline({
      layout: "auto",
      compute: { module: gpu.createShaderModule({ code: PROBE }), entryPoint: "main" },
    });
    const error = await gpu.popErrorScope();
    if (error) return null;
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      gpu.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [{ binding: 0, resource: { buffer: storage } }],
      }),
    );
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(storage, 0, staging, 0, bytes);
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    return new Uint32Array(staging.getMappedRange().slice(0));
  } finally {
    storage.destroy();
    staging.destroy();
  }
}
