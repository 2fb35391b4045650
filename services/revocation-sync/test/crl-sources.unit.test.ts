import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  addCrlSource,
  applyCrlToDevices,
  type CrlSource,
  fetchCrlSource,
  getCrlSource,
  listAuthorities,
  listDenied,
  type OperationInput,
  removeCrlSource,
  uploadCrl,
  uuidv7,
} from '@signet/contracts';
import { peerDenyKeys } from '@signet/denylist';
import { parseCertificatePem } from '@signet/pki';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openTestGround, peer, type TestGround } from './authority.ts';
import { OpensslCa } from './pki.ts';

type Told = { number: string; listed: { serialNumber: string; reason: string }[]; unlisted: string[] };

let ground: TestGround;
let ca: OpensslCa;
let issuer: string;
let issuerKeyId: string;
let told: Told[];
let events: { type: string; data: Record<string, unknown> }[];
let answer: RequestListener;
let url: string;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  ground = stack.use(await openTestGround());
  ground.clock.now = Date.now();
  ca = stack.use(await OpensslCa.create());
  issuer = await ca.certificate;
  const certificate = parseCertificatePem(issuer);
  issuerKeyId = certificate.subjectKeyId ?? '';
  told = [];
  events = [];
  const authority = {
    ...{ authorityId: 'maker-1', kind: 'factory' as const, account: 'acme', state: 'active' as const },
    ...{ certificate: issuer, subjectKeyId: issuerKeyId, notAfter: '2040-01-01T00:00:00Z' },
  };
  stack.use(await ground.bus.serve(listAuthorities, async () => ({ authorities: [authority] })));
  stack.use(
    await ground.bus.serve(applyCrlToDevices, async ({ number, listed, unlisted }) => {
      told.push({ number, listed, unlisted });
      return { blocked: [], unblocked: [] };
    }),
  );
  stack.use(
    await ground.bus.tail(
      {
        types: ['CRL_SOURCE_CHANGED', 'CRL_SOURCE_REFUSED', 'CRL_SOURCE_STALE', 'CRL_SOURCE_FRESH'],
        from: 'new',
      },
      (event) => void events.push({ type: event.type, data: event.data as Record<string, unknown> }),
    ),
  );
  answer = (_, response) => response.writeHead(404).end();
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  stack.defer(() => server.closeAllConnections());
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => stack.disposeAsync());

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 10 });
const name = { account: 'acme', name: 'maker' };
const start = (overrides: Record<string, unknown> = {}) =>
  ground.start({}, { SIGNET_OUTWARD_PRIVATE: 'true', ...overrides });
const add = (more: Partial<OperationInput<typeof addCrlSource>> = {}) =>
  ground.bus.request(addCrlSource, { ...name, issuer, everySeconds: 86_400, by: 'ada', ...more });
const serving = (crl: () => Buffer, headers: Record<string, string> = {}) => {
  answer = (_, response) => response.writeHead(200, headers).end(crl());
};
const fetchNow = async () => {
  await until(async () => {
    expect((await ground.bus.request(getCrlSource, name)).parts.length).toBeGreaterThan(0);
  });
  return untilFree(() => ground.bus.request(fetchCrlSource, name));
};

async function untilFree(work: () => Promise<CrlSource>): Promise<CrlSource> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if ((error as { code?: string }).code !== 'crl-source-busy') throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

async function upload(crl: Buffer, pieceSize = 512 * 1024): Promise<CrlSource> {
  const uploadId = uuidv7(Date.now());
  for (let at = 0; ; at += pieceSize) {
    const isLast = at + pieceSize >= crl.length;
    const content = crl.subarray(at, at + pieceSize).toString('base64');
    const piece = { ...name, uploadId, index: at / pieceSize, content, isLast };
    const { source } = await ground.bus.request(uploadCrl, piece, { deadlineMs: 60_000 });
    if (source !== undefined) return source;
  }
}

const foreign = (serialNumber: string) => ({ ...peer(1), issuerKeyId, serialNumber });
const DENIED = 'deny list: its certificate is denied';

