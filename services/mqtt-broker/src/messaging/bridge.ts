import type { Bus, Subscription } from '@signet/bus';
import {
  deviceTopic,
  mqttSubject,
  parseMqttSubject,
  parseSharedSubject,
  sharedTopic,
} from '@signet/contracts';
import type { Owner } from '../domain/topic-rules.ts';

/** Takes messages for a device: `signet.mqtt.<account>.<device>.down.…`, as a topic. */
export type Deliver = (owner: Owner, topic: string, payload: Uint8Array) => void;

/**
 * From topics to the bus: downstream systems need no MQTT. Stored (QoS 1 and 2): resolves once the bus has the message,
 * fails after `deadlineMs`. Else it is handed on, not stored.
 */
export function bridgeUp(bus: Bus, deadlineMs: number) {
  return async (
    { account, deviceId }: Owner,
    levels: readonly string[],
    payload: Uint8Array,
    stored: boolean,
  ): Promise<void> => {
    await bus.send(
      mqttSubject(account, deviceId, 'up', levels),
      payload,
      stored ? { stored, deadlineMs } : {},
    );
  };
}

/** One subscription for all devices: for a node that is alone. */
export function listenForAll(bus: Bus, deliver: Deliver): Promise<Subscription> {
  return listenDown(bus, 'signet.mqtt.*.*.down.>', deliver);
}

/**
 * One subscription for each device that has its session on this node, so that a message goes to one node only. A
 * session that outlives its connection keeps its subscription here until another node has it.
 */
export class DeviceMailboxes implements AsyncDisposable {
  readonly #bus: Bus;
  readonly #deliver: Deliver;
  readonly #open = new Map<string, Promise<Subscription>>();

  constructor(bus: Bus, deliver: Deliver) {
    this.#bus = bus;
    this.#deliver = deliver;
  }

  get size(): number {
    return this.#open.size;
  }

  async open({ account, deviceId }: Owner): Promise<void> {
    const subject = `signet.mqtt.${account}.${deviceId}.down.>`;
    const known = this.#open.get(subject);
    if (known !== undefined) {
      await known;
      return;
    }
    const opening = listenDown(this.#bus, subject, this.#deliver);
    this.#open.set(subject, opening);
    try {
      await opening;
    } catch (error) {
      this.#open.delete(subject);
      throw error;
    }
  }

  close({ account, deviceId }: Owner): void {
    const subject = `signet.mqtt.${account}.${deviceId}.down.>`;
    const subscription = this.#open.get(subject);
    this.#open.delete(subject);
    subscription?.then(
      (opened) => opened[Symbol.asyncDispose](),
      () => {},
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    for (const outcome of all) if (outcome.status === 'fulfilled') await outcome.value[Symbol.asyncDispose]();
  }
}

/** What is told to all devices of an account: every node hears it, and tells those that it holds. */
export function listenShared(
  bus: Bus,
  deliver: (account: string, topic: string, payload: Uint8Array) => void,
): Promise<Subscription> {
  return bus.listen('signet.shared.>', ({ subject, payload }) => {
    const parsed = parseSharedSubject(subject);
    if (parsed === undefined) return;
    deliver(parsed.account, sharedTopic(parsed.account, parsed.levels), payload);
  });
}

function listenDown(bus: Bus, subject: string, deliver: Deliver): Promise<Subscription> {
  return bus.listen(subject, (message) => {
    const parsed = parseMqttSubject(message.subject);
    if (parsed === undefined) return;
    const { account, device, way, levels } = parsed;
    deliver({ account, deviceId: device }, deviceTopic({ account, device, way, levels }), message.payload);
  });
}
