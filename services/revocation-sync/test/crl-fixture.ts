import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Authority,
  addCrlSource,
  applyCrlToDevices,
  type CrlSource,
  fetchCrlSource,
  getCrlSource,
  identifyCertificates,
  listAuthorities,
  type OperationInput,
  removeCrlSource,
  uploadCrl,
  uuidv7,
} from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { vi } from 'vitest';
import { openTestFixture, peer, type TestFixture } from './authority.ts';
import { OpensslCa } from './pki.ts';

export type Told = Omit<OperationInput<typeof applyCrlToDevices>, 'account' | 'source' | 'issuerKeyId'>;
type Said = { readonly type: string; readonly data: Record<string, unknown> };

/** The source of the tests: it follows {@link CrlFixture.ca}. */
export const MAKER = { account: 'acme', name: 'maker' };
export const DENIED = 'deny list: its certificate is denied';

export const until = (check: () => void | Promise<void>) =>
  vi.waitFor(check, { timeout: 30_000, interval: 10 });

/** The authority with a foreign CA of openssl's making, a server of its CRLs, and stand-ins for whom it tells and asks. */
export interface CrlFixture extends AsyncDisposable {
  readonly fixture: TestFixture;
  readonly ca: OpensslCa;
  readonly issuerKeyId: string;
  /** What is known of that CA; to be changed before the start. */
  readonly authority: Authority;
  /** What the owner of the devices was told, in order. */
  readonly told: Told[];
  /** Events about CRL sources, in order. */
  readonly events: Said[];
  /** What est-ca issued with the key of that CA. */
  readonly issued: { serialNumber: string; account: string; deviceId: string }[];
  /** Where CRLs are served. */
  readonly url: string;
  answer: RequestListener;
  serve(crl: () => Buffer, headers?: Record<string, string>): void;
  start(settings?: Record<string, unknown>): Promise<AsyncDisposable>;
  add(more?: Partial<OperationInput<typeof addCrlSource>>): Promise<CrlSource>;
  /** Asks for its CRLs now, after the first time that it does so by itself. */
  fetch(): Promise<CrlSource>;
  upload(crl: Buffer, pieceSize?: number): Promise<CrlSource>;
  remove(): Promise<number>;
  /** As operators see it. */
  source(): Promise<CrlSource>;
  /** Repeats what found somebody else at work on the source. */
  whenFree<T>(work: () => Promise<T>): Promise<T>;
  /** What a listener knows of a peer with a certificate of that CA. */
  foreign(serialNumber: string): ReturnType<typeof peer>;
}

export async function openCrlFixture(kind: 'factory' | 'issuing' = 'factory'): Promise<CrlFixture> {
  await using stack = new AsyncDisposableStack();
  const fixture = stack.use(await openTestFixture());
  fixture.clock.now = Date.now();
  const ca = stack.use(await OpensslCa.create());
  const issuer = await ca.certificate;
  const issuerKeyId = parseCertificatePem(issuer).subjectKeyId ?? '';
  const authority: Authority = {
    ...{ authorityId: 'maker-1', kind, account: 'acme', state: 'active' },
    ...{ certificate: issuer, subjectKeyId: issuerKeyId, notAfter: '2040-01-01T00:00:00Z' },
  };
  const told: Told[] = [];
  const events: Said[] = [];
  const issued: CrlFixture['issued'] = [];
  const { bus } = fixture;
  stack.use(await bus.serve(listAuthorities, async () => ({ authorities: [authority] })));
  stack.use(
    await bus.serve(identifyCertificates, async ({ serialNumbers }) => ({
      certificates: issued.filter(({ serialNumber }) => serialNumbers.includes(serialNumber)),
    })),
  );
  stack.use(
    await bus.serve(applyCrlToDevices, async ({ account, source, issuerKeyId, ...said }) => {
      told.push(said);
      return { blocked: [], unblocked: [] };
    }),
  );
  const types = ['CRL_SOURCE_CHANGED', 'CRL_SOURCE_REFUSED', 'CRL_SOURCE_STALE', 'CRL_SOURCE_FRESH'] as const;
  stack.use(
    await bus.tail({ types, from: 'new' }, ({ type, data }) => {
      events.push({ type, data: data as Record<string, unknown> });
    }),
  );
  const server = createServer((request, response) => made.answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  stack.defer(() => server.closeAllConnections());
  const rest = stack.move();
  const made: CrlFixture = {
    ...{ fixture, ca, issuerKeyId, authority, told, events, issued },
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (_, response) => response.writeHead(404).end(),
    serve(crl, headers = {}) {
      made.answer = (_, response) => response.writeHead(200, headers).end(crl());
    },
    start: (settings = {}) => fixture.start({}, { SIGNET_OUTWARD_PRIVATE: 'true', ...settings }),
    add: (more = {}) =>
      bus.request(addCrlSource, { ...MAKER, issuer, everySeconds: 86_400, by: 'ada', ...more }),
    async fetch() {
      const isAsked = async () => (await bus.request(getCrlSource, MAKER)).parts.length > 0;
      await vi.waitUntil(isAsked, { timeout: 30_000, interval: 10 });
      return whenFree(() => bus.request(fetchCrlSource, MAKER, { deadlineMs: 60_000 }));
    },
    async upload(crl, pieceSize = 512 * 1024) {
      const uploadId = uuidv7(Date.now());
      for (let at = 0; ; at += pieceSize) {
        const isLast = at + pieceSize >= crl.length;
        const content = crl.subarray(at, at + pieceSize).toString('base64');
        const piece = { ...MAKER, uploadId, index: at / pieceSize, content, isLast };
        const { source } = await whenFree(() => bus.request(uploadCrl, piece, { deadlineMs: 60_000 }));
        if (source !== undefined) return source;
      }
    },
    async remove() {
      const asked = { ...MAKER, by: 'ada' };
      const remove = () => bus.request(removeCrlSource, asked, { deadlineMs: 60_000 });
      return (await whenFree(remove)).lifted;
    },
    source: () => bus.request(getCrlSource, MAKER),
    whenFree,
    foreign: (serialNumber) => ({ ...peer(1), issuerKeyId, serialNumber }),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
  return made;
}

/** Waits for whoever works on the source to be done with it. */
async function whenFree<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if ((error as { code?: string }).code !== 'crl-source-busy') throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
