import { join } from 'node:path';
import { AgentError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { GatewayClient } from '../gateway-client.ts';
import { leaf } from '../identity.ts';
import type { MqttSession } from '../mqtt-session.ts';
import { Inbox } from './inbox.ts';
import { LocalInterface } from './local-interface.ts';
import { MessageError } from './message-error.ts';
import { MessageQueue, type QueueBounds } from './message-queue.ts';
import { MessageSender } from './message-sender.ts';
import { ReportSender, type Reports, type Tell } from './report-sender.ts';
import { workloadLevels } from './topic.ts';

export type MessageOptions = {
  /** Path of the Unix socket for workloads; by default `messages.sock` of the device folder. */
  readonly socket?: string | undefined;
  /** Who may connect to it; by default 0o600. */
  readonly socketMode?: number | undefined;
  readonly bounds?: QueueBounds | undefined;
};

export const QUEUE_BOUNDS: QueueBounds = { messages: 10_000, octets: 16 * 1024 * 1024 };
const REPORT_BOUNDS: QueueBounds = { messages: 1000, octets: 8 * 1024 * 1024 };
/** Half of what a broker takes by default: topic and framing fit too. */
const PAYLOAD_OCTETS = 128 * 1024;

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
    options: MessageOptions & {
      readonly now: () => number;
      readonly maxWaitMs: number;
      readonly report: (news: MessageNews) => void;
      readonly contact: (server: 'mqtt' | 'gateway') => void;
    },
  ): Promise<DeviceMessages> {
    await using stack = new AsyncDisposableStack();
    const { report, contact } = options;
    const queue = stack.use(await openQueue(folder, options.bounds));
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
    await LocalInterface.open({
      path: options.socket ?? socketOf(folder),
      mode: options.socketMode ?? 0o600,
      payloadOctets: PAYLOAD_OCTETS,
      inbox,
      publish: (topic, payload) => messages.publish(topic, payload),
    }).then(
      (local) => void messages.#stack.use(local),
      (error: unknown) => report({ step: 'messages-off', reason: String(error) }),
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

export function socketOf(folder: DeviceFolder): string {
  return join(folder.path, 'messages.sock');
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

/** @throws MessageError `bad-topic`, `too-large`, `queue-full`, `disk`, `stopping` */
export async function publishTo(
  queue: MessageQueue,
  folder: DeviceFolder,
  topic: string,
  payload: Uint8Array,
): Promise<number> {
  const levels = workloadLevels(topic, await folder.bundle());
  if (payload.length > PAYLOAD_OCTETS) {
    const reason = `${payload.length} octets, no more than ${PAYLOAD_OCTETS} may be`;
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
