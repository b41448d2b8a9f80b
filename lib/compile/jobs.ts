/**
 * Jobs: the kernels-to-be, before their expressions are built. Element-wise jobs over the same
 * index space are joined where one feeds the other or both read the same data, and so are
 * reductions; an optimiser step over a whole arena becomes one job this way.
 *
 * @module
 */

import { type Node, sameShape, type Shape, sizeOf, type Tensor } from "../tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { formOf } from "./operations.ts";
import type { Locations } from "./locations.ts";
import type { StorageDecision } from "./storage.ts";
import type { Location } from "./values.ts";

/** One value that an element-wise job writes. */
export interface Write {
  /** What is written; null writes zeros. */
  readonly source: Tensor | null;
  /** Where; undefined means the source's own location (the job computes it). */
  readonly location?: Location;
  /** The concatenation or padding that the location is a part of. */
  readonly whole?: Tensor;
}

/** Something that becomes one kernel. */
export interface Job {
  readonly kind: "elementwise" | "reduce" | "contraction" | "other";
  /** elementwise: the values. */
  readonly writes: readonly Write[];
  /** reduce, contraction: results; other: the node's outputs. */
  readonly results: readonly Tensor[];
  /** reduce, contraction: what is stored, each at the end of an element-wise chain of a result. */
  readonly finals: readonly Tensor[];
  /** Index space that joined jobs must share. */
  readonly space: Shape;
  /** Place in the original order. */
  readonly position: number;
}

/** Kernels should stay within the 8 storage buffers that every WebGPU device has. */
const MAX_VALUES = 7;

/** Lists the jobs of a program in their original order. */
export function listJobs(
  graph: Graph,
  decision: StorageDecision,
  locations: Locations,
): Job[] {
  const jobs: Job[] = [];
  const finals = new Map([...decision.anchors].map(([last, result]) => [result, last]));
  for (const node of graph.nodes) {
    const [first] = node.outputs;
    const position = graph.position(node);
    switch (formOf(node)) {
      case "given":
      case "identity":
      case "view":
        break;
      case "assembly":
        jobs.push(...assemble(graph, node, locations));
        break;
      case "elementwise":
        if (!locations.isStored(first) || decision.anchors.has(first)) break;
        jobs.push(elementwiseJob(first, position));
        break;
      case "finishing": {
        const final = finals.get(first) ?? first;
        jobs.push({
          kind: node.op.kind === "reduce" ? "reduce" : "contraction",
          writes: [],
          results: [first],
          finals: [final],
          space: node.inputs[0].shape,
          position: graph.position(final.node),
        });
        break;
      }
      case "moments":
      case "lone":
        jobs.push({
          kind: "other",
          writes: [],
          results: node.outputs,
          finals: [],
          space: [],
          position,
        });
    }
  }
  for (const { source, location, staged } of locations.copies) {
    if (staged) jobs.push(elementwiseJob(source, Infinity));
    jobs.push({ ...elementwiseJob(source, Infinity), writes: [{ source, location }] });
  }
  return jobs.sort((a, b) => a.position - b.position);
}

/** The job that computes a tensor point by point. */
export function elementwiseJob(tensor: Tensor, position: number): Job {
  return {
    kind: "elementwise",
    writes: [{ source: tensor }],
    results: [],
    finals: [],
    space: tensor.shape,
    position,
  };
}

/** Copies into a concatenation, or zeros and a copy for a padding. */
function assemble(graph: Graph, node: Node, locations: Locations): Job[] {
  const [whole] = node.outputs;
  const jobs: Job[] = [];
  const add = (source: Tensor | null, starts: readonly number[], space: Shape) => {
    const location = locations.locate(whole)!;
    const offset = starts.reduce((sum, s, axis) => sum + s * location.strides[axis], 0);
    jobs.push({
      kind: "elementwise",
      writes: [{ source, location: { ...location, offset: location.offset + offset }, whole }],
      results: [],
      finals: [],
      space,
      position: graph.position(node),
    });
  };
  if (node.op.kind === "concat") {
    const { axis } = node.op;
    let start = 0;
    for (const input of graph.inputs(node)) {
      if (!locations.isPart(input)) {
        add(input, whole.shape.map((_, k) => k === axis ? start : 0), input.shape);
      }
      start += input.shape[axis];
    }
  } else if (node.op.kind === "pad") {
    const [input] = graph.inputs(node);
    const { starts } = node.op;
    add(input, starts, input.shape);
    // Zeros in two slabs per axis: full size on later axes, the input's extent on earlier ones.
    whole.shape.forEach((size, axis) => {
      const slab = (from: number, to: number) => {
        if (from >= to) return;
        const at = starts.map((s, k) => k < axis ? s : k === axis ? from : 0);
        const space = whole.shape.map((n, k) =>
          k < axis ? input.shape[k] : k === axis ? to - from : n
        );
        add(null, at, space);
      };
      slab(0, starts[axis]);
      slab(starts[axis] + input.shape[axis], size);
    });
  }
  return jobs;
}

