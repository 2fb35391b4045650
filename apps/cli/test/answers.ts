import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

type Schema = Readonly<Record<string, unknown>>;
type Operation = { readonly responses: Record<string, { content?: Record<string, { schema?: Schema }> }> };

const openapi = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'reference', 'openapi.json'), 'utf8'),
) as { paths: Record<string, Record<string, Operation>> };

export type StandIn = AsyncDisposable & { readonly url: string };
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server on a free port of loopback that answers everything so. */
export async function serve(answer: Answer): Promise<StandIn> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => answer(request, response));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Answers each route as its schema in the OpenAPI document has it: every field there, one item in each list. */
export const asDocumented: Answer = (request, response) => {
  const { method = 'GET', url = '/' } = request;
  const path = url.split('?')[0] ?? '';
  const [, found] =
    Object.entries(openapi.paths)
      .sort(([a], [b]) => a.split('{').length - b.split('{').length)
      .find(([pattern, operations]) => matches(pattern, path) && method.toLowerCase() in operations) ?? [];
  const responses = found?.[method.toLowerCase()]?.responses ?? {};
  const [status, { content } = {}] = Object.entries(responses).find(([code]) => code.startsWith('2')) ?? [];
  if (status === undefined) return void response.writeHead(404).end('{"code":"no-such-route"}');
  const [type, { schema = {} } = {}] = Object.entries(content ?? {})[0] ?? [];
  if (type === undefined) return void response.writeHead(Number(status)).end();
  response.writeHead(Number(status), { 'content-type': type });
  if (type === 'text/event-stream') {
    const event = { time: DATE, type: 'DEVICE_CONNECTED', account: 'acme', subject: 'x', data: {} };
    response.end(`: connected\n\nid: 1\ndata: ${JSON.stringify(event)}\n\n`);
  } else if (type === 'application/x-ndjson') {
    response.end('{"line":1,"outcome":"claimed"}\n{"done":true,"lines":1,"outcomes":{"claimed":1}}\n');
  } else response.end(JSON.stringify(example(schema, 'x')));
};

function matches(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  return (
    wanted.length === given.length && wanted.every((part, i) => part.startsWith('{') || part === given[i])
  );
}

const DATE = '2027-01-31T12:00:00.000Z';

/** A value of a schema, with every member; `next` of a page is left out, so that lists end. */
function example(schema: Schema, name: string): unknown {
  const { type, enum: values, const: constant, anyOf, oneOf, properties, items, format } = schema;
  if (constant !== undefined) return constant;
  if (Array.isArray(values)) return values[0];
  const [variant] = (anyOf ?? oneOf ?? []) as Schema[];
  if (variant !== undefined) return example(variant, name);
  if (type === 'object')
    return Object.fromEntries(
      Object.entries((properties ?? {}) as Record<string, Schema>)
        .filter(([key]) => key !== 'next')
        .map(([key, value]) => [key, example(value, key)]),
    );
  if (type === 'array') return items === undefined ? [] : [example(items as Schema, name)];
  if (type === 'integer' || type === 'number') return 1;
  if (type === 'boolean') return true;
  if (format === 'date-time') return DATE;
  return type === 'string' ? name : null;
}
