import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  type StreamConfig,
  type StreamUpdateConfig,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { DEAD_STREAM, EVENT_STREAM, MQTT_STREAM } from '@signet/contracts';
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
        subjects: [storedSubject('signet.mqtt.>')],
        discard: 'old',
        subject_transform: { src: storedSubject('signet.mqtt.>'), dest: 'signet.mqtt.>' },
        republish: { src: 'signet.mqtt.>', dest: 'signet.mqtt.>' },
      },
      limits: plan.mqtt ?? {},
      defaults: { maxBytes: 8 * GIB, maxAgeMs: 3 * DAY },
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
    const change = difference(current.config, settings(limits));
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
  wanted: Partial<StreamUpdateConfig>,
): Partial<StreamUpdateConfig> | undefined {
  const same =
    (wanted.max_bytes ?? current.max_bytes) === current.max_bytes &&
    (wanted.max_age ?? current.max_age) === current.max_age;
  return same ? undefined : wanted;
}