describe('a CRL of a foreign PKI', () => {
  it('F30: what openssl lists is denied with the number of the CRL, and its devices are told of', async () => {
    await start();
    const { list } = await ground.listener();
    const [one, two] = [await ca.sign('one'), await ca.sign('two')];
    await ca.revoke('one');
    await add();
    const source = await upload(await ca.crl());
    expect(source.parts).toMatchObject([{ name: 'upload', number: '10', entries: 1 }]);
    await until(() => expect(list.denied(foreign(one))).toBe(DENIED));
    expect(list.denied(foreign(two))).toBeUndefined();
    expect(told).toEqual([
      { number: '10', listed: [{ serialNumber: one, reason: 'keyCompromise' }], unlisted: [] },
    ]);
    const { items } = await ground.bus.request(listDenied, { account: 'acme' });
    expect(items).toMatchObject([{ reason: 'keyCompromise', source: 'CRL 10 of "maker"' }]);
    await until(() =>
      expect(events).toEqual([
        {
          type: 'CRL_SOURCE_CHANGED',
          data: { source: 'maker', part: 'upload', number: '10', entries: 1, listed: 1, unlisted: 0 },
        },
      ]),
    );
  });

  it('lifts what leaves it, and only that; removing the source lifts all', async () => {
    await start();
    const { list } = await ground.listener();
    const [one, two] = [await ca.sign('one'), await ca.sign('two')];
    for (const device of ['one', 'two']) await ca.revoke(device, 'certificateHold');
    await add();
    await upload(await ca.crl());
    await ca.unrevoke('one');
    await upload(await ca.crl());
    await until(() => expect(list.denied(foreign(one))).toBeUndefined());
    expect(list.denied(foreign(two))).toBe(DENIED);
    expect(told.at(-1)).toEqual({ number: '11', listed: [], unlisted: [one] });
    const { lifted } = await ground.bus.request(removeCrlSource, { ...name, by: 'ada' });
    expect(lifted).toBe(1);
    await until(() => expect(list.size()).toBe(0));
    await expect(ground.bus.request(getCrlSource, name)).rejects.toMatchObject({
      code: 'unknown-crl-source',
    });
  });

  it('of which a delta is taken only with its base, and removeFromCRL in it lifts', async () => {
    await start();
    const { list } = await ground.listener();
    const [one, two] = [await ca.sign('one'), await ca.sign('two')];
    await add();
    await ca.revoke('one', 'certificateHold');
    const base = await ca.crl({ number: '0A' });
    await ca.revoke('two');
    const delta = await ca.crl({ extensions: 'delta_ext', number: '0B' });
    await expect(upload(delta)).rejects.toMatchObject({
      code: 'crl-refused',
      message: 'base-missing: deltaCRLIndicator: goes with CRL 10, the complete one here is missing',
    });
    await upload(base);
    expect((await upload(delta)).parts).toMatchObject([{ number: '11', entries: 2 }]);
    await until(() => expect(list.denied(foreign(two))).toBe(DENIED));
    await ca.revoke('one', 'removeFromCRL').catch(() => undefined);
    expect(list.denied(foreign(one))).toBe(DENIED);
  });

  it('in partitions: each speaks of its own certificates, and none stands in for another', async () => {
    await start();
    const { list } = await ground.listener();
    const one = await ca.sign('one');
    await ca.revoke('one');
    const full = await ca.crl({ extensions: 'part_a' });
    await ca.unrevoke('one');
    const empty = await ca.crl({ extensions: 'part_b' });
    let b = empty;
    answer = (request, response) => response.end(request.url === '/a.crl' ? full : b);
    await add({ urls: [`${url}/a.crl`, `${url}/b.crl`] });
    const source = await fetchNow();
    expect(source.parts).toMatchObject([{ entries: 1 }, { entries: 0 }]);
    await until(() => expect(list.denied(foreign(one))).toBe(DENIED));
    b = await ca.crl({ extensions: 'part_a' });
    expect((await fetchNow()).parts[1]?.error).toMatchObject({ code: 'other-scope' });
    expect(list.denied(foreign(one))).toBe(DENIED);
  });

  it('is asked for with the validators of the last, and not read again where it is the same', async () => {
    await start();
    const crl = await ca.crl();
    const asked: (string | undefined)[] = [];
    answer = (request, response) => {
      asked.push(request.headers['if-none-match']);
      if (request.headers['if-none-match'] === '"a"') response.writeHead(304).end();
      else response.writeHead(200, { etag: '"a"' }).end(crl);
    };
    await add({ urls: [`${url}/a.crl`] });
    await fetchNow();
    const source = await fetchNow();
    expect(asked[0]).toBeUndefined();
    expect(asked.at(-1)).toBe('"a"');
    expect(source.parts).toMatchObject([{ number: '10' }]);
    const wait = Date.parse(source.nextFetchAt ?? '') - ground.clock.now;
    expect(wait).toBeGreaterThanOrEqual(86_400_000 * 0.9);
    expect(wait).toBeLessThanOrEqual(86_400_000 * 1.1);
  });
});

