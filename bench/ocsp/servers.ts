import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { generateKeyPair, keySigner } from '@signet/pki';
import { createLogger, startPlainHttp } from '@signet/service';
import { AnswerCache } from '../../services/est-ca/src/domain/ocsp/answer-cache.ts';
import { answerOcsp, issuersOnRecord } from '../../services/est-ca/src/domain/ocsp/answer-ocsp.ts';
import { ocspResponders } from '../../services/est-ca/src/domain/ocsp/responders.ts';
import { ocspHandler } from '../../services/est-ca/src/http/ocsp/ocsp-handler.ts';
import { DAY_MS, openFixture } from '../crl/fixture.ts';
import { requestFor } from './request.ts';

/** Our responder with one certificate on record, and a plain http server that answers the same bytes: `servers.ts <folder>`. */
const [folder = ''] = process.argv.slice(2);
const now = Date.now;
const fixture = await openFixture(folder, now);
const { authority, records } = fixture;
const serialNumber = `5a${randomBytes(15).toString('hex')}`;
const at = new Date(now()).toISOString();
await records.insert({
  id: serialNumber,
  serialNumber,
  account: 'bench',
  deviceId: 'device',
  profile: 'bench',
  certificate: authority.document.certificate,
  fingerprint: randomBytes(32).toString('hex'),
  publicKeyHash: randomBytes(32).toString('hex'),
  issuerKeyId: authority.document.subjectKeyId,
  authorityId: authority.document.id,
  issuedAt: at,
  notBefore: at,
  notAfter: new Date(now() + 90 * DAY_MS).toISOString(),
});

const signer = keySigner(generateKeyPair('P-256').privateKey);
const onError = (error: unknown) => process.stderr.write(`${String(error)}\n`);
const ocsp = {
  certificates: records,
  certifiedBy: async () => [],
  issuers: issuersOnRecord({
    readAuthorities: async () => [authority.document],
    registry: Promise.resolve({ byId: () => authority }),
    now,
  }),
  serverCertificates: { get: async () => undefined },
  responderOf: ocspResponders({ keys: { openOrCreate: async () => signer }, now, onError }),
  lifetimeMs: 3_600_000,
  freshMs: 300_000,
  now,
  onError,
};
const ours = await startPlainHttp({
  port: 0,
  host: '127.0.0.1',
  log: createLogger({ service: 'bench', level: 'silent' }),
  first: ocspHandler({ cache: new AnswerCache(now), answer: (request) => answerOcsp(ocsp, request) }),
  routes: () => undefined,
});

const path = `/ocsp/${encodeURIComponent(Buffer.from(requestFor(authority.certificate, serialNumber)).toString('base64'))}`;
const answer = await fetch(`http://127.0.0.1:${ours.port}${path}`);
const body = Buffer.from(await answer.arrayBuffer());
const names = ['content-type', 'content-length', 'cache-control', 'etag', 'last-modified', 'expires'];
const headers = Object.fromEntries(names.map((name) => [name, answer.headers.get(name) ?? '']));
const bare = createServer((_request, response) => {
  response.writeHead(200, headers);
  response.end(body);
});
bare.listen(0, '127.0.0.1', () =>
  process.send?.({ path, ours: ours.port, bare: (bare.address() as AddressInfo).port }),
);
process.on('disconnect', () => process.exit());
