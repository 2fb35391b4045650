import { listCertificates, revokeCertificates } from '@signet/contracts';
import { parseCertificatePem, parseCrl, verifyCrlSignature } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT, type EstGround, openEstGround } from './support/est-ground.ts';
import { enrolledDevice } from './support/scene.ts';

let time = Date.now();
let est: EstGround;
beforeAll(async () => {
  est = await openEstGround({
    now: () => time,
    env: { SIGNET_EST_CRL_CACHE_SECONDS: '0', SIGNET_EST_CRL_MINUTES: '60' },
  });
});
afterAll(() => est?.[Symbol.asyncDispose]());

async function crl(id = 'issuing', port = est.service.httpPort) {
  const response = await fetch(`http://127.0.0.1:${port}/crl/${id}.crl`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/pkix-crl']);
  return parseCrl(new Uint8Array(await response.arrayBuffer()));
}

describe('the CRL of a CA', () => {
  it('is signed by that CA, keeps its number while nothing changes, and gets a new one at half of its life', async () => {
    const first = await crl();
    const issuing = est.ground.deps.door.trust.authorities().find(({ kind }) => kind === 'issuing');
    expect(verifyCrlSignature(first, parseCertificatePem(issuing?.certificate ?? ''))).toBe(true);
    expect((await crl()).number).toBe(first.number);
    time += 31 * 60_000;
    const second = await crl();
    expect(second.number).toBe((first.number ?? 0n) + 1n);
    expect((second.nextUpdate ?? 0) - second.thisUpdate).toBe(3_600_000);
  });

  it('from two replicas: a higher number never lists less, and each number is published once', async () => {
    await using other = await est.startReplica();
    const devices = await Promise.all(Array.from({ length: 6 }, (_, i) => enrolledDevice(est, `dev-${i}`)));
    const seen: Awaited<ReturnType<typeof crl>>[] = [];
    await Promise.all([
      ...devices.map(({ deviceId }) =>
        est.ground.deps.bus.request(revokeCertificates, { account: ACCOUNT, deviceId, by: 'test' }),
      ),
      ...Array.from({ length: 30 }, async (_, i) => {
        seen.push(await crl('issuing', i % 2 === 0 ? other.httpPort : est.service.httpPort));
      }),
    ]);
    seen.push(await crl());
    const ordered = seen.toSorted((a, b) => Number((a.number ?? 0n) - (b.number ?? 0n)));
    for (const [i, list] of ordered.entries()) {
      const before = new Set(ordered[i - 1]?.entries.map(({ serialNumber }) => serialNumber));
      const now = new Set(list.entries.map(({ serialNumber }) => serialNumber));
      expect(before.isSubsetOf(now)).toBe(true);
    }
    expect(ordered.at(-1)?.entries).toHaveLength(6);
    const numbers = est.events.flatMap((event) =>
      event.type === 'CRL_PUBLISHED' && event.subject === 'issuing' && event.data.delta
        ? [event.data.number]
        : [],
    );
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
    const { items } = await est.ground.deps.bus.request(listCertificates, { account: ACCOUNT });
    expect(items.filter(({ revokedAt }) => revokedAt !== undefined)).toHaveLength(6);
  });

  it('and the certificate of a CA that is not ours: 404', async () => {
    for (const path of [
      '/crl/other.crl',
      '/ca/other.cer',
      '/crl/issuing.pem',
      '/ca/..%2f..%2fpassphrase.cer',
    ])
      expect((await fetch(`http://127.0.0.1:${est.service.httpPort}${path}`)).status).toBe(404);
  });
});
