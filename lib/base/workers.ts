/**
 * A few Workers that answer requests, one after the other each. The other half is {@link serveRequests}
 * within the Worker's module.
 *
 * @module
 */

import { FormatError, ImmError } from "./errors.ts";

/** What a Worker sends back. */
type Reply<Response> =
  | { readonly response: Response }
  | { readonly error: string; readonly isFormatError: boolean };

/** A request that was sent, and has not been answered. */
interface Sent<Response> {
  resolve(reply: Reply<Response>): void;
  reject(error: unknown): void;
}

/** A Worker, and what it was sent, in the order in which it answers. */
interface Lane<Response> {
  readonly worker: Worker;
  readonly sent: Sent<Response>[];
  /** What broke the Worker, which will not answer any more. */
  broken: ImmError | null;
}

/** Workers of one module. Closing it, or leaving its `using` block, ends them. */
export class WorkerPool<Request, Response> implements Disposable {
  readonly #lanes: Lane<Response>[] = [];
  readonly #waiting: ((lane: Lane<Response>) => void)[] = [];

  /**
   * Starts the Workers.
   *
   * @param module `new URL("./some_worker.ts", import.meta.url)`, written out where it is used so
   * that `deno compile` finds the module
   * @param count of Workers, at least 1
   * @param depth Requests that a Worker is sent before it has answered the first. More than one keep
   * it busy while this thread is.
   */
  constructor(module: URL, readonly count: number, private readonly depth: number = 1) {
    for (let i = 0; i < count; i++) this.#lanes.push(startLane(module));
  }

  /**
   * Has a request answered by the next Worker that is free.
   *
   * @param transfer buffers that the Worker takes over
   * @throws {FormatError} what the Worker threw
   * @throws {ImmError} when the Worker itself broke
   */
  async request(request: Request, transfer: Transferable[] = []): Promise<Response> {
    const lane = this.#free() ??
      await new Promise<Lane<Response>>((resolve) => this.#waiting.push(resolve));
    return await this.#ask(lane, request, transfer);
  }

  /**
   * Has a request answered by every Worker, behind what it was sent before.
   *
   * @throws what {@link request} throws, when all have answered
   */
  async all(request: Request): Promise<Response[]> {
    const answers = this.#lanes.map((lane) => this.#ask(lane, request, []));
    await Promise.allSettled(answers);
    return await Promise.all(answers);
  }

  async #ask(
    lane: Lane<Response>,
    request: Request,
    transfer: Transferable[],
  ): Promise<Response> {
    const { worker, sent, broken } = lane;
    const reply = await new Promise<Reply<Response>>((resolve, reject) => {
      if (broken) return reject(broken);
      sent.push({ resolve, reject });
      worker.postMessage(request, transfer);
    }).finally(() => this.#handOver());
    if ("response" in reply) return reply.response;
    throw reply.isFormatError ? new FormatError(reply.error) : new ImmError(reply.error);
  }

  /** Ends the Workers at once; requests that are not answered never will be. */
  close(): void {
    for (const { worker } of this.#lanes) worker.terminate();
    this.#lanes.length = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The Worker with the least to do, if it may be sent something. */
  #free(): Lane<Response> | undefined {
    let least: Lane<Response> | undefined;
    for (const lane of this.#lanes) {
      if (lane.sent.length < Math.min(this.depth, least?.sent.length ?? Infinity)) least = lane;
    }
    return least;
  }

  /** Lets the next request that waits have a Worker, once there is one. */
  #handOver(): void {
    const lane = this.#waiting.length > 0 ? this.#free() : undefined;
    if (lane) this.#waiting.shift()!(lane);
  }
}

function startLane<Response>(module: URL): Lane<Response> {
  const worker = new Worker(module, { type: "module" });
  const lane: Lane<Response> = { worker, sent: [], broken: null };
  worker.onmessage = ({ data }) => lane.sent.shift()!.resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    lane.broken = new ImmError(`a Worker of this program failed: ${event.message}`);
    for (const { reject } of lane.sent.splice(0)) reject(lane.broken);
  };
  return lane;
}

/** The global scope of a Worker, of which the library of the main thread has no types. */
interface WorkerScope {
  onmessage: (event: MessageEvent) => void;
  postMessage(message: unknown, transfer?: Transferable[]): void;
}

/** Answers the requests of a {@link WorkerPool} in order; called once by the Worker's module. */
export function serveRequests<Request, Response>(
  answer: (request: Request) => Promise<Response>,
  transfer: (response: Response) => Transferable[],
): void {
  const scope = globalThis as unknown as WorkerScope;
  const reply = async (request: Request) => {
    try {
      const response = await answer(request);
      scope.postMessage({ response }, transfer(response));
    } catch (error) {
      const { message } = error as Error;
      scope.postMessage({ error: message, isFormatError: error instanceof FormatError });
    }
  };
  let last = Promise.resolve();
  scope.onmessage = ({ data }) => void (last = last.then(() => reply(data)));
}

/**
 * Answers in the order of the questions, while up to `ahead` of them are being worked on.
 *
 * @param ask starts the work on item `index`
 */
export async function* inOrder<Answer>(
  length: number,
  ahead: number,
  ask: (index: number) => Promise<Answer>,
): AsyncGenerator<Answer> {
  const pending: Promise<Answer>[] = [];
  const start = (index: number) => {
    const answer = ask(index);
    answer.catch(() => {}); // it is looked at when its turn comes
    pending.push(answer);
  };
  let next = 0;
  while (next < Math.min(ahead, length)) start(next++);
  for (let i = 0; i < length; i++) {
    const answer = await pending.shift()!;
    if (next < length) start(next++);
    yield answer;
  }
}
