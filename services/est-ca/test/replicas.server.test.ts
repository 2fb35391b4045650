import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGrant } from '@signet/contracts';
import { createCsr, generateKeyPair } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openCollections } from '../src/collections.ts';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { Main, openServers } from './support/est-mains.ts';

const binaries = { nats: requireServer('nats-server'), ferretdb: requireServer('ferretdb') };
const ACCOUNT = 'acme';
const DEVICES = 60;
const KILLED_AFTER = 20;
const newCsr = () => createCsr({ privateKey: generateKeyPair('P-256').privateKey });

describe.skipIf(binaries.nats === '' || binaries.ferretdb === '')(
  'two replicas of est-ca, with NATS and FerretDB',
  { timeout: 120_000 },
  () => {
    let servers: Awaited<ReturnType<typeof openServers>>;
    let denyList: Main;
    const replicas: Main[] = [];
    const ports: number[] = [];
    let calls = 0;
    beforeAll(async () => {
      servers = await openServers(binaries);
      denyList = new Main('revocation-sync', servers.env);
      for (const i of [0, 1]) await startReplica(i);
    }, 120_000);
    afterAll(async () => {
      for (const replica of replicas) await replica[Symbol.asyncDispose]();
      await denyList?.[Symbol.asyncDispose]();
      await servers?.[Symbol.asyncDispose]();
    }, 60_000);

    async function startReplica(i: number): Promise<void> {
      const replica = new Main('est-ca', servers.env);
      replicas[i] = replica;
      const ready = await replica.line(({ ports }) => ports !== undefined);
      ports[i] = (ready.ports as { est: number }).est;
    }

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
      const estPort = ports[calls++ % ports.length] ?? 0;
      return call({ anchors, service: { estPort } }, enrolment(csr, { basic: [deviceId, grant] }));
    }

    const recorded = async (deviceId: string) => {
      const { certificates } = await openCollections(servers.backbone.store);
      return certificates.count({ index: 'device', equals: { account: ACCOUNT, deviceId } });
    };

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

    it('one that is killed loses no acknowledged enrolment; the other goes on', async () => {
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
      const [first] = replicas;
      let killed = false;
      const queue = devices.values();
      const lanes = Array.from({ length: 8 }, async () => {
        for (const device of queue) {
          await ask(device).catch(() => {});
          if (killed || got.size < KILLED_AFTER) continue;
          killed = true;
          first?.process.kill('SIGKILL');
        }
      });
      await Promise.all(lanes);
      const acknowledged = new Map(got);
      expect(acknowledged.size).toBeGreaterThanOrEqual(KILLED_AFTER);
      await first?.exited;
      await startReplica(0);

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

    it('each stops gracefully', async () => {
      for (const replica of replicas) expect(await replica.stop()).toBe(0);
    });
  },
);

describe('SIGNET_EST_WORKERS=2', () => {
  it('is reported at start as of no effect', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'signet-workers-'));
    await using main = new Main('est-ca', {
      ...{ SIGNET_EST_WORKERS: '2', SIGNET_DATA_DIR: dataDir, SIGNET_BIND: '127.0.0.1' },
      ...{ SIGNET_EST_PORT: '0', SIGNET_EST_HTTP_PORT: '0', SIGNET_HEALTH_PORT: '0' },
    });
    const { msg } = await main.line(({ msg }) => msg.startsWith('SIGNET_EST_WORKERS'));
    expect(msg).toContain('has no effect');
    expect(await main.stop()).toBe(0);
    await rm(dataDir, { recursive: true, force: true });
  });
});
