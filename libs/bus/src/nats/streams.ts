import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  type StreamConfig,
  type StreamUpdateConfig,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { DEAD_STREAM, EVENT_STREAM, MQTT_DOWN_STREAM, MQTT_STREAM, PARTITIONS } from '@signet/contracts';
import type { Log } from '../log.ts';

const DAY = 86_400_000;
const GIB = 2 ** 30;

/** Bounds of a stream: size in bytes, age in ms. What is left out is the default, or stays as an operator set it. */
export type StreamLimits = { readonly maxBytes?: number; readonly maxAgeMs?: number };

export type StreamPlan = {
  /** Events: refuses new ones when full. Default 14 days, no bound of size. */
  readonly events?: StreamLimits;
  /** Stored MQTT messages: a retention window, the oldest go first. Default 3 days, 8 GiB. */
  readonly mqtt?: StreamLimits;
  /** Messages for devices that no broker has taken yet: refuses new ones when full. Default 3 days, 1 GiB. */
  readonly mqttDown?: StreamLimits;
  /** Copies in a NATS cluster, 1 to 5. Default 1. */
  readonly replicas?: number;
};

/** Where a dead letter is published again for its own consumer, part of {@link EVENT_STREAM}. */
export function retrySubject(durable: string, partition?: number): string {
  return `signet.retry.${durable}.${partition === undefined ? 'any' : `p${partition}`}`;
}

/**
 * A message to be stored is published below `signet.stored.`; the stream keeps it under its own subject and hands it
 * on to plain listeners. So the same subject also carries messages that nobody stores (QoS 0).
 */
export function storedSubject(subject: string): string {
  return `signet.stored.${subject.replace(/^signet\./, '')}`;
}

/** What the stream of messages for devices has in one partition, in the order in which it was sent. */
export function downFilter(partition: number): string {
  return `signet.down.${partition}.>`;
}

/** The subject to which a message of that stream was sent. */
export function sentSubject(subject: string): string {
  return subject.replace(/^signet\.down\.\d+\.([^.]+\.[^.]+)\./, 'signet.mqtt.$1.down.');
}

type Wanted = Partial<StreamConfig> & { readonly name: string };

function wantedStreams(
  plan: StreamPlan,
): readonly { fixed: Wanted; limits: StreamLimits; defaults: StreamLimits }[] {
  const base = { storage: 'file', retention: 'limits', num_replicas: plan.replicas ?? 1 } as const;
  return [
    {
      fixed: {
        ...base,
        name: EVENT_STREAM,
        subjects: ['signet.event.>', 'signet.retry.>'],
        discard: 'new',
        duplicate_window: nanos(3_600_000),
      },
      limits: plan.events ?? {},
      defaults: { maxBytes: -1, maxAgeMs: 14 * DAY },
    },
    {
      fixed: {
        ...base,
        name: MQTT_STREAM,
        subjects: [storedSubject('signet.mqtt.*.*.up.>')],
        discard: 'old',
        subject_transform: {
          src: storedSubject('signet.mqtt.*.*.up.>'),
          dest: 'signet.mqtt.{{wildcard(1)}}.{{wildcard(2)}}.up.>',
        },
        republish: { src: 'signet.mqtt.>', dest: 'signet.mqtt.>' },
      },
      limits: plan.mqtt ?? {},
      defaults: { maxBytes: 8 * GIB, maxAgeMs: 3 * DAY },
    },
    {
      // the server reckons the partition, so that any NATS client can publish to it
      fixed: {
        ...base,
        name: MQTT_DOWN_STREAM,
        subjects: [storedSubject('signet.mqtt.*.*.down.>')],
        retention: 'workqueue',
        discard: 'new',
        subject_transform: {
          src: storedSubject('signet.mqtt.*.*.down.>'),
          dest: `signet.down.{{partition(${PARTITIONS},1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}.>`,
        },
      },
      limits: plan.mqttDown ?? {},
      defaults: { maxBytes: GIB, maxAgeMs: 3 * DAY },
    },
    {
      fixed: {
        ...base,
        name: DEAD_STREAM,
        subjects: ['signet.dead.>'],
        discard: 'new',
        duplicate_window: nanos(3_600_000),
      },
      limits: {},
      defaults: {},
    },
  ];
}

/** Makes the streams that are missing; of those that are there it changes only what the plan states. */
export async function ensureStreams(jsm: JetStreamManager, plan: StreamPlan, log: Log): Promise<void> {
  for (const { fixed, limits, defaults } of wantedStreams(plan)) {
    const current = await jsm.streams.info(fixed.name).catch((error: unknown) => {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)
        return undefined;
      throw error;
    });
    if (current === undefined) {
      await jsm.streams.add({ ...fixed, ...settings({ ...defaults, ...limits }) });
      log.info({ stream: fixed.name }, 'made a stream');
      continue;
    }
    const change = difference(current.config, fixed, settings(limits));
    if (change !== undefined) {
      await jsm.streams.update(fixed.name, { ...current.config, ...change });
      log.info({ stream: fixed.name, change }, 'changed a stream');
    }
  }
}

function settings(limits: StreamLimits): Partial<StreamUpdateConfig> {
  return {
    ...(limits.maxBytes === undefined ? {} : { max_bytes: limits.maxBytes }),
    ...(limits.maxAgeMs === undefined ? {} : { max_age: nanos(limits.maxAgeMs) }),
  };
}

function difference(
  current: StreamConfig,
  { subjects = [], subject_transform }: Wanted,
  limits: Partial<StreamUpdateConfig>,
): Partial<StreamUpdateConfig> | undefined {
  const isSame =
    (limits.max_bytes ?? current.max_bytes) === current.max_bytes &&
    (limits.max_age ?? current.max_age) === current.max_age &&
    subjects.join() === current.subjects.join() &&
    subject_transform?.dest === current.subject_transform?.dest;
  if (isSame) return undefined;
  return { ...limits, subjects: [...subjects], ...(subject_transform && { subject_transform }) };
}
