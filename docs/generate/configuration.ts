import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ConfigRow, type ConfigSchema, commonConfig, describeConfig } from '@signet/service';
import { code, type Generator, page, table } from './document.ts';

const services = join(import.meta.dirname, '..', '..', 'services');

const introduction = `Environment variables only. A wrong value stops the start with one line for each variable. An empty
value counts as absent. Where "or file" stands, \`<VARIABLE>_FILE\` may name a file that holds the value.`;

/** Every variable of every service. */
export const configuration: Generator = {
  file: 'configuration.md',
  generate: async () => {
    const common = describeConfig(commonConfig);
    const known = new Set(common.map((row) => row.variable));
    const sections = await Promise.all(
      (await serviceSchemas()).map(async ({ service, schema }) => [
        `## ${service}`,
        rowTable(describeConfig(schema).filter((row) => !known.has(row.variable))),
      ]),
    );
    return page('Configuration', introduction, ['## Every service', rowTable(common), ...sections.flat()]);
  },
};

/** The configuration schema of each service that has one: the zod object that its config.ts exports. */
export async function serviceSchemas(): Promise<{ service: string; schema: ConfigSchema }[]> {
  const names = readdirSync(services).filter((name) => existsSync(join(services, name, 'src', 'config.ts')));
  return Promise.all(
    names.sort().map(async (service) => {
      const exported: unknown[] = Object.values(await import(join(services, service, 'src', 'config.ts')));
      const schema = exported.find(isConfigSchema);
      if (schema === undefined) throw new Error(`services/${service}/src/config.ts exports no zod object`);
      return { service, schema };
    }),
  );
}

function isConfigSchema(value: unknown): value is ConfigSchema {
  return (
    typeof value === 'object' && value !== null && 'shape' in value && 'SIGNET_STORE' in Object(value.shape)
  );
}

function rowTable(rows: readonly ConfigRow[]): string {
  if (rows.length === 0) return 'Nothing of its own.';
  return table(
    ['variable', 'default', 'meaning'],
    rows.map((row) => [
      `${code(row.variable)}${row.secret ? ' (or file)' : ''}`,
      row.required ? 'required' : row.default === undefined || row.default === '' ? '–' : code(row.default),
      row.meaning,
    ]),
  );
}
