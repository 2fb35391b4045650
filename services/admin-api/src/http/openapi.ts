import { z } from 'zod';
import { type DescribedRoute, mayOwe, OWED } from './route.ts';

/** OpenAPI 3.1 of the REST API, made from the routes and their schemas. */
export function openApi(routes: readonly DescribedRoute[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Signet', version: '1', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      responses: {
        Problem: {
          description: 'Problem details (RFC 9457)',
          content: { 'application/problem+json': { schema: jsonSchema(Problem, 'output') } },
        },
      },
    },
  };
}

const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string().describe('Stable: what programs decide by'),
  detail: z.string(),
  field: z.string().optional().describe('The part of the request at fault'),
});

function operationOf(route: DescribedRoute): object {
  const body =
    route.body === undefined
      ? {}
      : { requestBody: { required: true, content: content(route.body, 'input') } };
  const status = route.status ?? 200;
  const answer = status === 204 ? {} : { content: content(route.response, 'output', route.contentType) };
  return {
    summary: route.summary,
    ...(route.permission === undefined
      ? { security: [] }
      : { description: `Needs \`${route.permission}\`.` }),
    operationId: idOf(route),
    parameters: [
      ...parametersOf(route.params, 'path'),
      ...parametersOf(route.query, 'query'),
      ...keyParameter(route),
    ],
    ...body,
    responses: {
      [status]: { description: route.summary, ...answer },
      ...(mayOwe(route) ? { [OWED.status]: owed(status === 204 ? z.object({}) : route.response) } : {}),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function owed(response: z.ZodType): object {
  return { description: OWED.description, content: content(response, 'output') };
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'The same request with the same key is done once, and answered alike for a day (`Idempotency-Replayed: true`).',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

/** A POST may be sent again with the same key, and is done once. */
function keyParameter({ method, permission, contentType }: DescribedRoute): object[] {
  if (method !== 'POST' || permission === undefined || contentType !== undefined) return [];
  return [idempotencyKey];
}

function parametersOf(schema: z.ZodType, where: 'path' | 'query'): object[] {
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, object>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema: property,
  }));
}

/** `GET /v1/accounts/{account}/devices` is `getAccountsDevices`. */
function idOf({ method, path }: DescribedRoute): string {
  const words = path
    .replace(/^\/v1/, '')
    .replace('{account}/', '')
    .split(/[^A-Za-z]+/);
  return [method.toLowerCase(), ...words.filter(Boolean).map((word) => capital(word))].join('');
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function content(schema: z.ZodType, io: 'input' | 'output', type = 'application/json'): object {
  return { [type]: { schema: jsonSchema(schema, io) } };
}

/** JSON Schema 2020-12, which is OpenAPI 3.1's own dialect. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    // no format of JSON Schema: `contentEncoding` says it
    override: ({ jsonSchema }) => {
      if (jsonSchema.format === 'base64') delete jsonSchema.format;
    },
  });
  return rest;
}
