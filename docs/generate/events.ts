import { catalogue, EVENT_STREAM, type EventType, newEvent } from '@signet/contracts';
import { eventExamples } from '@signet/contracts/examples';
import { code, type Generator, page } from './document.ts';
import { fieldTable } from './schema-fields.ts';

const introduction = `Every event is a CloudEvent 1.0 in structured JSON. It is published on the bus on the subject
\`signet.event.<account>.<p>.<TYPE>.<device>\`, where \`<p>\` is \`p0\` to \`p15\`, a hash of account and device, so that a
consumer of one partition sees the events of a device in order; the stream is \`${EVENT_STREAM}\`. Events of the platform
itself carry the account \`signet\`, and for \`<device>\` the id of the CA where they are about one. \`id\` is a UUIDv7 and
stays the same when an event is delivered again.

To consume the revocations of one account with any NATS client: filter on \`signet.event.acme.*.CERT_REVOKED.*\`.`;

/** The event catalogue: who sends what, field by field, with an example. */
export const events: Generator = {
  file: 'events.md',
  generate: () =>
    page(
      'Events',
      introduction,
      Object.entries(catalogue).flatMap(([service, types]) => [
        `## Sent by ${service}`,
        ...Object.entries(types).flatMap(([type, schema]) => [
          `### ${type}`,
          `Subject ${code(`signet.event.<account>.<p>.${type}.<device>`)}.`,
          fieldTable(schema, 'output'),
          `\`\`\`json\n${JSON.stringify(example(type as EventType), null, 2)}\n\`\`\``,
        ]),
      ]),
    ),
};

function example(type: EventType): object {
  const data = eventExamples[type];
  const subject = 'deviceId' in data && data.deviceId !== undefined ? data.deviceId : subjectOf(data);
  const { data: _, ...event } = newEvent(type, {
    account: 'acme',
    subject,
    data,
    time: Date.UTC(2026, 2, 1, 12),
  });
  const id = '0195511c-0e00-7000-8000-000000000001';
  return { ...event, id, sequence: 1, data };
}

function subjectOf(data: object): string {
  if ('authorityId' in data) return String(data.authorityId);
  return 'number' in data ? 'denylist' : 'unknown';
}
