import { join } from 'node:path';
import { AgentError, ownError } from '../agent-error.ts';
import { deviceNow } from '../clock.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { GatewayClient } from '../gateway-client.ts';
import { leaf } from '../identity.ts';
import type { MqttSession } from '../mqtt-session.ts';
import { Inbox } from './inbox.ts';
import { LocalInterface } from './local-interface.ts';
import { MessageError } from './message-error.ts';
import { MessageQueue, type QueueBounds } from './message-queue.ts';
import { MessageSender } from './message-sender.ts';
import { ReportSender, type Reports, reportsTo, sendReports, type Tell } from './report-sender.ts';
import { workloadLevels } from './topic.ts';

export type MessageOptions = {
  /** Path of the Unix socket for workloads; by default `messages.sock` of the device folder. */
  readonly socket?: string;
  /** The number of a group that may connect to it too. */
  readonly group?: number;
  readonly bounds?: QueueBounds;
};

export const QUEUE_BOUNDS: QueueBounds = { messages: 10_000, bytes: 16 * 1024 * 1024 };
const REPORT_BOUNDS: QueueBounds = { messages: 1000, bytes: 8 * 1024 * 1024 };
/** Half of what a broker takes by default: topic and framing fit too. */
export const PAYLOAD_BYTES = 128 * 1024;

/** What telling the rest may take before the command ends, ms. */
const TOLD_MS = 15_000;

/** What the agent says itself, and does not hand on when it comes down. */
const OWN_DOWN = ['config', 'command'];

export type MessageNews =
  | { readonly step: 'messages-off'; readonly reason: string }
  | { readonly step: 'messages-lost'; readonly count: number; readonly reason: string };

/** All messages of a device: those of its workloads, the agent's own, and what comes down. */
export class DeviceMessages implements AsyncDisposable {
  readonly #folder: DeviceFolder;
  readonly #queue: MessageQueue;
  readonly #sender: MessageSender;
  readonly #reports: ReportSender;
  readonly #inbox: Inbox;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    folder: DeviceFolder,
    stack: AsyncDisposableStack,
    parts: { queue: MessageQueue; sender: MessageSender; reports: ReportSender; inbox: Inbox },
  ) {
    this.#folder = folder;
    this.#queue = parts.queue;
    this.#sender = parts.sender;
    this.#reports = parts.reports;
    this.#inbox = parts.inbox;
    this.#stack = stack;
  }

  /** Goes on with what waits; where no socket can be made it is told, and the device goes on without. */
  static async open(
    folder: DeviceFolder,
    options: {
      /** False: no socket. What the agent itself has to say waits on the disk anyway. */
      readonly messages: MessageOptions | false;
      readonly now: () => number;
      readonly maxWaitMs: number;
      readonly report: (news: MessageNews) => void;
      readonly contact: (server: 'mqtt' | 'gateway') => void;
    },
  ): Promise<DeviceMessages> {
    await using stack = new AsyncDisposableStack();
    const { report, contact } = options;
    const wanted = options.messages === false ? {} : options.messages;
    const queue = stack.use(await openQueue(folder, wanted.bounds));
    const kept = stack.use(await openReports(folder));
    const damaged = queue.damaged + kept.damaged;
    if (damaged > 0) report({ step: 'messages-lost', count: damaged, reason: 'the disk has changed them' });
    const reports = stack.use(
      new ReportSender(
        kept,
        tellOver(folder, options.now, () => contact('gateway')),
        options.maxWaitMs,
      ),
    );
    const sender = new MessageSender(queue, () => contact('mqtt'));
    const inbox = new Inbox(({ topic }) =>
      report({ step: 'messages-lost', count: 1, reason: `down/${topic}: no workload listens` }),
    );
    const messages = new DeviceMessages(folder, stack.move(), { queue, sender, reports, inbox });
    if (options.messages === false) return messages;
    await LocalInterface.open({
      path: wanted.socket ?? socketOf(folder),
      group: wanted.group,
      payloadBytes: PAYLOAD_BYTES,
      inbox,
      publish: (topic, payload) => messages.publish(topic, payload),
    }).then(
      (local) => void messages.#stack.use(local),
      (error: unknown) => report({ step: 'messages-off', reason: ownError(error)?.message ?? String(error) }),
    );
    return messages;
  }

  /** Takes the reports of config, updates and rotations. */
  get reports(): Reports {
    return this.#reports;
  }

  /** From a workload: resolves with its number once it is on the disk. @throws MessageError */
  async publish(topic: string, payload: Uint8Array): Promise<number> {
    return await publishTo(this.#queue, this.#folder, topic, payload);
  }

  /** What the agent itself says below `up/`. @throws MessageError */
  async say(levels: readonly string[], payload: string | Uint8Array): Promise<void> {
    await this.#queue.add(levels.join('/'), typeof payload === 'string' ? Buffer.from(payload) : payload);
  }

  /** Came on `down/`. */
  take(levels: readonly string[], payload: Buffer): void {
    const topic = levels.join('/');
    if (!OWN_DOWN.includes(topic)) this.#inbox.put({ topic, payload });
  }

  online(session: MqttSession): void {
    this.#sender.online(session);
    this.#reports.wake();
  }

  /** Before a session ends that need not: none of its messages is in doubt then. */
  hold(): Promise<void> {
    return this.#sender.hold();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

export function socketOf({ path }: Pick<DeviceFolder, 'path'>): string {
  return join(path, 'messages.sock');
}

export function queueFolder(folder: DeviceFolder): string {
  return join(folder.path, 'messages');
}

export function reportFolder(folder: DeviceFolder): string {
  return join(folder.path, 'reports');
}

export function openQueue(folder: DeviceFolder, bounds = QUEUE_BOUNDS): Promise<MessageQueue> {
  return MessageQueue.open(queueFolder(folder), { files: folder.files.calls, bounds });
}

export function openReports(folder: DeviceFolder): Promise<MessageQueue> {
  return MessageQueue.open(reportFolder(folder), { files: folder.files.calls, bounds: REPORT_BOUNDS });
}

/** What is reported in the meantime is told at the end, once; what that fails for, the next agent tells. */
export async function withReports<T>(
  folder: DeviceFolder,
  use: (reports: Reports) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  await using queue = await openReports(folder);
  const tell = tellOver(folder, deviceNow, () => {});
  try {
    return await use(reportsTo(queue));
  } finally {
    const late = AbortSignal.timeout(TOLD_MS);
    await sendReports(queue, tell, signal === undefined ? late : AbortSignal.any([signal, late]));
  }
}

/** @throws MessageError `bad-topic`, `too-large`, `queue-full`, `disk`, `stopping` */
export async function publishTo(
  queue: MessageQueue,
  folder: DeviceFolder,
  topic: string,
  payload: Uint8Array,
): Promise<number> {
  const levels = workloadLevels(topic, await folder.bundle());
  if (payload.length > PAYLOAD_BYTES) {
    const reason = `${payload.length} bytes, no more than ${PAYLOAD_BYTES} may be`;
    throw new MessageError('too-large', 'payload', reason);
  }
  return await queue.add(levels.join('/'), payload);
}

/** By whichever identity is in force; none that has ended. */
export function tellOver(folder: DeviceFolder, now: () => number, told: () => void): Tell {
  return async (reports, signal) => {
    const [bundle, identity] = await Promise.all([folder.bundle(), folder.operational()]);
    if (bundle === undefined || identity === undefined || leaf(identity).notAfter <= now())
      throw new AgentError('unreachable', 'reports: there is no certificate to tell them with');
    await new GatewayClient(bundle, signal).report(identity, reports);
    told();
  };
}
