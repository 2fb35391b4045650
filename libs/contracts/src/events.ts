import { z } from 'zod';
import { adminApiEvents } from './catalogue/admin-api.ts';
import { bootstrapEvents } from './catalogue/bootstrap.ts';
import { estCaEvents } from './catalogue/est-ca.ts';
import { mqttBrokerEvents } from './catalogue/mqtt-broker.ts';
import { provisioningEvents } from './catalogue/provisioning.ts';
import { revocationSyncEvents } from './catalogue/revocation-sync.ts';
import { Envelope } from './envelope.ts';
import { uuidv7 } from './uuid.ts';

/** The event catalogue: service → type → schema of `data`. */
export const catalogue = {
  bootstrap: bootstrapEvents,
  'est-ca': estCaEvents,
  provisioning: provisioningEvents,
  'revocation-sync': revocationSyncEvents,
  'mqtt-broker': mqttBrokerEvents,
  'admin-api': adminApiEvents,
} as const;

const dataSchemas = {
  ...bootstrapEvents,
  ...estCaEvents,
  ...provisioningEvents,
  ...revocationSyncEvents,
  ...mqttBrokerEvents,
  ...adminApiEvents,
} as const;

type DataSchemas = typeof dataSchemas;
export type EventType = keyof DataSchemas;
export type EventData<T extends EventType> = z.infer<DataSchemas[T]>;

/** An event of the catalogue. `SignetEvent` without an argument is the union of all of them, told apart by `type`. */
export type SignetEvent<T extends EventType = EventType> = {
  [K in T]: Omit<Envelope, 'type'> & { readonly type: K; readonly data: EventData<K> };
}[T];

export const eventTypes = Object.keys(dataSchemas) as readonly EventType[];

const sourceOf = new Map<EventType, string>(
  Object.entries(catalogue).flatMap(([service, events]) =>
    Object.keys(events).map((type): [EventType, string] => [type as EventType, `/${service}`]),
  ),
);

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(dataSchemas, type);
}

let traceparentNow: () => string | undefined = () => undefined;

/** From now on every event that this process makes carries what `source` gives: the `traceparent` of the running trace. */
export function traceEventsBy(source: () => string | undefined): void {
  traceparentNow = source;
}

/**
 * Makes an event. `data` is checked against its schema, so a wrong event fails where it is made.
 * `subject` is the device id (or CA id); `time` is Unix milliseconds. `service`: who makes it, where a type that the
 * catalogue lists under one service comes from another.
 */
export function newEvent<T extends EventType>(
  type: T,
  facts: {
    account: string;
    subject: string;
    data: EventData<T>;
    time: number;
    traceparent?: string | undefined;
    service?: keyof typeof catalogue | undefined;
  },
): SignetEvent<T> {
  const { traceparent = traceparentNow() } = facts;
  const event = {
    ...Envelope.parse({
      specversion: '1.0',
      id: uuidv7(facts.time),
      type,
      source: facts.service === undefined ? sourceOf.get(type) : `/${facts.service}`,
      subject: facts.subject,
      time: new Date(facts.time).toISOString(),
      datacontenttype: 'application/json',
      account: facts.account,
      ...(traceparent === undefined ? {} : { traceparent }),
    }),
    data: dataSchemas[type].parse(facts.data),
  };
  return event as unknown as SignetEvent<T>;
}

/** Parses an event that came over the bus. Throws a ZodError that names the field. */
export function parseEvent(value: unknown): SignetEvent {
  const envelope = Envelope.extend({ data: z.unknown() }).parse(value);
  if (!isEventType(envelope.type))
    throw new RangeError(`type: "${envelope.type}" is not in the event catalogue`);
  return { ...envelope, data: dataSchemas[envelope.type].parse(envelope.data) } as unknown as SignetEvent;
}
