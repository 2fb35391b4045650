import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import process from 'node:process';
import { startAdminApi } from '@signet/admin-api';
import { adminApiConfig } from '@signet/admin-api/config';
import { identifyDevices } from '@signet/contracts';
import { startRevocationSync } from '@signet/revocation-sync';
import { revocationSyncConfig } from '@signet/revocation-sync/config';
import { parseConfig } from '@signet/service';
import { openTestFixture } from '@signet/service/testing';
import { ACCOUNT } from '../mqtt/account.ts';
import type { Pki } from '../mqtt/broker-node.ts';

/**
 * The side that revokes, in a process of its own: API and deny list authority on a SQLite store and the NATS of
 * `BENCH_BUS`; it also answers for CAs and server certificates. Devices have no bootstrap certificates here.
 */
export type Asked = { readonly ask: 'pki'; readonly devices: number };
export type Started = { readonly url: string; readonly token: string };

const token = `sgn_${randomBytes(8).toString('hex')}_${randomBytes(32).toString('base64url')}`;
const fixture = await openTestFixture({
  bus: process.env.BENCH_BUS ?? 'local',
  serve: ['authorities', 'server-certificates'],
  loaded: false,
});
await fixture.deps.bus.serve(identifyDevices, async () => ({ devices: [] }));
await startRevocationSync(parseConfig(revocationSyncConfig, {}), fixture.deps);
const api = await startAdminApi(
  parseConfig(adminApiConfig, {
    SIGNET_ADMIN_PORT: '0',
    SIGNET_ACCOUNT: ACCOUNT,
    SIGNET_ADMIN_TOKEN: token,
    SIGNET_DATA_DIR: join(fixture.dataDir, 'admin-api'),
  }),
  fixture.deps,
);

process.on('message', ({ devices: count }: Asked) => {
  const { cert, key } = fixture.pki.serverIdentity();
  const devices = Array.from({ length: count }, (_, i) => {
    const deviceId = `dev-${i}`;
    const identity = fixture.pki.operational(ACCOUNT, deviceId);
    return { deviceId, cert: identity.cert, key: identity.key };
  });
  const pki: Pki = {
    anchors: fixture.pki.trustAnchors,
    issuers: fixture.pki.issuing.pem,
    server: { cert, key },
    devices,
  };
  process.send?.({ value: pki });
});
process.on('disconnect', () => process.exit());
process.send?.({ value: { url: api.url, token } satisfies Started });
