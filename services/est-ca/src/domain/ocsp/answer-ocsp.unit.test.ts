import { createHash } from 'node:crypto';
import { issuerFinder, issuerFrom, keySigner, PkiError, parseKey, type Signer } from '@signet/pki';
import { createTestPki, newTestKey } from '@signet/pki/testing';
import { StoreError } from '@signet/store';
import { describe, expect, it } from 'vitest';
import type { SigningCa } from '../authority/issuer-registry.ts';
import type { CertificateRecord } from '../certificate/certificate.ts';
import { AnswerCache } from './answer-cache.ts';
import { answerOcsp, type OcspDeps } from './answer-ocsp.ts';
import { ocspResponders } from './responders.ts';

const DAY = 86_400_000;
let time = Date.UTC(2026, 5, 1);
const { issuing } = createTestPki({ now: time });
const authority = {
  ...{ ...issuing, issuer: issuerFrom(issuing.certificate) },
  document: { id: 'issuing' },
} as unknown as SigningCa;
const responderKey = keySigner(newTestKey());

function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(tag, content.length), content]);
}
const sha1 = (data: Uint8Array) => createHash('sha1').update(data).digest();
const certId = element(
  0x30,
  element(0x30, Buffer.from('06052b0e03021a0500', 'hex')),
  element(0x04, sha1(issuing.certificate.subjectDer)),
  element(0x04, sha1(parseKey(issuing.certificate.spkiDer).bits)),
  element(0x02, Buffer.from('5a01', 'hex')),
);
const request = element(0x30, element(0x30, element(0x30, element(0x30, certId))));

function depsWith(more: Partial<OcspDeps> & { readonly caSigner?: Signer } = {}): OcspDeps {
  const { caSigner, ...rest } = more;
  return {
    certificates: { get: async () => ({ authorityId: 'issuing' }) as CertificateRecord },
    serverCertificates: { get: async () => undefined },
    certifiedBy: async () => [],
    issuers: async () =>
      issuerFinder([caSigner === undefined ? authority : { ...authority, signer: caSigner }]),
    responderOf: ocspResponders({
      keys: { openOrCreate: async () => responderKey },
      now: () => time,
      onError: () => undefined,
    }),
    lifetimeMs: 3_600_000,
    freshMs: 300_000,
    now: () => time,
    onError: () => undefined,
    ...rest,
  };
}

describe('an OCSP request', () => {
  it('is answered tryLater while the store is unavailable, or the key of the CA before there is a responder', async () => {
    const away = new StoreError('unavailable', 'away');
    const storeAway = depsWith({ certificates: { get: () => Promise.reject(away) } });
    expect(await answerOcsp(storeAway, request)).toMatchObject({ failure: 'tryLater' });
    const keyAway: Signer = {
      ...issuing.signer,
      sign: () => Promise.reject(new PkiError('signer-failed', 'unplugged')),
    };
    expect(await answerOcsp(depsWith({ caSigner: keyAway }), request)).toMatchObject({ failure: 'tryLater' });
  });

  it('is answered with the certificate at hand while the key of the CA is unavailable, until that ends', async () => {
    let isAway = false;
    const caSigner: Signer = {
      ...issuing.signer,
      sign: (data) => (isAway ? Promise.reject(new Error('unplugged')) : issuing.signer.sign(data)),
    };
    const deps = depsWith({ caSigner });
    expect((await answerOcsp(deps, request)).failure).toBeUndefined();
    isAway = true;
    time += 6 * DAY;
    expect((await answerOcsp(deps, request)).failure).toBeUndefined();
    time += 2 * DAY;
    expect((await answerOcsp(deps, request)).failure).toBe('tryLater');
    isAway = false;
    expect((await answerOcsp(deps, request)).failure).toBeUndefined();
  });

  it('is an internal error to whoever asks, and told to the operator, where we are at fault', async () => {
    const told: unknown[] = [];
    const broken = depsWith({
      issuers: () => Promise.reject(new TypeError('a mistake')),
      onError: (error) => told.push(error),
    });
    expect(await answerOcsp(broken, request)).toMatchObject({ failure: 'internalError' });
    expect(told).toHaveLength(1);
  });
});

describe('an answer that is kept', () => {
  it('goes when its time is over, or the status of its certificate changes, even while it is made', async () => {
    const cache = new AnswerCache(() => time);
    const reply = await answerOcsp(depsWith(), request);
    expect(reply.fresh?.serialNumber).toBe('5a01');
    cache.keep('asked', cache.state, reply);
    expect(cache.get('asked')).toBe(reply);
    cache.changed('5b');
    expect(cache.get('asked')).toBe(reply);
    cache.changed('5a01');
    expect(cache.get('asked')).toBeUndefined();

    const before = cache.state;
    cache.changed('5a01');
    cache.keep('asked', before, reply);
    expect(cache.get('asked')).toBeUndefined();

    cache.keep('asked', cache.state, reply);
    time += 300_000;
    expect(cache.get('asked')).toBeUndefined();
  });

  it('is not given again once a clock that was ahead is set back, nor is its responder', async () => {
    const deps = depsWith();
    const cache = new AnswerCache(() => time);
    const ahead = 30 * 86_400_000;
    time += ahead;
    cache.keep('asked', cache.state, await answerOcsp(deps, request));
    expect(cache.get('asked')).toBeDefined();
    time -= ahead;
    expect(cache.get('asked')).toBeUndefined();
    expect((await deps.responderOf(authority)).certificate.notBefore).toBeLessThanOrEqual(time);
    const { fresh } = await answerOcsp(deps, request);
    expect(fresh?.thisUpdate).toBe(time);
  });
});
