import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hearDenials, newEvent, revokeCertificates } from '@signet/contracts';
import { createLogger, openBackbone } from '@signet/service';
import type { CollectionSpec } from '@signet/store';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startTestApi } from './api.ts';

const binary = requireServer('nats-server');
const cli = join(import.meta.dirname, '../../../apps/cli/src/main.ts');
const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

const Thing = z.object({ id: z.string() });
const things: CollectionSpec<z.infer<typeof Thing>, never> = {
  name: 'test.things',
  schema: Thing,
  indexes: {},
};

const revoked = (serialNumber: string, by: string) =>
  newEvent('CERT_REVOKED', {
    account: 'acme',
    subject: 'pump-17',
    time: Date.now(),
    data: {
      ...{ deviceId: 'pump-17', serialNumber, profile: 'acme', reason: 'keyCompromise', by },
      ...{ issuerKeyId: 'a1'.repeat(20), fingerprint: 'b2'.repeat(32), publicKeyHash: 'c3'.repeat(32) },
      ...{ notBefore: '2026-03-01T11:55:00.000Z', notAfter: '2026-05-30T12:00:00.000Z' },
    },
  });

describe.skipIf(binary === '')('while the authority of the deny list hears of nothing', () => {
  it('a revocation is answered 202, and `signet` says that it is accepted and not yet in force', {
    timeout: 60_000,
  }, async () => {
    const nats = stack.use(await startNats(binary));
    const folder = await mkdtemp(join(tmpdir(), 'owed-'));
    stack.defer(() => rm(folder, { recursive: true }));
    const log = createLogger({ service: 'test', level: 'silent' });
    const store = `sqlite:${join(folder, 'owner.db')}`;
    // the service that owns certificates: state and event in one write, as est-ca does it
    const owner = stack.use(
      await openBackbone({ store, bus: nats.url, dataDir: folder, name: 'owner', log }),
    );
    const records = await owner.store.collection(things);
    stack.use(
      await owner.bus.serve(revokeCertificates, async ({ serialNumber = '', by }) => {
        await records.insert({ id: serialNumber }, [revoked(serialNumber, by)]);
        return { revoked: [serialNumber] };
      }),
    );
    const api = stack.use(await startTestApi({ fixture: { bus: nats.url, serve: [], loaded: false } }));
    const revoke = (serialNumber: string) =>
      api.call('POST', `/v1/accounts/acme/certificates/${serialNumber}/revoke`, { body: {} });
    const env = {
      ...{ PATH: process.env.PATH ?? '', XDG_CONFIG_HOME: folder },
      ...{ SIGNET_URL: api.url, SIGNET_TOKEN: api.admin, SIGNET_ACCOUNT: 'acme' },
    };
    const signet = (...args: string[]) => promisify(execFile)(process.execPath, [cli, ...args], { env });

    expect(await revoke('0a01')).toMatchObject({ status: 202, body: { revoked: ['0a01'] } });
    const owed = await signet('--json', 'certificates', 'revoke', '0a02');
    expect(owed.stderr).toMatch(/^accepted, not yet in force: [^\n]+\n$/);
    expect(JSON.parse(owed.stdout)).toEqual({ revoked: ['0a02'] });

    stack.use(await owner.bus.serve(hearDenials, async () => ({ number: 1 })));
    expect(await revoke('0a03')).toMatchObject({ status: 200, body: { revoked: ['0a03'] } });
    expect((await signet('--json', 'certificates', 'revoke', '0a04')).stderr).toBe('');
  });
});