/**
 * Joins jobs. A joined job stands where its last part stood, so the order is no longer one in which
 * the jobs can run.
 */
export function joinJobs(jobs: readonly Job[], graph: Graph, locations: Locations): Job[] {
  const joined: (Job | null)[] = [...jobs];
  const reads = jobs.map((job) => readsOf(job, graph, locations));
  const producers = new Map<Tensor, number[]>();
  jobs.forEach((job, i) => {
    for (const tensor of writtenBy(job, locations)) {
      producers.set(tensor, [...producers.get(tensor) ?? [], i]);
    }
  });
  // Bit i of closure[j]: job j needs job i, directly or not.
  const closure: bigint[] = [];
  const readers = new Map<Tensor, number[]>();
  jobs.forEach((job, j) => {
    closure[j] = 0n;
    for (const tensor of reads[j]) {
      for (const i of producers.get(tensor) ?? []) closure[j] |= closure[i] | (1n << BigInt(i));
    }
    const partner = joinable(job)
      ? findPartner(j, joined, reads, closure, producers, readers, locations)
      : undefined;
    if (partner === undefined) {
      for (const tensor of reads[j]) readers.set(tensor, [...readers.get(tensor) ?? [], j]);
      return;
    }
    // The pair takes the later place; whoever needed either now needs both.
    joined[j] = join(joined[partner]!, job);
    joined[partner] = null;
    const bits = (1n << BigInt(j)) | (1n << BigInt(partner));
    closure[j] = (closure[j] | closure[partner]) & ~bits;
    for (let k = 0; k < j; k++) {
      if (closure[k] & bits) closure[k] |= closure[j] | bits;
    }
    reads[j] = new Set([...reads[j], ...reads[partner]]);
    for (const [tensor, list] of producers) {
      producers.set(tensor, list.map((i) => i === partner ? j : i));
    }
    for (const [tensor, list] of readers) {
      readers.set(tensor, list.map((i) => i === partner ? j : i));
    }
    for (const tensor of reads[j]) readers.set(tensor, [...readers.get(tensor) ?? [], j]);
  });
  return dropUnread(joined.filter((job) => job !== null), graph, locations);
}

function join(first: Job, second: Job): Job {
  const parts = {
    results: [...first.results, ...second.results],
    position: second.position,
  };
  if (first.kind === "elementwise" || second.kind === "reduce") {
    const writes = [...first.writes, ...second.writes];
    return { ...first, ...parts, writes, finals: [...first.finals, ...second.finals] };
  }
  const computed = second.writes.flatMap(({ source }) => source ?? []);
  return { ...first, ...parts, finals: [...first.finals, ...computed] };
}

/** Takes out of memory what only the job that computes it has read. */
function dropUnread(jobs: readonly Job[], graph: Graph, locations: Locations): Job[] {
  const readBy = new Map<Tensor, Set<Job>>();
  for (const job of jobs) {
    for (const tensor of readsOf(job, graph, locations)) {
      const known = readBy.get(tensor);
      if (known) known.add(job);
      else readBy.set(tensor, new Set([job]));
    }
  }
  return jobs.map((job) => {
    const parts = job.finals.length + job.writes.length;
    if (parts < 2) return job;
    const needed = (tensor: Tensor) =>
      locations.isPlaced(tensor) || locations.isPart(tensor) ||
      [...readBy.get(tensor) ?? []].some((reader) => reader !== job);
    const drop = (tensor: Tensor) => {
      if (needed(tensor)) return false;
      locations.unstore(tensor);
      return true;
    };
    return {
      ...job,
      finals: job.finals.filter((tensor) => !drop(tensor)),
      writes: job.writes.filter(({ source, location }) => location || !source || !drop(source)),
    };
  });
}

function joinable(job: Job): boolean {
  return job.kind === "reduce" ||
    job.kind === "elementwise" && job.writes.every((write) => write.location === undefined);
}

