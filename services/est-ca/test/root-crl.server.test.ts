import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuthorityDetails,
  createAuthorities,
  describeAuthorities,
  finishRootReplacement,
  replaceRoot,
  setAuthorityState,
} from '@signet/contracts';
import { encodePem, parseCertificatePem, parseCrl, verifyCrlSignature } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { authorities } from '../src/domain/authority/authority.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { run } from './support/run.ts';
import { enrolledDevice } from './support/scene.ts';

let time = Date.now();
let est: EstFixture;
let folder: string;
beforeAll(async () => {
  est = await openEstFixture({
    now: () => time,
    env: { SIGNET_EST_CRL_CACHE_SECONDS: '0', SIGNET_EST_OCSP_CACHE_SECONDS: '0' },
  });
  folder = await mkdtemp(join(tmpdir(), 'signet-root-crl-'));
});
afterAll(async () => {
  await est?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const by = 'ada';
const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
  est.fixture.deps.bus.request(...args);
const fetched = async (url: string) => new Uint8Array(await (await fetch(url)).arrayBuffer());

async function made(account: string) {
  const { authorities } = await request(createAuthorities, { account, by });
  const ofKind = (kind: AuthorityDetails['kind']) => {
    const found = authorities.find((authority) => authority.kind === kind);
    if (found === undefined) throw new Error(`no ${kind}`);
    return { id: found.authorityId, certificate: parseCertificatePem(found.certificate) };
  };
  return { root: ofKind('root'), issuing: ofKind('issuing'), factory: ofKind('factory') };
}

/** Sets the state of a CA, a second after whatever was before. */
function set(account: string, authorityId: string, state: 'active' | 'disabled' | 'revoked') {
  time += 2000;
  const reason = state === 'revoked' ? { revocationReason: 'cACompromise' as const } : {};
  return request(setAuthorityState, { account, authorityId, state, ...reason, by });
}

/** The CRL of a root, once it says of this serial number what is wanted. */
async function listing(rootId: string, serialNumber: string, wanted: string | undefined) {
  const url = `http://127.0.0.1:${est.service.httpPort}/crl/${rootId}.crl`;
  return vi.waitFor(
    async () => {
      const der = await fetched(url);
      const entry = parseCrl(der).entries.find((one) => one.serialNumber === serialNumber);
      expect(entry === undefined ? undefined : (entry.reason ?? 'unspecified')).toBe(wanted);
      return der;
    },
    { timeout: 10_000 },
  );
}

const file = async (name: string, text: string) => {
  await writeFile(join(folder, name), text);
  return name;
};

async function opensslVerify(
  leaf: string,
  chain: { root: string; issuing: string },
  crls: readonly Uint8Array[],
): Promise<string> {
  await file('crls.pem', crls.map((der) => encodePem('X509 CRL', der)).join(''));
  const { stdout, stderr } = await run(
    'openssl',
    [
      ...['verify', '-x509_strict', '-crl_check_all', '-CRLfile', 'crls.pem'],
      ...['-attime', String(Math.floor(time / 1000) + 1)],
      ...['-CAfile', await file('root.pem', chain.root), '-untrusted', await file('ca.pem', chain.issuing)],
      await file('leaf.pem', leaf),
    ],
    { cwd: folder },
  );
  return stdout.toString() + stderr;
}

async function opensslOcsp(root: string, certificate: string): Promise<string> {
  const { stdout, stderr } = await run(
    'openssl',
    [
      ...['ocsp', '-issuer', await file('root.pem', root), '-cert', await file('ca.pem', certificate)],
      ...['-CAfile', 'root.pem', '-url', `http://127.0.0.1:${est.service.httpPort}/ocsp`],
    ],
    { cwd: folder },
  );
  return stdout.toString() + stderr;
}

describe('a root that Signet keeps', () => {
  it('F43: what it certifies names its CRL, its certificate and OCSP (RFC 5280 §4.2.1.13, §4.2.2.1); it itself names none', async () => {
    const { root, issuing, factory } = await made('named');
    const base = `http://localhost:${est.service.httpPort}`;
    for (const { certificate } of [issuing, factory]) {
      expect(certificate.crlUrls).toEqual([`${base}/crl/${root.id}.crl`]);
      expect(certificate.caIssuerUrls).toEqual([`${base}/ca/${root.id}.cer`]);
      expect(certificate.ocspUrls).toEqual([`${base}/ocsp`]);
    }
    expect([root.certificate.crlUrls, root.certificate.ocspUrls]).toEqual([[], []]);
    const platform = est.fixture.deps.admission.trust.authorities().find(({ kind }) => kind === 'server');
    expect(parseCertificatePem(platform?.certificate ?? '').crlUrls).toEqual([`${base}/crl/root.crl`]);
  });

  it('F49: lists a disabled CA on hold, takes it off when it is back, and lists a revoked one for good; OCSP says the same, and openssl believes both', async () => {
    const account = 'listed';
    const { root, issuing, factory } = await made(account);
    const { issued } = await enrolledDevice(est, 'dev-listed', account);
    const chain = { root: root.certificate.pem(), issuing: issuing.certificate.pem() };
    const serial = issuing.certificate.serialNumber;
    const ofIssuing = `http://127.0.0.1:${est.service.httpPort}/crl/${issuing.id}.crl`;

    const clean = await listing(root.id, serial, undefined);
    expect(verifyCrlSignature(parseCrl(clean), root.certificate)).toBe(true);
    expect(await opensslVerify(issued.pem(), chain, [clean, await fetched(ofIssuing)])).toContain(': OK');
    expect(await opensslOcsp(chain.root, chain.issuing)).toMatch(/: good[\s\S]*Response verify OK/);

    await set(account, issuing.id, 'disabled');
    const held = await listing(root.id, serial, 'certificateHold');
    expect(await opensslVerify(issued.pem(), chain, [held, await fetched(ofIssuing)])).toMatch(/revoked/);
    await vi.waitFor(async () =>
      expect(await opensslOcsp(chain.root, chain.issuing)).toMatch(/revoked[\s\S]*certificateHold/),
    );

    await set(account, issuing.id, 'active');
    const lifted = await listing(root.id, serial, undefined);
    expect(parseCrl(lifted).number).toBeGreaterThan(parseCrl(held).number ?? 0n);
    await vi.waitFor(async () => expect(await opensslOcsp(chain.root, chain.issuing)).toMatch(/: good/));

    await set(account, issuing.id, 'revoked');
    const gone = await listing(root.id, serial, 'cACompromise');
    expect(await opensslVerify(issued.pem(), chain, [gone, await fetched(ofIssuing)])).toMatch(/revoked/);
    await vi.waitFor(async () =>
      expect(await opensslOcsp(chain.root, chain.issuing)).toMatch(/revoked[\s\S]*[cC]ACompromise/),
    );
    expect(await opensslOcsp(chain.root, factory.certificate.pem())).toMatch(/: good/);
    const foreign = await made('foreign');
    expect(await opensslOcsp(chain.root, foreign.issuing.certificate.pem())).toMatch(/unknown|unauthorized/);
  });

  it('F85: of a CA that went on under a new root both roots list what they signed', async () => {
    const account = 'moved';
    const { root, issuing } = await made(account);
    const { authority: next } = await request(replaceRoot, { account, by });
    await request(finishRootReplacement, { account, by });
    const described = await request(describeAuthorities, { account });
    const moved = described.authorities.find(({ authorityId }) => authorityId === issuing.id);
    const second = parseCertificatePem(moved?.certificate ?? '');
    expect(second.crlUrls[0]).toContain(next.authorityId);
    await set(account, issuing.id, 'revoked');
    await listing(root.id, issuing.certificate.serialNumber, 'cACompromise');
    await listing(next.authorityId, second.serialNumber, 'cACompromise');

    await set(account, root.id, 'revoked');
    const stored = await (await est.fixture.deps.store.collection(authorities)).get(next.authorityId);
    const oldWithNew = parseCertificatePem(stored?.crossCertificates?.oldWithNew ?? '');
    await listing(next.authorityId, oldWithNew.serialNumber, 'cACompromise');
  });
});
