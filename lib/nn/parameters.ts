/**
 * The parameters of a network: their official names, shapes and initial values, and where they live
 * on the device.
 *
 * Names, shapes and order are those of the public PyTorch state dicts, so that checkpoints travel
 * both ways. On the device trainable parameters lie in one arena and frozen ones in another, so that
 * an optimiser step or an average can run over the whole of the first. Buffers, which PyTorch also
 * lists in state dicts, stay on the host: nothing on the device reads them.
 *
 * @module
 */

import { FormatError, InternalError } from "../base/errors.ts";
import { Arena } from "../tensor/state.ts";
import { sameShape, type Shape, sizeOf, storageHere, type Tensor } from "../tensor/tensor.ts";
import { type Initializer, initialValues } from "./init.ts";

/** A tensor on the host, in the official shape and row-major. */
export interface HostTensor {
  /** Official shape. */
  readonly shape: Shape;
  /** Elements in row-major order. */
  readonly data: Float32Array;
}

/** Tensors by their official names, in official order. */
export type StateDict = Map<string, HostTensor>;

/** A tensor on the host, or one that is read when its turn comes. */
export interface StateTensor {
  /** Official shape. */
  readonly shape: Shape;
  /** Elements in row-major order, or a function that brings them. */
  readonly data: Float32Array | (() => Promise<Float32Array>);
}

/** One parameter. */
export interface ParameterSpec {
  /** Name in the official state dict, with its `model.` prefix. */
  readonly name: string;
  /** Official shape: `[out, in]` for linear layers, `[out, in, height, width]` for convolutions. */
  readonly shape: Shape;
  /** `oihw`: on the device the axes are [height, width, in, out]. */
  readonly layout: "same" | "oihw";
  /** Value before training. */
  readonly init: Initializer;
  /** Frozen parameters are saved and loaded but never updated. */
  readonly trainable: boolean;
}

/** Something state dicts list that is not a parameter. */
export interface BufferSpec {
  /** Name in the official state dict. */
  readonly name: string;
  /** Official shape. */
  readonly shape: Shape;
  /** Value before a state is adopted. */
  readonly init: Initializer;
  /** A fixed buffer follows from the configuration; a checkpoint must agree with it. */
  readonly fixed: boolean;
}

/** Contents of a store's two arenas, in device layout. */
export interface ArenaContents {
  /** Of {@link ParameterStore.arena}. */
  readonly trainable: Float32Array;
  /** Of {@link ParameterStore.frozen}. */
  readonly frozen: Float32Array;
}

/** Collects the parameters that layers declare, in the order of the official state dict. */
export class ParameterStore {
  /** Trainable parameters. */
  readonly arena: Arena;
  /** Parameters that are never updated; usually empty. */
  readonly frozen: Arena;
  /** All parameters by name, frozen ones included. */
  readonly specs: Map<string, ParameterSpec> = new Map();
  /** All buffers by name. */
  readonly buffers: Map<string, BufferSpec> = new Map();
  #order: string[] = [];
  #bufferValues = new Map<string, Float32Array>();

  /**
   * An empty store; `name` is what debug output calls its arena. Trainable parameters are stored as
   * `withStorage` says.
   */
  constructor(name = "parameters") {
    this.arena = new Arena(name, storageHere());
    this.frozen = new Arena(`${name}.frozen`);
  }

  /** Names of parameters and buffers in the order of the official state dict. */
  get names(): readonly string[] {
    return this.#order;
  }

  /** Number of elements of all parameters, frozen ones included, without padding or buffers. */
  get parameterCount(): number {
    let count = 0;
    for (const spec of this.specs.values()) count += sizeOf(spec.shape);
    return count;
  }

