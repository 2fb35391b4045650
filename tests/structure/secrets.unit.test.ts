import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, type ConfigSchema, commonConfig, describeConfig, parseConfig } from '@signet/service';
import { standaloneConfig } from '@signet/standalone';
import { afterAll, describe, expect, test } from 'vitest';
import { serviceSchemas } from '../../docs/generate/configuration.ts';

const schemas: { service: string; schema: ConfigSchema }[] = [
  { service: 'every service', schema: commonConfig },
  ...(await serviceSchemas()),
  { service: 'npm start', schema: standaloneConfig },
];
const folder = mkdtempSync(join(tmpdir(), 'signet-secrets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What one of the secrets takes; a test fails where a new one takes none of them. */
const values = [
  `sgn_${'0'.repeat(16)}_${'A'.repeat(43)}`,
  'mongodb://me:word@db.example/signet',
  'nats://me:word@nats.example:4222',
  'rediss://me:word@redis.example',
  'mqtts://me:word@mqtt.example',
  'one two',
];

const secrets = schemas.flatMap(({ service, schema }) =>
  describeConfig(schema)
    .filter((row) => row.secret)
    .map(({ variable }) => ({ service, schema, variable })),
);

describe.each(secrets)('$variable of $service', ({ schema, variable }) => {
  const value = values.find((one) => schema.shape[variable]?.safeParse(one).success) ?? '';
  const file = join(folder, variable);

  test('may come from a file, as itself', () => {
    expect(value).not.toBe('');
    writeFileSync(file, `${value}\n`);
    const byFile = parseConfig(schema, { [`${variable}_FILE`]: file });
    expect(byFile).toEqual(parseConfig(schema, { [variable]: value }));
    expect(byFile).not.toEqual(parseConfig(schema, {}));
  });

  test('stops the start where its file is not there', () => {
    expect(() => parseConfig(schema, { [`${variable}_FILE`]: join(folder, 'nowhere') })).toThrow(
      expect.objectContaining({
        problems: [{ variable: `${variable}_FILE`, reason: expect.stringContaining('ENOENT') }],
      }),
    );
  });
});

describe.each(schemas)('$service', ({ schema }) => {
  const rows = describeConfig(schema);

  test('marks as a secret all that sounds like one', () => {
    const sounds = rows.filter(({ variable, meaning }) =>
      /(TOKEN|PIN|SEED|PASSWORD|PASSPHRASE|SECRET|HEADERS|STORE|BUS|REDIS)$/.test(variable) ||
      /\b(PIN of|[Ss]eed of|password)\b/.test(meaning)
        ? !['SIGNET_MQTT_PROVISIONING_PORT'].includes(variable)
        : false,
    );
    expect(sounds.filter(({ secret }) => !secret).map(({ variable }) => variable)).toEqual([]);
  });

  test('refuses a _FILE that it would not read, rather than ignoring it', () => {
    for (const { variable, secret } of rows) {
      const name = `${variable}_FILE`;
      if (secret || name in schema.shape) continue;
      expect(() => parseConfig(schema, { [name]: '/run/secrets/x' }), name).toThrow(ConfigError);
    }
  });
});
