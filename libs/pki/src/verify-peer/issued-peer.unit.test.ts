import {
  createTemplate,
  exportSpki,
  generateKeyPair,
  issue,
  issueRoot,
  keySigner,
  NO_END,
  prepare,
} from '@signet/pki';
import { expect, it } from 'vitest';
import { issuerSet } from './issuer-set.ts';
import { verifyPeer } from './verify-peer.ts';

const now = Date.UTC(2026, 5, 1);
const YEAR = 365 * 86_400_000;

it.each(['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const)(
  'what our own issuance makes under CAs with keys of %s is admitted, for its own purpose',
  async (type) => {
    const [rootSigner, caSigner] = [generateKeyPair(type), generateKeyPair(type)].map(({ privateKey }) =>
      keySigner(privateKey),
    ) as [ReturnType<typeof keySigner>, ReturnType<typeof keySigner>];
    const times = { issuedAt: now, notAfter: NO_END };
    const root = await issueRoot({
      subject: { commonName: 'Root' },
      signer: rootSigner,
      ...times,
      pathLen: 1,
    });
    const authorities = createTemplate({ kind: 'authority', issuer: root, pathLen: 0 });
    const spkiDer = exportSpki(caSigner.publicKey);
    const make = (commonName: string) =>
      issue(prepare(authorities, { subject: { commonName }, spkiDer, ...times }), rootSigner);
    const factory = await make('Factory CA');
    const issuing = await make('Issuing CA');
    const pinned = { account: 'signet', state: 'active' } as const;
    const issuers = issuerSet(
      [
        { certificate: root, kind: 'root', ...pinned },
        { certificate: factory, kind: 'factory', ...pinned },
        { certificate: issuing, kind: 'issuing', ...pinned },
      ],
      'signet.local',
    );

    const device = exportSpki(generateKeyPair('P-256').publicKey);
    const operational = await issue(
      prepare(createTemplate({ kind: 'operational', issuer: issuing }), {
        subject: { commonName: 'dev-1', organization: 'acme' },
        sans: { uris: ['spiffe://signet.local/acme/device/dev-1'] },
        spkiDer: device,
        issuedAt: now,
        notAfter: now + YEAR,
      }),
      caSigner,
    );
    const bootstrap = await issue(
      prepare(createTemplate({ kind: 'bootstrap', issuer: factory }), {
        subject: { commonName: 'dev-1', serialNumber: 'SN 0001' },
        spkiDer: device,
        ...times,
      }),
      caSigner,
    );
    for (const [purpose, certificate] of [
      ['operational', operational],
      ['bootstrap', bootstrap],
    ] as const)
      for (const purposes of [['operational'], ['bootstrap'], ['operational', 'bootstrap']] as const) {
        const answer = verifyPeer({ leaf: certificate.der, issuers, purposes, now, denied: () => undefined });
        if ((purposes as readonly string[]).includes(purpose))
          expect(answer).toMatchObject({ ok: true, purpose, deviceId: 'dev-1' });
        else expect(answer).toMatchObject({ ok: false, code: 'wrong-purpose' });
      }
  },
);
