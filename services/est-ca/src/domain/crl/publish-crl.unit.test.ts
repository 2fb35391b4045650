import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Crl, encodeSegment, issuerFrom, parseCrl, verifyCrlSignature } from '@signet/pki';
import { createTestPki } from '@signet/pki/testing';
import { openStore, type Store, StoreError } from '@signet/store';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SigningCa } from '../authority/issuer-registry.ts';
import { isInScope, scopesOf, wholeScope } from '../authority/revocation-urls.ts';
import { type Certificates, certificates } from '../certificate/certificate.ts';
import { releaseCertificate, revokeCertificate } from '../certificate/revocation.ts';
import { compareCrl, isComparisonDue } from './compare-crl.ts';
import {
  type CrlChunks,
  type CrlFiles,
  type CrlState,
  type CrlStates,
  crlChunks,
  crlFiles,
  crlStates,
  knownScopes,
  latestState,
  removeOrphans,
  removeReplaced,
} from './crl-store.ts';
import { type CrlDeps, crlPublisher, publishCrl } from './publish-crl.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
let time = Date.UTC(2026, 5, 1);
const pki = createTestPki({ now: time });
const directory = mkdtempSync(join(tmpdir(), 'signet-crl-domain-'));
let store: Store;
let records: Certificates;
let states: CrlStates;
let chunks: CrlChunks;
let files: CrlFiles;
let deps: CrlDeps;
beforeAll(async () => {
  store = await openStore({ url: `sqlite:${join(directory, 'x.db')}`, publish: async () => undefined });
  records = await store.collection(certificates);
  states = await store.collection(crlStates);
  chunks = await store.collection(crlChunks);
  files = crlFiles(chunks, () => time);
  deps = {
    certificates: records,
    states,
    files,
    urls: { crlOf: (id) => `http://ca.test/${id}.crl`, deltaOf: (id) => `http://ca.test/${id}.delta.crl` },
    lifetimeMs: DAY,
    deltaLifetimeMs: HOUR,
    newToken: randomUUID,
    now: () => time,
  };
});
afterAll(async () => {
  await store?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

let lines = 0;
/** A CA of its own to the store: a new id, with name and key of the test PKI. */
function newAuthority(): SigningCa {
  const { certificate, signer, pem } = pki.issuing;
  return {
    certificate,
    signer,
    issuer: issuerFrom(certificate),
    document: {
      id: `ca-${++lines}`,
      kind: 'issuing',
      account: 'acme',
      state: 'active',
      certificate: pem,
      parent: 'root',
      subjectKeyId: certificate.subjectKeyId ?? '',
      notAfter: new Date(certificate.notAfter).toISOString(),
      createdAt: new Date(time).toISOString(),
    },
  };
}

async function issued({ document }: SigningCa, validityMs = 90 * DAY): Promise<string> {
  const serialNumber = `5a${randomBytes(15).toString('hex')}`;
  await records.insert({
    id: serialNumber,
    serialNumber,
    account: 'acme',
    deviceId: 'dev',
    profile: 'acme',
    certificate: document.certificate,
    fingerprint: randomBytes(32).toString('hex'),
    publicKeyHash: randomBytes(32).toString('hex'),
    issuerKeyId: document.subjectKeyId,
    authorityId: document.id,
    issuedAt: new Date(time).toISOString(),
    notBefore: new Date(time).toISOString(),
    notAfter: new Date(time + validityMs).toISOString(),
  });
  return serialNumber;
}

const revoke = (serial: string, reason: 'superseded' | 'certificateHold' | 'keyCompromise' = 'superseded') =>
  revokeCertificate(records, serial, { reason, by: 'test', at: time });

async function read(state: CrlState, kind: 'complete' | 'delta' = 'complete'): Promise<Crl> {
  const crl = parseCrl(await files.der(state.scopeId, state[kind]));
  expect(verifyCrlSignature(crl, pki.issuing.certificate)).toBe(true);
  expect(crl.unknownCritical).toEqual([]);
  expect(crl.entries).toHaveLength(state[kind].entries);
  return crl;
}

/** What somebody knows who has this complete CRL and this delta (RFC 5280 §5.2.4). */
function combined(complete: Crl, delta: Crl): Set<string> {
  expect(delta.baseNumber).toBeLessThanOrEqual(complete.number ?? 0n);
  const listed = new Set(complete.entries.map(({ serialNumber }) => serialNumber));
  for (const { serialNumber, reason } of delta.entries)
    if (reason === 'removeFromCRL') listed.delete(serialNumber);
    else listed.add(serialNumber);
  return listed;
}

describe('the CRLs of a CA', () => {
  it('name their deltas, and a delta names the complete CRL that it goes with', async () => {
    const authority = newAuthority();
    const state = await publishCrl(deps, authority, wholeScope(authority.document.id));
    const complete = await read(state);
    expect(complete).toMatchObject({
      number: 1n,
      entries: [],
      freshestUrls: [`http://ca.test/${authority.document.id}.delta.crl`],
    });
    expect(complete.baseNumber).toBeUndefined();
    expect(complete.scope).toBeUndefined();
    expect(await read(state, 'delta')).toMatchObject({ number: 1n, baseNumber: 1n, entries: [] });
  });

  it('list what is revoked, whoever has the complete CRL on schedule and the delta of the moment', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    const scheduled = await read(await publishCrl(deps, authority, scope));
    const serial = await issued(authority);
    time += 1000;
    await revoke(serial, 'keyCompromise');
    const state = await publishCrl(deps, authority, scope);
    const delta = await read(state, 'delta');
    expect(delta.entries).toMatchObject([{ serialNumber: serial, reason: 'keyCompromise' }]);
    expect(combined(scheduled, delta)).toEqual(new Set([serial]));
    expect((await read(state)).entries.map(({ serialNumber }) => serialNumber)).toEqual([serial]);
    expect((await publishCrl(deps, authority, scope)).number).toBe(state.number);
  });

  it('take a certificate off with removeFromCRL when its hold is lifted, and list it again for good', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    const serial = await issued(authority);
    await revoke(serial, 'certificateHold');
    const scheduled = await read(await publishCrl(deps, authority, scope));
    expect(scheduled.entries).toMatchObject([{ reason: 'certificateHold' }]);
    time += 2000;
    expect(await releaseCertificate(records, serial, { by: 'test', at: time })).toBe('released');
    const lifted = await publishCrl(deps, authority, scope);
    const delta = await read(lifted, 'delta');
    expect(delta.entries).toMatchObject([{ serialNumber: serial, reason: 'removeFromCRL' }]);
    expect(combined(scheduled, delta)).toEqual(new Set());
    expect((await read(lifted)).entries).toEqual([]);
    time += 2000;
    await revoke(serial, 'keyCompromise');
    const again = await publishCrl(deps, authority, scope);
    expect((await read(again)).entries).toMatchObject([{ serialNumber: serial, reason: 'keyCompromise' }]);
    expect(combined(scheduled, await read(again, 'delta'))).toEqual(new Set([serial]));
  });

  it('keep an expired certificate until one on schedule has listed it past its end (RFC 5280 §3.3)', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    await revoke(await issued(authority, HOUR));
    const lasting = await issued(authority);
    await revoke(lasting);
    await publishCrl(deps, authority, scope);
    time += DAY / 2;
    expect((await read(await publishCrl(deps, authority, scope))).entries).toHaveLength(2);
    time += DAY / 2;
    const state = await publishCrl(deps, authority, scope);
    expect((await read(state)).entries.map(({ serialNumber }) => serialNumber)).toEqual([lasting]);
    expect(state.number).toBe(3);
  });

  it('list what came to the store long after the time that it bears, once its event says so', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    const late = { serialNumber: await issued(authority), notAfter: time + 90 * DAY, revokedAt: time };
    time += HOUR / 4;
    await publishCrl(deps, authority, scope);
    await revokeCertificate(records, late.serialNumber, {
      reason: 'unspecified',
      by: 'test',
      at: late.revokedAt,
    });
    expect((await publishCrl(deps, authority, scope)).complete.entries).toBe(0);
    const state = await publishCrl(deps, authority, scope, { scan: false, serials: [late.serialNumber] });
    expect((await read(state, 'delta')).entries).toMatchObject([{ serialNumber: late.serialNumber }]);
  });

  it('of partitions say so in a critical extension, and together list everything once', async () => {
    const authority = newAuthority();
    const serials = await Promise.all(Array.from({ length: 12 }, () => issued(authority)));
    for (const serial of serials) await revoke(serial);
    const [whole, ...parts] = scopesOf(authority.document.id, 3);
    const listed: string[] = [];
    for (const scope of parts) {
      const crl = await read(await publishCrl(deps, authority, scope));
      expect(crl.scope).toEqual({ urls: [`http://ca.test/${scope.id}.crl`], onlyUserCerts: true });
      for (const { serialNumber } of crl.entries) expect(isInScope(scope, serialNumber)).toBe(true);
      listed.push(...crl.entries.map(({ serialNumber }) => serialNumber));
    }
    expect(listed.toSorted()).toEqual(serials.toSorted());
    expect(await knownScopes(states, authority.document.id)).toEqual(parts.map(({ id }) => id));
    if (whole === undefined) throw new Error('no complete scope');
    expect((await read(await publishCrl(deps, authority, whole))).entries).toHaveLength(12);
  });

  it('list what is revoked while another replica’s clock is five minutes fast, at once and for good', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    await publishCrl(deps, authority, scope);
    const fast = { ...deps, now: () => time + 300_000 };
    time += 1000;
    await revoke(await issued(authority));
    await publishCrl(fast, authority, scope);
    const serials = await Promise.all(Array.from({ length: 12 }, () => issued(authority)));
    for (const [i, serial] of serials.entries()) {
      time += 20_000;
      await revoke(serial);
      const state = await publishCrl(deps, authority, scope);
      expect(state.complete.entries).toBe(i + 2);
      if (i % 3 === 0) await publishCrl(fast, authority, scope);
    }
  });

  it('take in what an earlier release lost, when they are first held against the records', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    const lost = await Promise.all(Array.from({ length: 5 }, () => issued(authority)));
    const held = await issued(authority);
    await revoke(held, 'certificateHold');
    const first = await publishCrl(deps, authority, scope);
    for (const serial of lost) await revoke(serial);
    expect(await releaseCertificate(records, held, { by: 'test', at: time })).toBe('released');
    time += HOUR / 4;
    await states.update(first.id, (current) => ({
      document: { ...current, coveredUpTo: new Date(time).toISOString() },
    }));
    const missing = await publishCrl(deps, authority, scope);
    expect(missing.complete.entries).toBe(1);
    expect(isComparisonDue(missing, time)).toBe(true);

    const settle = async () => undefined;
    const publisher = crlPublisher(deps);
    const compareDeps = { certificates: records, states, files, publisher, settle, now: () => time };
    expect(await compareCrl(compareDeps, authority, scope)).toBe(6);
    const state = await latestState(states, scope.id);
    if (state === undefined) throw new Error('not published');
    const complete = await read(state);
    expect(new Set(complete.entries.map(({ serialNumber }) => serialNumber))).toEqual(new Set(lost));
    expect(combined(complete, await read(state, 'delta'))).toEqual(new Set(lost));
    expect(isComparisonDue(state, time)).toBe(false);
    expect(isComparisonDue(state, time + HOUR)).toBe(true);
    expect(await compareCrl(compareDeps, authority, scope)).toBe(0);
    expect((await latestState(states, scope.id))?.number).toBe(state.number);
  });

  it('of many entries are made in a thread and lie in chunks below half a MiB, replaced ones removed', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    const serials = Array.from(
      { length: 60_000 },
      (_, i) => `5b${(i + 2 ** 33).toString(16).padStart(30, '0')}`,
    );
    const at = new Date(time).toISOString();
    const one = await records.get(await issued(authority));
    if (one === undefined) throw new Error('not on record');
    const get = async (serial: string) => ({ ...one, id: serial, serialNumber: serial, revokedAt: at });
    const certificates = {
      ...deps.certificates,
      find: records.find.bind(records),
      count: records.count.bind(records),
      get,
    };
    const first = await publishCrl(deps, authority, scope);
    time += DAY / 2;
    await publishCrl({ ...deps, certificates }, authority, scope, { scan: false, serials });
    time += DAY / 2;
    const state = await publishCrl(deps, authority, scope);
    expect(state.complete.entries).toBe(60_000);
    expect((await read(state)).entries).toHaveLength(60_000);
    const { items } = await chunks.find({ prefix: `${scope.id}/` });
    expect(items.length).toBeGreaterThan(8);
    for (const chunk of items) expect(JSON.stringify(chunk).length).toBeLessThan(512 * 1024);

    await files.store(scope.id, 'orphan', {
      head: new Uint8Array(8),
      tail: new Uint8Array(8),
      chunks: [encodeSegment([])],
      entries: 0,
      bytes: 0,
    });
    time += 2 * HOUR;
    while ((await states.count({ prefix: `${scope.id}/` })) > 1)
      await removeReplaced({ files, states, now: () => time }, scope.id);
    await removeOrphans({ files, states, now: () => time }, scope.id);
    const left = await chunks.find({ prefix: `${scope.id}/` });
    const tokens = new Set(left.items.map(({ id }) => id.split('/')[1]));
    expect(tokens).toEqual(new Set([state.complete.token]));
    expect(tokens).not.toContain(first.complete.token);
    const { items: steps } = await states.find({ prefix: `${scope.id}/` });
    expect(steps.map(({ number }) => number)).toEqual([state.number]);
  });

  it('whose stored list was lost are made anew from the records, under a higher number', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    const serial = await issued(authority);
    await revoke(serial);
    const lost = await publishCrl(deps, authority, scope);
    await files.remove(scope.id, lost.complete);
    time += DAY / 2;
    const state = await publishCrl(deps, authority, scope);
    expect(state.number).toBe(lost.number + 1);
    expect((await read(state)).entries.map(({ serialNumber }) => serialNumber)).toEqual([serial]);
  });

  it('that may have been published although the store failed are left for whoever reads them', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    await revoke(await issued(authority));
    const unheard: CrlDeps = {
      ...deps,
      states: {
        find: (query) => states.find(query),
        update: (id, change) => states.update(id, change),
        insert: async (document, events) => {
          await states.insert(document, events);
          throw new StoreError('unavailable', 'the answer was lost');
        },
      },
    };
    await expect(publishCrl(unheard, authority, scope)).rejects.toMatchObject({ code: 'unavailable' });
    const state = await latestState(states, scope.id);
    if (state === undefined) throw new Error('nothing was published');
    expect((await read(state)).entries).toHaveLength(1);
  });

  it('from replicas that race: each number once, a higher one never lists less, nothing is lost', async () => {
    const authority = newAuthority();
    const scope = wholeScope(authority.document.id);
    const seen = new Map<number, CrlState>();
    const serials = await Promise.all(Array.from({ length: 24 }, () => issued(authority)));
    await Promise.all(
      serials.map(async (serial) => {
        await revoke(serial);
        const state = await publishCrl(deps, authority, scope);
        const known = seen.get(state.number);
        expect(known?.delta.token ?? state.delta.token).toBe(state.delta.token);
        seen.set(state.number, state);
      }),
    );
    let before = new Set<string>();
    for (const [, state] of [...seen].toSorted(([a], [b]) => a - b)) {
      const now = new Set((await read(state)).entries.map(({ serialNumber }) => serialNumber));
      expect(before.isSubsetOf(now)).toBe(true);
      before = now;
    }
    expect(before).toEqual(new Set(serials));
  });

  it('say what the records say, whatever is revoked, held, released and left to pass, in any order', async () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constantFrom('revoke' as const, 'hold' as const, 'release' as const),
        which: fc.nat(4),
      }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1000, HOUR, DAY / 2) }),
      fc.record({ do: fc.constant('publish' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const authority = newAuthority();
        const scope = wholeScope(authority.document.id);
        const serials = await Promise.all(Array.from({ length: 5 }, () => issued(authority)));
        let scheduled = await read(await publishCrl(deps, authority, scope));
        const check = async () => {
          const state = await publishCrl(deps, authority, scope);
          if (state.complete.thisUpdate === state.scheduledAt) scheduled = await read(state);
          const truth = new Set<string>();
          for (const serial of serials)
            if ((await records.get(serial))?.revokedAt !== undefined) truth.add(serial);
          expect(combined(await read(state), await read(state, 'delta'))).toEqual(truth);
          expect(combined(scheduled, await read(state, 'delta'))).toEqual(truth);
        };
        for (const each of steps) {
          time += 1000;
          if (each.do === 'wait') time += each.ms;
          else if (each.do === 'publish') await check();
          else {
            const serial = serials[each.which] as string;
            if (each.do === 'release') await releaseCertificate(records, serial, { by: 'test', at: time });
            else await revoke(serial, each.do === 'hold' ? 'certificateHold' : 'superseded');
          }
        }
        await check();
      }),
      { numRuns: 25 },
    );
  });
});
