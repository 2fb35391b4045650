import { type Bus, BusError, type StoredMessage, type Subscription } from '@signet/bus';
import { deviceTopic, handSubject, parseMqttSubject } from '@signet/contracts';
import type { Logger } from '@signet/service';
import type { CleanSessions } from '../domain/clean-sessions.ts';
import { mayReceive, sessionKey } from '../domain/topic-rules.ts';
import type { Put } from './bridge.ts';

type Parts = { readonly bus: Bus; readonly log: Logger; readonly put: Put };
type Addressed = { readonly owner: Parameters<Put>[0]; readonly topic: string };

/** Takes what was stored for devices, where one node has all sessions. */
export function takeAlone(parts: Parts): Promise<Subscription> {
  return takeAddressed(parts, ({ owner, topic }, { payload, id }) => parts.put(owner, topic, payload, id));
}

/**
 * Takes what was stored for devices, where nodes share sessions: into the queue of the session, whichever node has that;
 * it is told. A session without a queue is with the node to which its device is connected, so that node is handed the
 * message, as is a node of version 0.1 that has the session; where that node cannot be reached now, it is tried again.
 */
export function takeTogether(
  parts: Parts & { readonly isElsewhere: CleanSessions['isElsewhere'] },
): Promise<Subscription> {
  const { bus, put, isElsewhere } = parts;
  return takeAddressed(parts, async ({ owner, topic }, { subject, payload, id }) => {
    if (await put(owner, topic, payload, id)) return;
    if ((await bus.requestRaw(handSubject(subject), payload)) === 'taken') return;
    if (await put(owner, topic, payload, id, true)) return;
    if (await isElsewhere(sessionKey(owner)))
      throw new BusError('unavailable', 'the node to which the device is connected does not hear the bus');
  });
}

/** What names no topic that a device could have can never be put anywhere: it is dropped, so that others do not wait for it. */
function takeAddressed(
  { bus, log }: Parts,
  take: (to: Addressed, message: StoredMessage) => Promise<unknown>,
): Promise<Subscription> {
  return bus.consumeDownlink(async (message) => {
    const to = addressed(message.subject);
    if (to === undefined) {
      const { subject } = message;
      log.warn(
        { subject: subject.slice(0, 256), bytes: subject.length },
        'mqtt: it names no topic that a device can be sent, dropped',
      );
    } else await take(to, message);
  });
}

function addressed(subject: string): Addressed | undefined {
  try {
    const parsed = parseMqttSubject(subject);
    if (parsed === undefined) return undefined;
    const { account, device: deviceId } = parsed;
    const to = { owner: { account, deviceId }, topic: deviceTopic(parsed) };
    // longer than the bus bears, or with more levels than aedes does
    return mayReceive(to.owner, to.topic) ? to : undefined;
  } catch (error) {
    // levels that are no percent-encoded UTF-8
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