  /** Declares a parameter and returns it as a tensor of the graph, in device layout. */
  parameter(
    name: string,
    shape: Shape,
    init: Initializer,
    { layout = "same", trainable = true }: Partial<Pick<ParameterSpec, "layout" | "trainable">> =
      {},
  ): Tensor {
    this.#register(name);
    const spec: ParameterSpec = { name, shape, layout, init, trainable };
    this.specs.set(name, spec);
    const arena = trainable ? this.arena : this.frozen;
    arena.add(name, deviceShape(spec));
    return arena.tensor(name);
  }

  /** Declares a buffer. A fixed one has its value at once. */
  buffer(name: string, shape: Shape, init: Initializer, { fixed }: { fixed: boolean }): void {
    this.#register(name);
    this.buffers.set(name, { name, shape, init, fixed });
    if (fixed) this.#bufferValues.set(name, initialValues(init, sizeOf(shape), 0, name));
  }

  /** Current value of a buffer. Before {@link adopt}, only fixed buffers have one. */
  bufferValue(name: string): Float32Array {
    const value = this.#bufferValues.get(name);
    if (!value) {
      throw new InternalError(`the buffer ${name} was read before a state was adopted`);
    }
    return value;
  }

  /** Initial values of everything, the same for the same seed whatever the order of declaration. */
  initial(seed: number | bigint): StateDict {
    const state: StateDict = new Map();
    for (const name of this.#order) {
      const { shape, init } = this.#spec(name);
      state.set(name, { shape, data: initialValues(init, sizeOf(shape), seed, name) });
    }
    return state;
  }

  /** Initial value of one tensor, as {@link initial} gives it. */
  initialValue(name: string, seed: number | bigint): Float32Array {
    const { shape, init } = this.#spec(name);
    return initialValues(init, sizeOf(shape), seed, name);
  }

