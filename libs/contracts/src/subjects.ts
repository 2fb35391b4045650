import type { Envelope } from './envelope.ts';
import { PARTITIONS, partitionOf } from './partition.ts';

/** Streams of the bus. */
export const EVENT_STREAM = 'SIGNET_EVENTS';
export const MQTT_STREAM = 'SIGNET_MQTT';
export const MQTT_DOWN_STREAM = 'SIGNET_MQTT_DOWN';
export const DEAD_STREAM = 'SIGNET_DEAD';

/**
 * Longest subject that the platform uses, bytes. NATS closes the connection of a client whose control line (verb,
 * subject, reply subject and sizes; 4096 bytes by default) is longer: what is left of that is for the reply subject,
 * for the prefixes of our streams and for the acknowledgement subjects of JetStream.
 */
export const MAX_SUBJECT_BYTES = 3072;

/** `signet.event.<account>.<p>.<TYPE>.<device>`. */
export function eventSubject(event: Pick<Envelope, 'account' | 'type' | 'subject'>): string {
  return `signet.event.${event.account}.p${partitionOf(event.account, event.subject)}.${event.type}.${event.subject}`;
}

/** The filter of an event consumer; what is left out is any. */
export function eventFilter(want: {
  account?: string;
  partition?: number;
  type?: string;
  device?: string;
}): string {
  const partition = want.partition === undefined ? '*' : `p${want.partition}`;
  return `signet.event.${want.account ?? '*'}.${partition}.${want.type ?? '*'}.${want.device ?? '*'}`;
}

/** The parts of an event's subject, or undefined where it is none. */
export function parseEventSubject(
  subject: string,
): { account: string; partition: number; type: string; device: string } | undefined {
  const match = /^signet\.event\.([^.]+)\.p(\d+)\.([^.]+)\.([^.]+)$/.exec(subject);
  if (match === null) return undefined;
  const [, account = '', partition = '', type = '', device = ''] = match;
  return Number(partition) < PARTITIONS ? { account, partition: Number(partition), type, device } : undefined;
}

/** Where an event goes that a consumer gave up on. */
export function deadSubject(consumer: string): string {
  return `signet.dead.${consumer}`;
}

/** The subject on which an operation is served. */
export function operationSubject(operation: string): string {
  return `signet.rpc.${operation}`;
}

/** Where every replica that serves an operation answers at once, with the subject on which it alone is asked. */
export function operationLiveSubject(operation: string): string {
  return `signet.rpc-live.${operation}`;
}

/** The subject of one replica: `id` is that of its connection. */
export function operationAtSubject(id: string, operation: string): string {
  return `signet.rpc-at.${id}.${operation}`;
}

/** Core subject of the deny list's head, published by the authority every 5 s. */
export const DENYLIST_HEAD_SUBJECT = 'signet.denylist.head';
/** Core subject of the deny list's digest, published by the authority every minute. */
export const DENYLIST_DIGEST_SUBJECT = 'signet.denylist.digest';

/**
 * An MQTT level as a token of a NATS subject: percent-encoded but for `[A-Za-z0-9_-]`.
 * An empty level has no encoding and is refused.
 */
export function encodeLevel(level: string): string {
  if (level === '') throw new RangeError('topic: an empty level cannot be bridged');
  if (/^[A-Za-z0-9_-]+$/.test(level)) return level;
  return Array.from(new TextEncoder().encode(level), (byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9_-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

/** The inverse of {@link encodeLevel}. */
export function decodeLevel(token: string): string {
  return decodeURIComponent(token);
}

/** `signet.mqtt.<account>.<device>.<up|down>.…`, the levels encoded. */
export function mqttSubject(
  account: string,
  device: string,
  way: 'up' | 'down',
  levels: readonly string[],
): string {
  return ['signet.mqtt', account, device, way, ...levels.map(encodeLevel)].join('.');
}

/** The parts of a bridged subject, levels decoded, or undefined where it is none. */
export function parseMqttSubject(
  subject: string,
): { account: string; device: string; way: 'up' | 'down'; levels: string[] } | undefined {
  const match = /^signet\.mqtt\.([^.]+)\.([^.]+)\.(up|down)\.(.+)$/.exec(subject);
  if (match === null) return undefined;
  const [, account = '', device = '', way = '', rest = ''] = match;
  return { account, device, way: way === 'up' ? 'up' : 'down', levels: rest.split('.').map(decodeLevel) };
}

/** Where the node that has the device's session is handed a message for it: `signet.hand.<account>.<device>.down.…`. */
export function handSubject(subject: string): string {
  return subject.replace(/^signet\.mqtt\./, 'signet.hand.');
}

/** What was handed on {@link handSubject}, under the subject that it was sent to; undefined where it was not handed. */
export function handedSubject(subject: string): string | undefined {
  return subject.startsWith('signet.hand.') ? subject.replace('signet.hand.', 'signet.mqtt.') : undefined;
}

/** `signet.shared.<account>.…`, the levels encoded: what downstream systems tell all devices of an account. */
export function sharedSubject(account: string, levels: readonly string[]): string {
  return ['signet.shared', account, ...levels.map(encodeLevel)].join('.');
}

/** The parts of a shared subject, levels decoded, or undefined where it is none. */
export function parseSharedSubject(subject: string): { account: string; levels: string[] } | undefined {
  const match = /^signet\.shared\.([^.]+)\.(.+)$/.exec(subject);
  if (match === null) return undefined;
  const [, account = '', rest = ''] = match;
  return { account, levels: rest.split('.').map(decodeLevel) };
}