describe('a CRL that means harm changes nothing, and is reported', () => {
  async function accepted() {
    await start({ SIGNET_CRL_MAX_MEGABYTES: '1', SIGNET_CRL_FETCH_SECONDS: '1' });
    const { list } = await ground.listener();
    const one = await ca.sign('one');
    await ca.revoke('one');
    const good = await ca.crl();
    serving(() => good);
    await add({ urls: [`${url}/a.crl`] });
    await fetchNow();
    await until(() => expect(list.denied(foreign(one))).toBe(DENIED));
    const refused = async (code: string) => {
      const { parts } = await fetchNow();
      expect(parts[0]?.error?.code).toBe(code);
      expect(parts[0]).toMatchObject({ number: '10', entries: 1 });
      expect(list.denied(foreign(one))).toBe(DENIED);
      expect(list.size()).toBe(1);
      await until(() => expect(events.map(({ data }) => data.code)).toContain(code));
      return parts[0]?.error?.message ?? '';
    };
    return { refused, good };
  }

  it('of another issuer, and of another CA of the same name', async () => {
    const { refused } = await accepted();
    await using other = await OpensslCa.create('/CN=Other');
    const crl = await other.crl();
    serving(() => crl);
    expect(await refused('wrong-issuer')).toBe('issuer: it is not the name of the pinned issuer');
    await using twin = await OpensslCa.create();
    const forged = await twin.crl({ number: '50' });
    serving(() => forged);
    expect(await refused('bad-signature')).toBe('signature: it is not one of the pinned issuer');
  });

  it('an older number, and an indirect CRL', async () => {
    const { refused } = await accepted();
    const old = await ca.crl({ number: '05' });
    serving(() => old);
    expect(await refused('older-number')).toBe('cRLNumber: 5 is older than 10');
    const indirect = await ca.crl({ extensions: 'indirect', number: '60' });
    serving(() => indirect);
    expect(await refused('not-understood')).toBe('CRL: critical extension 2.5.29.28 is not known');
  });

  it('one that has ended, and one that is yet to begin', async () => {
    const { refused } = await accepted();
    const next = await ca.crl();
    serving(() => next);
    ground.clock.now += 8 * 86_400_000;
    expect(await refused('expired')).toMatch(/^nextUpdate: it ended at /);
    ground.clock.now -= 16 * 86_400_000;
    expect(await refused('not-yet-valid')).toMatch(/^thisUpdate: .* is yet to come$/);
  });

  it('huge, slow, cut off, garbage, an error, and a redirect inwards', async () => {
    const { refused, good } = await accepted();
    serving(() => Buffer.alloc(2 * 1_048_576));
    await refused('too-large');
    answer = (_, response) => {
      const drip = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(drip));
    };
    await refused('unreachable');
    serving(() => good.subarray(0, good.length / 2));
    await refused('malformed');
    answer = (_, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
    expect(await refused('unreachable')).toBe(`${url}/a.crl: HTTP 302`);
    const refusals = events.filter(({ type }) => type === 'CRL_SOURCE_REFUSED');
    expect(refusals.map(({ data }) => data.code)).toEqual([
      'too-large',
      'unreachable',
      'malformed',
      'unreachable',
    ]);
  });

  it('at a private address, where those are not allowed', async () => {
    await start({ SIGNET_OUTWARD_PRIVATE: 'false' });
    const crl = await ca.crl();
    serving(() => crl);
    await add({ urls: [`${url}/a.crl`] });
    const { parts } = await fetchNow();
    expect(parts[0]?.error).toMatchObject({
      code: 'unreachable',
      message: `${url}/a.crl: 127.0.0.1 is a private address; SIGNET_OUTWARD_PRIVATE allows them`,
    });
  });

  it('F66: of a CA that is not the account’s own cannot be followed at all', async () => {
    await start();
    await using other = await OpensslCa.create('/CN=Other');
    await expect(add({ issuer: await other.certificate })).rejects.toMatchObject({
      code: 'foreign-issuer',
      message: 'issuer: account "acme" has no CA with this key',
    });
  });
});

describe('a source whose CRL is past its end', () => {
  it('F30: refuses new sessions of its CA where that is wanted, leaves live ones, and recovers', async () => {
    await start();
    const { list, sessions } = await ground.listener();
    await add({ whenStale: 'refuse-new' });
    await upload(await ca.crl());
    const facts = foreign('77');
    expect(list.denied(facts)).toBeUndefined();
    let ended = false;
    sessions.enter({
      keys: peerDenyKeys(facts),
      notAfter: ground.clock.now + 1e12,
      end: () => {
        ended = true;
      },
    });
    ground.clock.now += 8 * 86_400_000;
    await until(() => expect(list.denied(facts)).toBe('deny list: its ca is denied'));
    expect(ended).toBe(false);
    await until(() =>
      expect(events.at(-1)).toEqual({
        type: 'CRL_SOURCE_STALE',
        data: { source: 'maker', whenStale: 'refuse-new' },
      }),
    );
    const report = await ground.health.report();
    expect(report.checks['revocation-sync.crl-sources']).toEqual({
      ok: true,
      reason: 'CRL sources past their end: acme.maker',
    });
    ground.clock.now -= 8 * 86_400_000;
    await until(() => expect(list.denied(facts)).toBeUndefined());
    await until(() => expect(events.at(-1)?.type).toBe('CRL_SOURCE_FRESH'));
  });
});