  /**
   * Takes over a state dict: keeps its buffers and returns its parameters laid out for the device.
   *
   * @throws FormatError when a tensor is missing, unknown or of another shape, or when a fixed
   * buffer has another value.
   */
  adopt(state: ReadonlyMap<string, HostTensor>, source = "the state"): ArenaContents {
    this.#check(state, source);
    const contents = {
      trainable: new Float32Array(this.arena.length),
      frozen: new Float32Array(this.frozen.length),
    };
    for (const [name, { data }] of state) {
      this.#adoptTensor(name, data, source, (spec, values) => {
        const [arena, target] = this.#home(spec, contents);
        target.set(values, arena.entries.get(name)!.offset);
      });
    }
    return contents;
  }

  /**
   * As {@link adopt}, one tensor after the other, so that a state larger than the free memory can be
   * brought to a device. `place` is given each parameter in the device's layout; the array may be
   * the state's own.
   *
   * @throws FormatError as adopt; names and shapes are checked before anything is placed.
   */
  async adoptEach(
    state: ReadonlyMap<string, StateTensor>,
    place: (spec: ParameterSpec, values: Float32Array) => void,
    source = "the state",
  ): Promise<void> {
    this.#check(state, source);
    for (const [name, { data }] of state) {
      this.#adoptTensor(name, typeof data === "function" ? await data() : data, source, place);
    }
  }

  #adoptTensor(
    name: string,
    data: Float32Array,
    source: string,
    place: (spec: ParameterSpec, values: Float32Array) => void,
  ): void {
    const parameter = this.specs.get(name);
    if (data.length !== sizeOf(this.#spec(name).shape)) {
      throw new FormatError(`${source}: ${name} has ${data.length} elements, unlike its shape`);
    }
    if (parameter) place(parameter, toDevice(parameter, data));
    else if (this.buffers.get(name)!.fixed) this.checkFixed(name, data, source);
    else this.#bufferValues.set(name, data.slice());
  }

  /** The inverse of {@link adopt}: everything by official name, shape and order. */
  stateDict(contents: ArenaContents): StateDict {
    const state: StateDict = new Map();
    for (const name of this.#order) {
      const spec = this.specs.get(name);
      if (!spec) {
        const data = this.bufferValue(name).slice();
        state.set(name, { shape: this.buffers.get(name)!.shape, data });
        continue;
      }
      const [arena, source] = this.#home(spec, contents);
      const { offset } = arena.entries.get(name)!;
      const data = fromDevice(spec, source.subarray(offset, offset + sizeOf(spec.shape)));
      state.set(name, { shape: spec.shape, data });
    }
    return state;
  }

  #home(spec: ParameterSpec, contents: ArenaContents): [Arena, Float32Array] {
    return spec.trainable ? [this.arena, contents.trainable] : [this.frozen, contents.frozen];
  }

  /**
   * Checks that a fixed buffer has the value that follows from the configuration. Of any other
   * tensor nothing is known: it passes.
   *
   * @throws FormatError when it has another one.
   */
  checkFixed(name: string, data: Float32Array, source: string): void {
    if (!this.buffers.get(name)?.fixed) return;
    const expected = this.bufferValue(name);
    // Written so that NaN fails.
    if (data.every((value, i) => Math.abs(value - expected[i]) <= 1e-6)) return;
    throw new FormatError(
      `${source}: expected ${name} to be [${expected}], found [${data}]; the network that this ` +
        `configuration builds computes with other numbers, so use the one that the file was ` +
        `made with`,
    );
  }

  #check(state: ReadonlyMap<string, StateTensor>, source: string): void {
    this.#checkNames(state, source);
    for (const [name, { shape }] of state) {
      const expected = this.#spec(name).shape;
      if (sameShape(shape, expected)) continue;
      throw new FormatError(
        `${source}: expected ${name} of shape [${expected}], found [${shape}]; ` +
          `use the configuration that the file was made with`,
      );
    }
  }

  #checkNames(state: ReadonlyMap<string, StateTensor>, source: string): void {
    const missing = this.#order.filter((name) => !state.has(name));
    const unknown = [...state.keys()].filter((n) => !this.specs.has(n) && !this.buffers.has(n));
    if (missing.length === 0 && unknown.length === 0) return;
    const list = (names: string[]) =>
      names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
    const problems = [
      missing.length > 0 ? `it lacks ${list(missing)}` : "",
      unknown.length > 0 ? `it has ${list(unknown)} that the network does not` : "",
    ].filter((text) => text !== "");
    throw new FormatError(
      `${source}: expected the ${this.#order.length} tensors of the network, but ` +
        `${problems.join(" and ")}; use the configuration that the file was made with`,
    );
  }

  #spec(name: string): ParameterSpec | BufferSpec {
    return (this.specs.get(name) ?? this.buffers.get(name))!;
  }

  #register(name: string): void {
    if (this.specs.has(name) || this.buffers.has(name)) {
      throw new InternalError(`the parameter ${name} was declared twice`);
    }
    this.#order.push(name);
  }
}

/** Shape of a parameter on the device. */
export function deviceShape({ shape, layout }: ParameterSpec): Shape {
  if (layout === "same") return shape;
  const [o, i, h, w] = shape;
  return [h, w, i, o];
}

/** Values in official order to values in device order. Returns `data` itself where they agree. */
export function toDevice(spec: ParameterSpec, data: Float32Array): Float32Array {
  if (spec.layout === "same") return data;
  const [o, i, h, w] = spec.shape;
  // Seen as [o, i, h*w], the device wants [h*w, i, o]: the outer two axes swap ends.
  return swapEnds(data, o, i, h * w);
}

/** Values in device order to a new array in official order. */
export function fromDevice(spec: ParameterSpec, data: Float32Array): Float32Array {
  if (spec.layout === "same") return data.slice();
  const [o, i, h, w] = spec.shape;
  return swapEnds(data, h * w, i, o);
}

/** Row-major [a, b, c] to row-major [c, b, a]. */
function swapEnds(data: Float32Array, a: number, b: number, c: number): Float32Array {
  const out = new Float32Array(data.length);
  let from = 0;
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      for (let k = 0; k < c; k++) out[(k * b + j) * a + i] = data[from++];
    }
  }
  return out;
}
