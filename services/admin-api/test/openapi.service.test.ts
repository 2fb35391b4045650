import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { openApi } from '../src/http/openapi.ts';
import { allRoutes, describedRoutes, type RouteParts } from '../src/http/routes.ts';
import { startTestApi } from './api.ts';

const routes = describedRoutes(allRoutes({} as RouteParts));

type Content = Record<string, { schema: object }>;
type Operation = {
  operationId: string;
  summary: string;
  parameters: { name: string; in: string; required: boolean; schema: object }[];
  requestBody?: { content: Content };
  responses: Record<string, { description?: string; $ref?: string; content?: Content }>;
};
type Document = {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, { content: Content }> };
};
const document = openApi(routes) as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    title: `${method.toUpperCase()} ${path}`,
    path,
    operation,
  })),
);

describe('the OpenAPI description', () => {
  it('has every route, each with an id of its own', () => {
    expect(operations.map(({ title }) => title).sort()).toEqual(
      routes.map(({ method, path }) => `${method} ${path}`).sort(),
    );
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(operations.map(({ title, path, operation }) => [title, path, operation] as const))(
    'is sound: %s',
    (_, path, { summary, parameters, responses }) => {
      expect(summary).not.toBe('');
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
      expect(
        parameters
          .filter((p) => p.in === 'path')
          .map(({ name }) => name)
          .sort(),
      ).toEqual(inPath);
      for (const parameter of parameters) {
        expect(['path', 'query', 'header']).toContain(parameter.in);
        if (parameter.in === 'path') expect(parameter.required).toBe(true);
        expect(parameter.schema).not.toEqual({});
      }
      const [status = ''] = Object.keys(responses).filter((one) => one !== '202');
      expect(status).toMatch(/^20[014]$/);
      expect(responses[status]?.description).not.toBe('');
      expect(responses[status]?.content === undefined).toBe(status === '204');
      expect(responses.default).toEqual({ $ref: '#/components/responses/Problem' });
    },
  );

  it('says of every change that it can be accepted and not yet in force, with the body of its success', () => {
    for (const { title, operation } of operations) {
      const { 202: owed, ...others } = operation.responses;
      const isChange = !title.startsWith('GET ') && !title.endsWith('/devices/claims');
      expect([title, owed !== undefined]).toEqual([title, isChange]);
      if (owed === undefined) continue;
      expect(owed.description).toMatch(/^Accepted, not yet in force/);
      const success = others[200] ?? others[201];
      expect(owed.content).toEqual(success?.content ?? { 'application/json': { schema: expect.anything() } });
    }
  });

  it('is of one dialect: every schema is one of JSON Schema 2020-12, OpenAPI 3.1’s own', () => {
    expect(document.openapi).toBe('3.1.0');
    const ajv = new Ajv2020({ strict: true, strictTypes: false });
    (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
    ajv.addVocabulary(['example']);
    const contents = operations.flatMap(({ operation }) => [
      operation.requestBody?.content ?? {},
      ...Object.values(operation.responses).map(({ content = {} }) => content),
    ]);
    const schemas = [
      ...[...contents, document.components.responses.Problem?.content ?? {}].flatMap((content) =>
        Object.values(content).map(({ schema }) => schema),
      ),
      ...operations.flatMap(({ operation }) => operation.parameters.map(({ schema }) => schema)),
    ];
    expect(schemas.length).toBeGreaterThan(50);
    for (const schema of schemas) {
      expect(schema).not.toHaveProperty('$schema');
      expect(() => ajv.compile(schema)).not.toThrow();
    }
  });

  it('is served to anybody, and a real problem is as it says', async () => {
    await using api = await startTestApi();
    const served = await api.call('GET', '/openapi.json', { token: null });
    expect(served.status).toBe(200);
    expect(served.body).toEqual(JSON.parse(JSON.stringify(document)));
    const { body } = await api.call('GET', '/v1/tokens', { token: null });
    const ajv = new Ajv2020();
    const problem =
      document.components.responses.Problem?.content['application/problem+json']?.schema ?? false;
    expect(ajv.validate(problem as object, body)).toBe(true);
  });
});
