import {
  createTemplate,
  encodeName,
  exportSpki,
  generateKeyPair,
  issue,
  issueRoot,
  keySigner,
  newSerialNumber,
  prepare,
  publicKeyHash,
} from '@signet/pki';
import { StoreError } from '@signet/store';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CertificateRecord } from './certificate.ts';
import { type Issuance, issueReserved, type LeafSigner } from './issue.ts';

const now = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

/** Signs for real, and counts. */
let signer: Pick<LeafSigner, 'prepare'> & { signed: number };
beforeAll(async () => {
  const key = keySigner(generateKeyPair('P-256').privateKey);
  const issuer = await issueRoot({
    subject: { commonName: 'Test CA' },
    signer: key,
    issuedAt: now,
    notAfter: now + 365 * DAY_MS,
  });
  const template = createTemplate({ kind: 'operational', issuer, crlUrls: ['http://ca.example/a.crl'] });
  signer = {
    signed: 0,
    prepare({ reservation, subjectDer, spkiDer, subjectAltNames }) {
      const linted = prepare(template, {
        ...{ subjectDer, spkiDer, sans: subjectAltNames, issuedAt: now, notAfter: now + DAY_MS },
        serialNumber: reservation.serialNumber,
      });
      return {
        sign: () => {
          this.signed++;
          return issue(linted, key);
        },
      };
    },
  };
});

/** Documents by id, as every store inserts them; `hideFirst`: what a reader saw before another replica inserted. */
function recorded(options: { hideFirst?: boolean } = {}) {
  const documents = new Map<string, CertificateRecord>();
  let hidden = options.hideFirst === true;
  return {
    documents,
    async get(id: string) {
      if (!hidden) return documents.get(id);
      hidden = false;
      return undefined;
    },
    async find() {
      return { items: [...documents.values()] };
    },
    async insert(document: CertificateRecord) {
      if (documents.has(document.id)) throw new StoreError('duplicate', 'taken', { index: 'id' });
      documents.set(document.id, document);
    },
  };
}

function issuance(serialNumber: string): Issuance {
  const spkiDer = exportSpki(generateKeyPair('P-256').publicKey);
  return {
    account: 'acme',
    deviceId: 'dev-1',
    profile: 'acme',
    basis: { kind: 'entry', entry: { by: 'handoff', identity: 'f0'.repeat(32) } },
    leaf: {
      reservation: {
        serialNumber,
        publicKeyHash: publicKeyHash(spkiDer),
        authorityId: 'issuing',
        issuedAt: new Date(now).toISOString(),
        notAfter: new Date(now + DAY_MS).toISOString(),
      },
      subjectDer: encodeName({ commonName: 'dev-1', organization: 'acme' }),
      spkiDer,
      subjectAltNames: {
        uris: ['spiffe://signet.local/acme/device/dev-1'],
        dns: [],
        ips: [],
        emails: [],
        others: [],
      },
    },
  };
}
const options = { mayBeIssued: true, beforeSigning: async () => {}, claimKey: async () => {} };
const depsOf = (certificates: ReturnType<typeof recorded>) => ({
  certificates,
  signer,
  secretUses: { get: async () => undefined },
  now: () => now,
});

describe('F25: of all certificates under one reserved serial number', () => {
  it('one is recorded; the same key gets it again, and nothing is signed for that', async () => {
    const certificates = recorded();
    const wanted = issuance(newSerialNumber());
    const first = await issueReserved(depsOf(certificates), wanted, options);
    const { signed } = signer;
    const again = await issueReserved(depsOf(certificates), wanted, options);
    expect([first.repeated, again.repeated, signer.signed - signed]).toEqual([false, true, 0]);
    expect(again.record).toEqual(first.record);
  });

  it('another key is refused, and nothing is signed for it', async () => {
    const certificates = recorded();
    const serialNumber = newSerialNumber();
    await issueReserved(depsOf(certificates), issuance(serialNumber), options);
    const { signed } = signer;
    await expect(issueReserved(depsOf(certificates), issuance(serialNumber), options)).rejects.toMatchObject({
      code: 'used-grant',
      message: 'grant: already used at 2026-01-01T00:00:00.000Z with another key; ask for a new handoff',
    });
    expect(signer.signed).toBe(signed);
    expect(certificates.documents.size).toBe(1);
  });

  it('another key that was let through by a replica that came at the same moment is refused by the record', async () => {
    const certificates = recorded({ hideFirst: true });
    const serialNumber = newSerialNumber();
    const { record } = await issueReserved(depsOf(certificates), issuance(serialNumber), {
      ...options,
      mayBeIssued: false,
    });
    await expect(issueReserved(depsOf(certificates), issuance(serialNumber), options)).rejects.toMatchObject({
      code: 'used-grant',
    });
    expect([...certificates.documents.values()]).toEqual([record]);
  });

  it('one that was revoked is not handed out again', async () => {
    const certificates = recorded();
    const wanted = issuance(newSerialNumber());
    const { record } = await issueReserved(depsOf(certificates), wanted, options);
    certificates.documents.set(record.id, { ...record, revokedAt: new Date(now).toISOString() });
    await expect(issueReserved(depsOf(certificates), wanted, options)).rejects.toMatchObject({
      code: 'revoked',
      message: `certificate: ${record.serialNumber}, made for this request, was revoked at 2026-01-01T00:00:00.000Z`,
    });
  });
});
