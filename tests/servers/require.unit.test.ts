import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NOT_RUN_FILE } from './requirements.ts';

const directory = mkdtempSync(join(tmpdir(), 'signet-require-'));
const file = join(directory, 'not-run');

beforeEach(() => {
  vi.stubEnv('SIGNET_TEST_NATS_URL', undefined);
  vi.stubEnv('SIGNET_REQUIRE_SERVERS', undefined);
  vi.stubEnv(NOT_RUN_FILE, file);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(file, { force: true });
});

describe('a suite that needs a server', () => {
  test('gets its address where there is one', () => {
    vi.stubEnv('SIGNET_TEST_NATS_URL', 'nats://127.0.0.1:4');
    expect(requireServer('nats')).toBe('nats://127.0.0.1:4');
  });

  test('is listed as not run, by its name, where there is none', () => {
    expect(requireServer('nats')).toBe('');
    expect(readFileSync(file, 'utf8')).toBe(
      'require.unit.test.ts: not run, for want of nats (SIGNET_TEST_NATS_URL)\n',
    );
  });

  test('fails where every server is required', () => {
    vi.stubEnv('SIGNET_REQUIRE_SERVERS', '1');
    expect(() => requireServer('nats')).toThrow(
      'require.unit.test.ts: not run, for want of nats (SIGNET_TEST_NATS_URL); SIGNET_REQUIRE_SERVERS=1 demands it',
    );
  });
});
