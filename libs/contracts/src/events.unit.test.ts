import {
  catalogue,
  type EventType,
  eventTypes,
  isEventType,
  newEvent,
  PLATFORM_ACCOUNT,
  parseEvent,
  uuidv7,
} from '@signet/contracts';
import { eventExamples } from '@signet/contracts/examples';
import { describe, expect, test } from 'vitest';
import { ZodError, z } from 'zod';

const time = Date.UTC(2026, 2, 1, 12);
const example = (type: EventType) =>
  newEvent(type, { account: 'acme', subject: 'pump-17', data: eventExamples[type], time });

describe.each(eventTypes)('the event %s', (type) => {
  test('has an example, and comes back from the wire as it was made', () => {
    const event = example(type);
    expect(parseEvent(JSON.parse(JSON.stringify(event)))).toEqual(event);
  });

  test('says what each field of its data means', () => {
    const schemas = Object.assign({}, ...Object.values(catalogue)) as Record<EventType, z.ZodType>;
    const { properties = {} } = z.toJSONSchema(schemas[type]) as {
      properties?: Record<string, { description?: string }>;
    };
    expect(Object.keys(properties)).not.toEqual([]);
    for (const [field, { description }] of Object.entries(properties))
      expect(description, field).toBeTruthy();
  });
});

test('every event type is published by exactly one service', () => {
  const counts = Object.entries(catalogue).map(([service, events]) => [service, Object.keys(events).length]);
  expect(Object.fromEntries(counts)).toEqual({
    bootstrap: 11,
    'est-ca': 12,
    provisioning: 13,
    'revocation-sync': 5,
    'mqtt-broker': 4,
    'admin-api': 5,
  });
  expect(new Set(eventTypes).size).toBe(eventTypes.length);
  expect(isEventType('DEVICE_CLAIMED')).toBe(true);
  expect(isEventType('toString')).toBe(false);
});

test('an event is a CloudEvent of the service that sends it', () => {
  const event = example('CERT_REVOKED');
  expect(event).toMatchObject({
    specversion: '1.0',
    type: 'CERT_REVOKED',
    source: '/est-ca',
    subject: 'pump-17',
    account: 'acme',
    time: '2026-03-01T12:00:00.000Z',
    datacontenttype: 'application/json',
  });
});

test('events of the platform itself carry its own account', () => {
  const event = newEvent('CA_CREATED', {
    account: PLATFORM_ACCOUNT,
    subject: 'root-1',
    data: eventExamples.CA_CREATED,
    time,
  });
  expect(parseEvent(event).account).toBe('signet');
});

const wire = (change: Record<string, unknown>) => ({
  ...structuredClone(example('DEVICE_CLAIMED')),
  ...change,
});

describe('an event that came over the bus is refused with the field at fault', () => {
  test.each<[string, Record<string, unknown>]>([
    ['specversion', { specversion: '0.3' }],
    ['id', { id: 'not-a-uuid' }],
    ['id', { id: '3d813cbb-47fb-42ba-91df-831e1593ac29' }],
    ['source', { source: 'est-ca' }],
    ['subject', { subject: 'pump.17' }],
    ['subject', { subject: 'x'.repeat(65) }],
    ['time', { time: 'yesterday' }],
    ['datacontenttype', { datacontenttype: 'text/plain' }],
    ['account', { account: 'Acme' }],
    ['account', { account: 'a*' }],
    ['sequence', { sequence: 0 }],
    ['traceparent', { traceparent: '00-0-0-0' }],
  ])('%s: %j', (field, change) => {
    expect(fieldsAtFault(() => parseEvent(wire(change)))).toEqual([field]);
  });

  test.each<[string, unknown]>([
    ['deviceId', 'a/b'],
    ['fingerprint', 'AB'.repeat(32)],
    ['by', undefined],
    ['group', 7],
  ])('data.%s: %j', (field, value) => {
    const data = { ...eventExamples.DEVICE_CLAIMED, [field]: value };
    expect(fieldsAtFault(() => parseEvent(wire({ data })))).toEqual([field]);
  });

  test('a type that is in no catalogue', () => {
    expect(() => parseEvent(wire({ type: 'DEVICE_EATEN' }))).toThrow(
      new RangeError('type: "DEVICE_EATEN" is not in the event catalogue'),
    );
  });
});

test('a wrong event fails where it is made', () => {
  const data = { ...eventExamples.CERT_EXPIRING, daysLeft: 1.5 };
  const make = () => newEvent('CERT_EXPIRING', { account: 'acme', subject: 'pump-17', data, time });
  expect(fieldsAtFault(make)).toEqual(['daysLeft']);
});

test('ids of events sort by time', () => {
  const ids = [1, 2, 1000, 2 ** 32, 2 ** 47].map((now) => uuidv7(now));
  expect([...ids].sort()).toEqual(ids);
  for (const id of ids) expect(z.uuidv7().safeParse(id).success).toBe(true);
});

function fieldsAtFault(make: () => unknown): string[] {
  try {
    make();
  } catch (error) {
    if (error instanceof ZodError) return error.issues.map((issue) => issue.path.join('.'));
    throw error;
  }
  return [];
}
