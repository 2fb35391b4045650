import { createHash } from 'node:crypto';
import type { Bundle } from '@signet/contracts';
import { type Identity, leaf } from '../identity.ts';
import type { KeptCrl } from './crl.ts';
import type { Issuers } from './issuers.ts';
import type { Contents } from './versioned-folder.ts';

/** What workloads take an interest in. */
export const parts = ['certificate', 'trust', 'crl'] as const;
export type Part = (typeof parts)[number];

/** The file that has the key, or what leads to it, by who holds it. */
const KEY_FILE = { file: 'key.pem', tpm: 'key.tss2', pkcs11: 'key.uri' } as const;

/** The files of the shared folder. The same facts give the same files. */
export function sharedContents(facts: {
  readonly bundle: Pick<Bundle, 'account' | 'deviceId' | 'trustAnchors'>;
  readonly identity: Identity;
  readonly issuers: Issuers;
  readonly crl: KeptCrl | undefined;
}): Contents {
  const { bundle, identity, issuers, crl } = facts;
  const certificate = leaf(identity);
  const kind = identity.holder?.kind ?? 'file';
  const key = KEY_FILE[kind];
  const metadata = {
    account: bundle.account,
    deviceId: bundle.deviceId,
    uris: certificate.sans.uris,
    serialNumber: certificate.serialNumber,
    fingerprint: certificate.fingerprint,
    publicKeyHash: certificate.publicKeyHash,
    notBefore: new Date(certificate.notBefore).toISOString(),
    notAfter: new Date(certificate.notAfter).toISOString(),
    chainComplete: issuers.isComplete,
    key: { kind, file: key },
    ...(crl === undefined
      ? {}
      : {
          crl: {
            number: crl.number,
            thisUpdate: new Date(crl.thisUpdate).toISOString(),
            ...(crl.nextUpdate === undefined ? {} : { nextUpdate: new Date(crl.nextUpdate).toISOString() }),
          },
        }),
  };
  return {
    'certificate.pem': [certificate, ...issuers.chain].map((one) => one.pem()).join(''),
    [key]: keyText(kind, identity.key),
    'trust.pem': bundle.trustAnchors.map((pem) => `${pem.trim()}\n`).join(''),
    ...(crl === undefined ? {} : { 'crl.pem': crl.pem }),
    'identity.json': `${JSON.stringify(metadata, undefined, 2)}\n`,
  };
}

/** Where a token has it, the key's URI (RFC 7512) alone: what it takes to use it, the workload has of its own. */
function keyText(kind: keyof typeof KEY_FILE, text: string): string {
  if (kind !== 'pkcs11') return `${text.trim()}\n`;
  return `${text.slice(0, text.indexOf('\n'))};type=private\n`;
}

/** What tells one state of a part from another; empty where there is none. */
export function digestsOf(contents: Contents): Readonly<Record<Part, string>> {
  const key = Object.values(KEY_FILE).map((name) => contents[name] ?? '');
  return {
    certificate: digest([contents['certificate.pem'] ?? '', ...key].join('')),
    trust: digest(contents['trust.pem'] ?? ''),
    crl: digest(contents['crl.pem'] ?? ''),
  };
}

function digest(text: string): string {
  return text === '' ? '' : createHash('sha256').update(text).digest('hex').slice(0, 32);
}
