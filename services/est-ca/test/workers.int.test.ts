import { createGrant } from '@signet/contracts';
import { createCsr, generateKeyPair } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openCollections } from '../src/adapters/collections.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { Main, openServers } from './support/est-mains.ts';

const binaries = { nats: requireServer('nats-server'), ferretdb: requireServer('ferretdb') };
const ACCOUNT = 'acme';
const DEVICES = 60;
const KILLED_AFTER = 20;
const newCsr = () => createCsr({ privateKey: generateKeyPair('P-256').privateKey });

describe.skipIf(binaries.nats === '' || binaries.ferretdb === '')(
  'SIGNET_EST_WORKERS=2, with NATS and FerretDB',
  { timeout: 120_000 },
  () => {
    let servers: Awaited<ReturnType<typeof openServers>>;
    let denyList: Main;
    let main: Main;
    let port: number;
    let healthUrl: string;
    beforeAll(async () => {
      servers = await openServers(binaries);
      main = new Main('est-ca', { ...servers.env, SIGNET_EST_WORKERS: '2' });
      denyList = new Main('revocation-sync', servers.env);
      const ready = await main.line(({ workers }) => workers === 2);
      port = (ready.ports as { est: number }).est;
      healthUrl = `http://127.0.0.1:${String(ready.healthPort)}`;
    }, 120_000);
    afterAll(async () => {
      await main?.[Symbol.asyncDispose]();
      await denyList?.[Symbol.asyncDispose]();
      await servers?.[Symbol.asyncDispose]();
    }, 60_000);

    async function grantFor(deviceId: string) {
      const fingerprint = 'f'.repeat(64);
      const made = await servers.backbone.bus.request(createGrant, {
        ...{ account: ACCOUNT, deviceId, fingerprint },
      });
      return { grant: made.grant, anchors: made.trustAnchors.join('') };
    }

    async function enrol(
      deviceId: string,
      csr: Uint8Array,
      { grant, anchors }: { grant: string; anchors: string },
    ) {
      return call({ anchors, service: { estPort: port } }, enrolment(csr, { basic: [deviceId, grant] }));
    }

    const recorded = async (deviceId: string) => {
      const { certificates } = await openCollections(servers.backbone.store);
      return certificates.count({ index: 'device', equals: { account: ACCOUNT, deviceId } });
    };

    it('both workers answer on one port; health and metrics are those of both', async () => {
      let asked = 0;
      let metrics = '';
      const counts = () =>
        [
          ...metrics.matchAll(/^signet_est_enrollments_total\{worker="(\d)",.*outcome="issued".* (\d+)/gm),
        ].map(([, worker, count]) => [worker, Number(count)] as const);
      await vi.waitFor(async () => {
        const devices = Array.from({ length: 16 }, () => `both-${asked++}`);
        const replies = await Promise.all(
          devices.map(async (deviceId) => enrol(deviceId, newCsr(), await grantFor(deviceId))),
        );
        expect(replies.every(({ status }) => status === 200)).toBe(true);
        metrics = await (await fetch(`${healthUrl}/metrics`)).text();
        expect(counts().map(([worker]) => worker)).toEqual(['1', '2']);
      }, 30_000);
      expect(counts().reduce((sum, [, count]) => sum + count, 0)).toBe(asked);
      expect(metrics.match(/^# TYPE signet_est_enrollments_total /gm)).toHaveLength(1);
      await vi.waitFor(async () => {
        const answer = await fetch(`${healthUrl}/ready`);
        expect(await answer.json()).toMatchObject({
          ready: true,
          checks: { 'est-ca.worker-1': { ok: true }, 'est-ca.worker-2': { ok: true } },
        });
      }, 30_000);
    });

    it('two hundred enrolments of one grant with as many keys end with one certificate', async () => {
      const grant = await grantFor('dev-keys');
      const replies = await Promise.all(
        Array.from({ length: 200 }, () => newCsr()).map((csr) => enrol('dev-keys', csr, grant)),
      );
      const statuses = Map.groupBy(replies, ({ status }) => status);
      expect([statuses.get(200)?.length, statuses.get(403)?.length]).toEqual([1, 199]);
      for (const { body } of statuses.get(403) ?? []) expect(body).toMatch(/already used at/);
      expect(await recorded('dev-keys')).toBe(1);
    });

    it('two hundred enrolments of one grant with one key all get the same certificate', async () => {
      const grant = await grantFor('dev-key');
      const csr = newCsr();
      const replies = await Promise.all(Array.from({ length: 200 }, () => enrol('dev-key', csr, grant)));
      expect(new Set(replies.map((reply) => issuedIn(reply).fingerprint)).size).toBe(1);
      expect(await recorded('dev-key')).toBe(1);
    });

    it('a worker that is killed loses no acknowledged enrolment and is restarted; the other goes on', async () => {
      const devices = await Promise.all(
        Array.from({ length: DEVICES }, async (_, i) => {
          const deviceId = `killed-${i}`;
          return { deviceId, csr: newCsr(), grant: await grantFor(deviceId) };
        }),
      );
      const got = new Map<string, string>();
      const ask = async ({ deviceId, csr, grant }: (typeof devices)[number]) => {
        got.set(deviceId, issuedIn(await enrol(deviceId, csr, grant)).fingerprint);
      };
      const { pid } = await main.line(({ msg, worker }) => msg === 'worker: starts' && worker === 1);
      let killed = false;
      const queue = devices.values();
      const lanes = Array.from({ length: 8 }, async () => {
        for (const device of queue) {
          await ask(device).catch(() => {});
          if (killed || got.size < KILLED_AFTER) continue;
          killed = true;
          process.kill(Number(pid), 'SIGKILL');
        }
      });
      await Promise.all(lanes);
      const acknowledged = new Map(got);
      expect(acknowledged.size).toBeGreaterThanOrEqual(KILLED_AFTER);
      await main.line(({ msg, worker }) => msg === 'worker: runs again' && worker === 1);

      await Promise.all(devices.map(ask));
      for (const [deviceId, fingerprint] of acknowledged) expect(got.get(deviceId)).toBe(fingerprint);
      const evented = new Map<string, number>();
      await using _ = await servers.backbone.bus.tail({ types: ['CERT_ISSUED'], from: 'start' }, (event) => {
        const { fingerprint } = event.data as { fingerprint: string };
        evented.set(fingerprint, (evented.get(fingerprint) ?? 0) + 1);
      });
      await vi.waitFor(
        () =>
          expect([...got.values()].map((fingerprint) => evented.get(fingerprint))).toEqual(
            Array(DEVICES).fill(1),
          ),
        30_000,
      );

      const counts = await Promise.all(devices.map(({ deviceId }) => recorded(deviceId)));
      expect(counts).toEqual(Array(DEVICES).fill(1));
    });

    it('stop together and gracefully', async () => {
      expect(await main.stop()).toBe(0);
      expect(main.lines.filter(({ msg }) => msg === 'worker: ended')).toHaveLength(1);
    });
  },
);

describe('SIGNET_EST_WORKERS=2', () => {
  it('is refused over SQLite and the local bus, which live inside one process', async () => {
    await using main = new Main('est-ca', { SIGNET_EST_WORKERS: '2' });
    expect(await main.exited).toBe(2);
    expect(main.stderr).toContain(
      'SIGNET_EST_WORKERS: more than one process needs MongoDB and NATS, but SIGNET_STORE and SIGNET_BUS live inside one',
    );
  });
});
