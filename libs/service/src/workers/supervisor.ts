import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import type { CheckResult, HealthReport } from '../health.ts';
import type { Logger } from '../logger.ts';
import type { ReadyService } from '../run.ts';
import { mergeExpositions } from './merge-expositions.ts';
import { STOP, type WorkerMessage } from './worker-host.ts';

const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 10_000;
/** A worker that lived so long is restarted without delay. */
const SETTLED_MS = 60_000;
const ASK_MS = 1500;

type Slot = { worker?: Worker; ready?: ReadyService | undefined; failures: number; timer?: NodeJS.Timeout };

/**
 * Keeps worker processes of the running program alive. They share the ports that they listen on; whoever is free takes
 * the next connection. One that dies is restarted, after a growing pause where it dies soon.
 */
export class Supervisor implements AsyncDisposable {
  readonly #slots = new Map<number, Slot>();
  readonly #env: (worker: number) => Record<string, string>;
  readonly #log: Logger;
  readonly #stopMs: number;
  #stopping = false;

  constructor(options: {
    /** Environment of a worker, besides that of this process. */
    readonly env: (worker: number) => Record<string, string>;
    readonly log: Logger;
    /** How long a worker may take to stop before it is killed. */
    readonly stopMs: number;
  }) {
    this.#env = options.env;
    this.#log = options.log;
    this.#stopMs = options.stopMs;
  }

  /** Starts workers one after the other, so that the first makes what all share. @throws Error where one ends before it is ready */
  async start(count: number): Promise<ReadyService> {
    // Workers accept by themselves: a connection handed on by this process to one that dies would be left hanging.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    let first: ReadyService | undefined;
    for (let number = 1; number <= count; number++) {
      const slot: Slot = { failures: 0 };
      this.#slots.set(number, slot);
      const ready = await this.#run(number, slot);
      if (ready === undefined) throw new Error(`worker ${number} ended before it was ready`);
      first ??= ready;
    }
    if (first === undefined) throw new RangeError(`workers: ${count}`);
    return first;
  }

  /** Why a worker takes no work; undefined where it does. */
  async check(number: number): Promise<CheckResult> {
    const answer = await this.#ask(number, '/ready').catch(() => undefined);
    if (answer === undefined) return 'not running';
    const report = (await answer.json()) as HealthReport;
    const reasons = Object.entries(report.checks).flatMap(([name, { ok, reason }]) =>
      reason === undefined || ok !== report.ready ? [] : [`${name}: ${reason}`],
    );
    if (reasons.length === 0) return undefined;
    return report.ready ? { warning: reasons.join('; ') } : reasons.join('; ');
  }

  /** The metrics of all workers that answer. */
  async exposition(): Promise<string> {
    const texts = new Map<number, string>();
    await Promise.all(
      Array.from(this.#slots.keys(), async (number) => {
        const answer = await this.#ask(number, '/metrics').catch(() => undefined);
        if (answer !== undefined) texts.set(number, await answer.text());
      }),
    );
    return mergeExpositions(new Map([...texts].toSorted(([a], [b]) => a - b)));
  }

  /** Lets all workers stop gracefully. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await Promise.all(Array.from(this.#slots.values(), (slot) => this.#stop(slot)));
  }

  /** Ends what is left at once. */
  kill(): void {
    this.#stopping = true;
    for (const { worker } of this.#slots.values()) worker?.process.kill('SIGKILL');
  }

  /** @returns what it says once it is ready; undefined where it ends before */
  async #run(number: number, slot: Slot): Promise<ReadyService | undefined> {
    const startedAt = performance.now();
    const worker = cluster.fork(this.#env(number));
    slot.worker = worker;
    this.#log.info({ worker: number, pid: worker.process.pid }, 'worker: starts');
    const { promise, resolve } = Promise.withResolvers<ReadyService | undefined>();
    worker.on('message', (message: WorkerMessage) => {
      slot.ready = message.ready;
      resolve(message.ready);
    });
    worker.once('exit', (code, signal) => {
      const wasReady = slot.ready !== undefined;
      slot.ready = undefined;
      delete slot.worker;
      resolve(undefined);
      if (this.#stopping) return;
      this.#log.error({ worker: number, code, signal }, 'worker: ended');
      if (!wasReady && slot.failures === 0) slot.failures = 1;
      this.#restart(number, slot, performance.now() - startedAt);
    });
    return promise;
  }

  #restart(number: number, slot: Slot, livedMs: number): void {
    if (livedMs > SETTLED_MS) slot.failures = 0;
    const pause = Math.min(FIRST_RESTART_MS * 2 ** slot.failures, LAST_RESTART_MS);
    slot.failures++;
    slot.timer = setTimeout(() => {
      void this.#run(number, slot).then((ready) => {
        if (ready !== undefined) this.#log.info({ worker: number }, 'worker: runs again');
      });
    }, pause);
  }

  async #stop(slot: Slot): Promise<void> {
    clearTimeout(slot.timer);
    const { worker } = slot;
    if (worker === undefined) return;
    const exited = once(worker, 'exit');
    worker.send(STOP, () => {});
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), this.#stopMs);
    await exited;
    clearTimeout(timer);
  }

  async #ask(number: number, path: string): Promise<Response> {
    const port = this.#slots.get(number)?.ready?.healthPort;
    if (port === undefined) throw new Error(`worker ${number} is not running`);
    return fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(ASK_MS) });
  }
}
