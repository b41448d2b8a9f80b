/**
 * An ONNX network on several threads: a pool of Workers with a session of one thread each, because
 * they wait for each other less than the threads of one session do (1.24 times the images for the
 * same processor time with Inception on two threads), and the numbers are the same in every bit.
 *
 * @module
 */

import type { InferenceSession, Tensor } from "npm:onnxruntime-web@1.30.0";
import { loadOnnx } from "../../formats/onnx/runtime.ts";
import { WorkerPool } from "../../base/workers.ts";

/** Each Worker has a copy of the model; together they may take so many bytes. */
const COPIES_BYTES = 2 ** 31;

/** A tensor that is given to the network. */
export interface OnnxInput {
  /** Of its elements. */
  readonly type: "uint8" | "float32";
  /** Row-major. */
  readonly data: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
  readonly shape: readonly number[];
}

/** A tensor that the network gives. */
export interface OnnxOutput {
  /** Of its elements, as the runtime calls it. */
  readonly type: string;
  readonly shape: readonly number[];
  /** Row-major; null where it is not float32. */
  readonly data: Float32Array<ArrayBuffer> | null;
}

/** Names of what goes into a network and what comes out. */
export interface OnnxNames {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** A network that can be run. */
export interface OnnxSessions extends AsyncDisposable {
  readonly names: OnnxNames;
  /** Runs that go on beside each other. */
  readonly parallel: number;
  /**
   * Runs the network.
   *
   * @param inputs by name; their memory is given away
   * @param wanted names of outputs
   */
  run(
    inputs: Readonly<Record<string, OnnxInput>>,
    wanted: readonly string[],
  ): Promise<OnnxOutput[]>;
}

/**
 * Loads a network.
 *
 * @param name what error messages call it
 * @param threads default: the processors, 8 at most; one in a compiled program, where the runtime's
 * own files may be missing
 * @throws {FormatError} when it cannot be run
 */
export async function openSessions(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  threads: number = Deno.build.standalone ? 1 : Math.min(8, navigator.hardwareConcurrency),
): Promise<OnnxSessions> {
  const workers = Math.min(threads, Math.floor(COPIES_BYTES / bytes.length));
  if (workers <= 1) return await OneSession.open(bytes, name, threads);
  const pool = new WorkerPool<SessionRequest, SessionAnswer>(
    new URL("./onnx_worker.ts", import.meta.url),
    workers,
  );
  try {
    const [names] = await pool.all({ kind: "load", bytes, name }) as OnnxNames[];
    return {
      names,
      parallel: workers,
      async run(inputs, wanted) {
        const buffers = Object.values(inputs).map(({ data }) => data.buffer);
        return await pool.request({ kind: "run", inputs, wanted }, buffers) as OnnxOutput[];
      },
      [Symbol.asyncDispose]() {
        pool.close();
        return Promise.resolve();
      },
    };
  } catch (error) {
    pool.close();
    throw error;
  }
}

/** What a Worker is asked for: first to load. */
export type SessionRequest =
  | { readonly kind: "load"; readonly bytes: Uint8Array<ArrayBuffer>; readonly name: string }
  | {
    readonly kind: "run";
    readonly inputs: Readonly<Record<string, OnnxInput>>;
    readonly wanted: readonly string[];
  };

/** Answers to loading and to running. */
export type SessionAnswer = OnnxNames | OnnxOutput[];

/** The network in this thread, whose runtime may have threads of its own. */
export class OneSession implements OnnxSessions {
  readonly names: OnnxNames;
  readonly parallel = 1;

  private constructor(
    private readonly session: InferenceSession,
    private readonly tensorType: typeof Tensor,
  ) {
    this.names = { inputs: session.inputNames, outputs: session.outputNames };
  }

  /** See {@link openSessions}. */
  static async open(
    bytes: Uint8Array<ArrayBuffer>,
    name: string,
    threads: number,
  ): Promise<OneSession> {
    const { session, Tensor } = await loadOnnx(bytes, name, threads);
    return new OneSession(session, Tensor);
  }

  /** Runs the network. */
  async run(
    inputs: Readonly<Record<string, OnnxInput>>,
    wanted: readonly string[],
  ): Promise<OnnxOutput[]> {
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, { type, data, shape }]) =>
        [name, new this.tensorType(type, data, shape)] as const
      ),
    );
    const found = await this.session.run(feeds, wanted);
    return wanted.map((name): OnnxOutput => {
      const { type, dims, data } = found[name];
      return {
        type,
        shape: dims,
        data: type === "float32" ? new Float32Array(data as Float32Array) : null,
      };
    });
  }

  /** Frees the memory of the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.release();
  }
}
