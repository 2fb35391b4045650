import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { commonConfig } from './common-config.ts';
import { describeConfig, type Environment, parseConfig, port, secret } from './config.ts';
import { ConfigError } from './config-error.ts';

const schema = commonConfig.extend({
  SIGNET_EST_PORT: port(8443).describe('EST over HTTPS'),
  SIGNET_EST_PIN: secret().describe('PIN of the token'),
  SIGNET_EST_ISSUER: z.string().describe('Name of the first CA'),
});

function problemsOf(env: Environment) {
  try {
    parseConfig(schema, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('the configuration was taken');
}

test('an empty environment gives the embedded default: one SQLite file, local bus, health on 9464', () => {
  const config = parseConfig(commonConfig, {});
  expect(config).toMatchObject({
    SIGNET_STORE: 'sqlite:./data/signet.db',
    SIGNET_BUS: 'local',
    SIGNET_DATA_DIR: './data',
    SIGNET_TRUST_DOMAIN: 'signet.local',
    SIGNET_HEALTH_PORT: 9464,
    SIGNET_LOG_LEVEL: 'info',
    SIGNET_SERVER_NAMES: ['localhost', '127.0.0.1'],
    SIGNET_DENYLIST_STALE_REFUSES: true,
  });
  expect(config.SIGNET_REDIS).toBeUndefined();
});

test('each wrong variable gets one line with its name and the reason, all at once', () => {
  const problems = problemsOf({
    SIGNET_STORE: 'postgres://db',
    SIGNET_EST_PORT: '70000',
    SIGNET_HEALTH_PORT: 'http',
    SIGNET_LOG_LEVEL: 'loud',
    SIGNET_DENYLIST_STALE_REFUSES: 'yes',
  });
  expect(problems).toEqual([
    { variable: 'SIGNET_STORE', reason: 'must be sqlite:<file> or mongodb://…' },
    { variable: 'SIGNET_HEALTH_PORT', reason: 'must be a port number' },
    {
      variable: 'SIGNET_LOG_LEVEL',
      reason: 'must be trace, debug, info, warn, error or silent',
    },
    { variable: 'SIGNET_DENYLIST_STALE_REFUSES', reason: 'must be "true" or "false"' },
    { variable: 'SIGNET_EST_PORT', reason: 'must be a port number, 0 to 65535' },
    { variable: 'SIGNET_EST_ISSUER', reason: 'required, but not set' },
  ]);
  expect(new ConfigError(problems).message.split('\n')).toHaveLength(6);
});

test('a reason never repeats the value, which may be a secret', () => {
  const [problem] = problemsOf({ SIGNET_EST_ISSUER: 'x', SIGNET_REDIS: 'hunter2' });
  expect(problem).toEqual({ variable: 'SIGNET_REDIS', reason: 'must be redis://…' });
});

test('a secret may come from a file, whose last line end does not count', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'signet-config-')), 'pin');
  writeFileSync(file, 'one two\n');
  const config = parseConfig(schema, { SIGNET_EST_ISSUER: 'x', SIGNET_EST_PIN_FILE: file });
  expect(config.SIGNET_EST_PIN).toBe('one two');
});

test('a secret file that is missing, or given together with the value, is refused by its own name', () => {
  expect(problemsOf({ SIGNET_EST_ISSUER: 'x', SIGNET_EST_PIN_FILE: '/nowhere/pin' })).toEqual([
    { variable: 'SIGNET_EST_PIN_FILE', reason: 'cannot read the file "/nowhere/pin" (ENOENT)' },
  ]);
  expect(
    problemsOf({ SIGNET_EST_ISSUER: 'x', SIGNET_EST_PIN: '1', SIGNET_EST_PIN_FILE: '/nowhere/pin' }),
  ).toEqual([
    { variable: 'SIGNET_EST_PIN_FILE', reason: 'set together with SIGNET_EST_PIN: give one of them' },
  ]);
});

test('an empty value counts as absent, as compose files write it', () => {
  expect(parseConfig(schema, { SIGNET_EST_ISSUER: 'x', SIGNET_EST_PORT: '' }).SIGNET_EST_PORT).toBe(8443);
});

test('every variable is described for the reference, with its default as it would be written', () => {
  const rows = describeConfig(schema);
  expect(rows.filter(({ meaning }) => meaning === '')).toEqual([]);
  expect(rows.find(({ variable }) => variable === 'SIGNET_SERVER_NAMES')?.default).toBe(
    'localhost,127.0.0.1',
  );
  expect(rows.find(({ variable }) => variable === 'SIGNET_EST_PORT')).toEqual({
    variable: 'SIGNET_EST_PORT',
    default: '8443',
    required: false,
    secret: false,
    meaning: 'EST over HTTPS',
  });
  expect(rows.find(({ variable }) => variable === 'SIGNET_EST_PIN')?.secret).toBe(true);
  expect(rows.find(({ variable }) => variable === 'SIGNET_EST_ISSUER')?.required).toBe(true);
});
