import { AgentError, requireOwnError } from '../agent-error.ts';
import type { GatewayClient, UpdateReport } from '../gateway-client.ts';
import { jittered, pause } from '../pause.ts';
import { MessageError } from './message-error.ts';
import type { MessageQueue } from './message-queue.ts';

/** Takes reports that the platform is to hear of. */
export interface Reports {
  /** Resolves once they are on the disk: they are told however long it takes. */
  report(reports: readonly UpdateReport[]): Promise<void>;
}

/** Puts them into a queue that somebody else tells. */
export function reportsTo(queue: MessageQueue): Reports {
  return {
    async report(reports) {
      await queue.add(TOPIC, Buffer.from(JSON.stringify(reports))).catch(asAgentError);
    },
  };
}

/** A gateway whose reports go by the queue. */
export function reportingBy(
  gateway: GatewayClient,
  reports: Reports,
): Pick<GatewayClient, 'config' | 'report'> {
  return {
    config: (identity, since) => gateway.config(identity, since),
    report: (_identity, some) => reports.report(some),
  };
}

/** How reports get to the platform. @throws AgentError */
export type Tell = (reports: readonly UpdateReport[], signal: AbortSignal) => Promise<void>;

const TOPIC = 'events';
/** What `POST /events` takes at once. */
const MOST_AT_ONCE = 100;
const RETRY_MS = 1000;

/**
 * What the agent itself has to tell, from a queue on the disk to the platform, in order. Over HTTP and not over its twin
 * `up/events`: the broker acknowledges what the platform may have nobody to hear (device-config.md). A report that comes
 * twice has the same id, and is kept once.
 */
export class ReportSender implements Reports, AsyncDisposable {
  readonly #queue: MessageQueue;
  readonly #tell: Tell;
  readonly #maxWaitMs: number;
  readonly #stop = new AbortController();
  #woken = Promise.withResolvers<void>();
  #sending: Promise<void>;

  constructor(queue: MessageQueue, tell: Tell, maxWaitMs: number) {
    this.#queue = queue;
    this.#tell = tell;
    this.#maxWaitMs = maxWaitMs;
    this.#sending = this.#sendForever();
  }

  async report(reports: readonly UpdateReport[]): Promise<void> {
    await reportsTo(this.#queue).report(reports);
    this.#woken.resolve();
  }

  /** There is reason to try at once: a connection, say. */
  wake(): void {
    this.#woken.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#woken.resolve();
    await this.#sending;
  }

  async #sendForever(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      this.#woken = Promise.withResolvers<void>();
      const isDone = await sendReports(this.#queue, this.#tell, signal);
      if (isDone && this.#queue.size.messages > 0) continue;
      failures = isDone ? 0 : failures + 1;
      const over = new AbortController();
      const waits = isDone ? [] : [pause(jittered(failures, RETRY_MS, this.#maxWaitMs), over.signal)];
      await Promise.race([...waits, this.#woken.promise]);
      over.abort();
    }
  }
}

/** Tells what waits now. False: not all of it, and it is worth trying again. */
export async function sendReports(queue: MessageQueue, tell: Tell, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const { reports, last } = await nextOf(queue);
    if (last === undefined) return true;
    try {
      if (reports.length > 0) await tell(reports, signal);
    } catch (raw) {
      const error = requireOwnError(raw);
      // no part of it will ever be taken; what refuses the device itself passes or is final for the whole of it
      if (error.status !== 400 && error.status !== 413) return false;
    }
    queue.deliveredUpTo(last);
  }
}

async function nextOf(
  queue: MessageQueue,
): Promise<{ readonly reports: readonly UpdateReport[]; readonly last: number | undefined }> {
  const reports: UpdateReport[] = [];
  let last: number | undefined;
  for (;;) {
    const message = await queue.after(last ?? queue.delivered);
    if (message === undefined) return { reports, last };
    const more = JSON.parse(Buffer.from(message.payload).toString('utf8')) as UpdateReport[];
    if (last !== undefined && reports.length + more.length > MOST_AT_ONCE) return { reports, last };
    reports.push(...more);
    last = message.number;
  }
}

/** The rest of the agent knows a full disk. */
function asAgentError(error: unknown): never {
  if (!(error instanceof MessageError)) throw error;
  throw new AgentError('disk', `reports: ${error.message}`, { cause: error });
}