/** The latest earlier job that job j may and should be joined with. */
function findPartner(
  j: number,
  jobs: readonly (Job | null)[],
  reads: readonly Set<Tensor>[],
  closure: readonly bigint[],
  producers: ReadonlyMap<Tensor, readonly number[]>,
  readers: ReadonlyMap<Tensor, readonly number[]>,
  locations: Locations,
): number | undefined {
  const job = jobs[j]!;
  const size = sizeOf(job.space);
  const candidates = new Set<number>();
  const direct = new Set<number>();
  for (const tensor of reads[j]) {
    for (const i of producers.get(tensor) ?? []) {
      direct.add(i);
      if (tensor.size < size) continue;
      candidates.add(i);
      // Results that were made together are well used together.
      for (const sibling of writtenBy(jobs[i]!, locations)) {
        for (const k of readers.get(sibling) ?? []) candidates.add(k);
      }
    }
    if (tensor.size < size) continue;
    for (const i of readers.get(tensor) ?? []) candidates.add(i);
  }
  for (const i of [...candidates].sort((a, b) => b - a)) {
    const other = jobs[i];
    if (!other || i === j || regionOf(other) !== regionOf(job)) continue;
    if (!fits(other, job, direct.has(i))) continue;
    if (reaches(j, i, reads, closure, producers)) continue;
    // A part of a concatenation is known to the kernel that makes it, the whole is not.
    if (wholesWrittenBy(other, locations).some((whole) => reads[j].has(whole))) continue;
    const buffers = new Set(
      [...reads[i], ...reads[j], ...writtenBy(other, locations), ...writtenBy(job, locations)]
        .map((tensor) => locations.bufferKey(tensor)),
    );
    if (buffers.size <= MAX_VALUES) return i;
  }
  return undefined;
}

/** The region of what a job computes: one that recomputes must not run with the first computation. */
function regionOf(job: Job): number {
  const first = job.results[0] ?? job.writes.find(({ source }) => source !== null)?.source;
  return first?.node.region ?? 0;
}

/** Whether two jobs have the right forms to be joined; `direct`: the second reads the first. */
function fits(first: Job, second: Job, direct: boolean): boolean {
  if (second.kind === "reduce") {
    return first.kind === "reduce" && !direct && sameShape(first.space, second.space) &&
      sameReduction(first, second);
  }
  if (first.kind === "elementwise") {
    return joinable(first) && sameShape(first.space, second.space);
  }
  // What is computed from a contraction's or reduction's results alone, point by point.
  return first.kind !== "other" && direct && sizeOf(first.finals[0].shape) === sizeOf(second.space);
}

/** Whether job j needs job i through a third job. */
function reaches(
  j: number,
  i: number,
  reads: readonly Set<Tensor>[],
  closure: readonly bigint[],
  producers: ReadonlyMap<Tensor, readonly number[]>,
): boolean {
  const bit = 1n << BigInt(i);
  for (const tensor of reads[j]) {
    for (const producer of producers.get(tensor) ?? []) {
      if (producer !== i && (closure[producer] & bit)) return true;
    }
  }
  return false;
}

function sameReduction(a: Job, b: Job): boolean {
  const [first, second] = [a.results[0].node.op, b.results[0].node.op];
  return first.kind === "reduce" && second.kind === "reduce" &&
    sameShape(first.axes, second.axes);
}

/** Stored tensors that the job writes. */
function writtenBy(job: Job, locations: Locations): Tensor[] {
  return [...computedBy(job), ...wholesWrittenBy(job, locations)];
}

/** Stored tensors that the job computes at every point. */
function computedBy(job: Job): Tensor[] {
  const computed: Tensor[] = [...job.finals];
  if (job.kind === "other") computed.push(...job.results);
  for (const { source, location, whole } of job.writes) {
    if (source && !location && !whole) computed.push(source);
  }
  return computed;
}

/** Concatenations and paddings of which the job writes a part. */
function wholesWrittenBy(job: Job, locations: Locations): Tensor[] {
  return [
    ...job.writes.flatMap(({ whole }) => whole ?? []),
    ...computedBy(job).flatMap((tensor) => locations.wholeOf(tensor) ?? []),
  ];
}

/** Stored tensors that the job reads. */
function readsOf(job: Job, graph: Graph, locations: Locations): Set<Tensor> {
  const reads = new Set<Tensor>();
  const results = new Set(job.results);
  const visit = (tensor: Tensor) => {
    for (const input of graph.inputs(tensor.node)) {
      if (locations.isStored(input)) reads.add(input);
      else if (!results.has(input)) visit(input);
    }
  };
  for (const { source, location } of job.writes) {
    if (!source) continue;
    if (location && locations.isStored(source)) reads.add(source);
    else visit(source);
  }
  for (const tensor of [...job.results, ...job.finals]) visit(tensor);
  return reads;
}
