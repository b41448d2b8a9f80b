/**
 * A few Workers that answer requests, one at a time each. The other half is {@link serveRequests}
 * within the Worker's module.
 *
 * @module
 */

import { FormatError, ImmError } from "./errors.ts";

/** What a Worker sends back. */
type Reply<Response> =
  | { readonly response: Response }
  | { readonly error: string; readonly isFormatError: boolean };

/** Workers of one module. Closing it, or leaving its `using` block, ends them. */
export class WorkerPool<Request, Response> implements Disposable {
  readonly #idle: Worker[] = [];
  readonly #all: Worker[] = [];
  readonly #waiting: ((worker: Worker) => void)[] = [];

  /**
   * Starts the Workers.
   *
   * @param module `new URL("./some_worker.ts", import.meta.url)`, written out where it is used so
   * that `deno compile` finds the module
   * @param count of Workers, at least 1
   */
  constructor(module: URL, readonly count: number) {
    for (let i = 0; i < count; i++) {
      const worker = new Worker(module, { type: "module" });
      this.#all.push(worker);
      this.#idle.push(worker);
    }
  }

  /**
   * Has a request answered by the next Worker that is free.
   *
   * @param transfer buffers that the Worker takes over
   * @throws {FormatError} what the Worker threw
   * @throws {ImmError} when the Worker itself broke
   */
  async request(request: Request, transfer: Transferable[] = []): Promise<Response> {
    const worker = await this.#free();
    try {
      const reply = await new Promise<Reply<Response>>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new ImmError(`a Worker of this program failed: ${event.message}`));
        };
        worker.postMessage(request, transfer);
      });
      if ("response" in reply) return reply.response;
      throw reply.isFormatError ? new FormatError(reply.error) : new ImmError(reply.error);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(worker);
      else this.#idle.push(worker);
    }
  }

  /** Ends the Workers at once; requests that are not answered never will be. */
  close(): void {
    for (const worker of this.#all) worker.terminate();
    this.#all.length = 0;
    this.#idle.length = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #free(): Promise<Worker> {
    const worker = this.#idle.pop();
    return worker ? Promise.resolve(worker) : new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** The global scope of a Worker, of which the library of the main thread has no types. */
interface WorkerScope {
  onmessage: (event: MessageEvent) => void;
  postMessage(message: unknown, transfer?: Transferable[]): void;
}

/** Answers the requests of a {@link WorkerPool}; called once by the Worker's module. */
export function serveRequests<Request, Response>(
  answer: (request: Request) => Promise<Response>,
  transfer: (response: Response) => Transferable[],
): void {
  const scope = globalThis as unknown as WorkerScope;
  scope.onmessage = async ({ data }) => {
    try {
      const response = await answer(data);
      scope.postMessage({ response }, transfer(response));
    } catch (error) {
      const { message } = error as Error;
      scope.postMessage({ error: message, isFormatError: error instanceof FormatError });
    }
  };
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
