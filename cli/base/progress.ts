/**
 * Progress of long work on standard error: a bar with rate and remaining time on a terminal, a
 * line now and then in a log file.
 *
 * @module
 */

import { formatDuration } from "../../lib/base/units.ts";
import type { Sink } from "./terminal.ts";

/** Shows how far some work is. */
export interface Progress {
  /** Says how many units are done, with a word on the state of the work: `loss 0.0123`. */
  update(done: number, note?: string): void;
  /** Takes the bar off the screen so that a line can be printed; it comes back by itself. */
  clear(): void;
  /** Shows the last state and ends. */
  finish(): void;
}

/** Shows nothing (`--quiet`). */
export class NullProgress implements Progress {
  update(): void {}
  clear(): void {}
  finish(): void {}
}

/** Units per second, from what the last half minute or so brought. */
class Rate {
  readonly #started: number;
  #time: number;
  #perSecond = 0;
  #done: number;

  constructor(now: number, done: number) {
    this.#started = this.#time = now;
    this.#done = done;
  }

  /** Takes the count at a time in milliseconds; counts once per quarter second at most. */
  observe(done: number, now: number): void {
    const seconds = (now - this.#time) / 1000;
    if (seconds < 0.25) return;
    const current = (done - this.#done) / seconds;
    // Exponential forgetting with a time constant of 15 s; the beginning counts in full.
    const age = (now - this.#started) / 1000;
    const weight = Math.max(1 - Math.exp(-seconds / 15), seconds / age);
    this.#perSecond += weight * (current - this.#perSecond);
    [this.#done, this.#time] = [done, now];
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  elapsed(now: number): number {
    return (now - this.#started) / 1000;
  }
}

/** What both forms have in common: the count, the rate, the throttle. */
abstract class VisibleProgress implements Progress {
  protected done: number;
  protected note = "";
  protected readonly rate: Rate;

  /** @param from units that were done before: they are no part of the rate */
  constructor(
    protected readonly label: string,
    protected readonly total: number,
    protected readonly unit: string,
    protected readonly sink: Sink,
    protected readonly from: number = 0,
    protected readonly clock: () => number = () => performance.now(),
  ) {
    this.done = from;
    this.rate = new Rate(clock(), from);
  }

  update(done: number, note = this.note): void {
    this.done = done;
    this.note = note;
    const now = this.clock();
    this.rate.observe(done, now);
    this.show(now);
  }

  protected abstract show(now: number): void;
  abstract clear(): void;
  abstract finish(): void;

  /** `512 images/s, 3 min 20 s left`. */
  protected pace(): string {
    const { perSecond } = this.rate;
    if (perSecond <= 0) return "";
    const left = (this.total - this.done) / perSecond;
    return `${formatRate(perSecond, this.unit)}${left > 0 ? `, ${formatDuration(left)} left` : ""}`;
  }

  /** `done in 20 s, 512 images/s`. */
  protected summary(): string {
    const seconds = this.rate.elapsed(this.clock());
    const done = this.done - this.from;
    const average = seconds > 0 && done > 0 ? `, ${formatRate(done / seconds, this.unit)}` : "";
    const ending = this.done >= this.total ? "done" : `stopped at ${this.done} ${this.unit}`;
    return `${ending} in ${formatDuration(seconds)}${average}`;
  }
}

/** A bar that is redrawn in place, ten times a second at most. */
export class TerminalProgress extends VisibleProgress {
  #drawn = -Infinity;
  #visible = false;

  protected override show(now: number): void {
    if (now - this.#drawn < 100) return;
    this.#drawn = now;
    this.#visible = true;
    const fraction = this.total > 0 ? Math.min(1, this.done / this.total) : 1;
    const percent = `${Math.floor(fraction * 100)}%`.padStart(4);
    const width = 24;
    const filled = Math.round(fraction * width);
    const bar = "#".repeat(filled) + "-".repeat(width - filled);
    const parts = [`${this.done}/${this.total} ${this.unit}`, this.pace(), this.note];
    const line = `${this.label} [${bar}]${percent} ${parts.filter(Boolean).join(", ")}`;
    // One column stays free: some terminals wrap as soon as the last one is written.
    this.sink.write(`\r${line.slice(0, Math.max(1, this.sink.columns() - 1))}\x1b[K`);
  }

  override clear(): void {
    if (this.#visible) this.sink.write("\r\x1b[K");
    this.#visible = false;
    this.#drawn = -Infinity;
  }

  override finish(): void {
    this.clear();
    const parts = [this.summary(), this.note];
    this.sink.write(`${this.label}: ${parts.filter(Boolean).join(", ")}\n`);
  }
}

/** A line after two seconds, then every tenth of the work but not twice in ten seconds. */
export class PlainProgress extends VisibleProgress {
  #next = this.clock() + 2000;
  #nextDone = 0;

  protected override show(now: number): void {
    if (now < this.#next || this.done < this.#nextDone) return;
    this.#next = now + 10_000;
    // At least once a minute, whatever the pace.
    const perMinute = this.rate.perSecond * 60;
    this.#nextDone = this.done + Math.min(this.total / 10, perMinute);
    const parts = [`${this.done}/${this.total} ${this.unit}`, this.pace(), this.note];
    this.sink.write(`${this.label}: ${parts.filter(Boolean).join(", ")}\n`);
  }

  override clear(): void {}

  override finish(): void {
    const parts = [this.summary(), this.note];
    this.sink.write(`${this.label}: ${parts.filter(Boolean).join(", ")}\n`);
  }
}

function formatRate(perSecond: number, unit: string): string {
  const digits = perSecond >= 100 ? 0 : perSecond >= 10 ? 1 : 2;
  return perSecond < 0.1
    ? `${formatDuration(1 / perSecond)} for each of the ${unit}`
    : `${perSecond.toFixed(digits)} ${unit}/s`;
}
