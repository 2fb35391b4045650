import { generateKeyPair } from '@signet/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstGround, openEstGround } from './support/est-ground.ts';

let est: EstGround;
beforeAll(async () => {
  est = await openEstGround();
});
afterAll(() => est[Symbol.asyncDispose]());

describe('simpleenroll', () => {
  it('F3: certifies the key of the CSR, once the grant is shown by HTTP Basic', async () => {
    const device = await est.bootstrapDevice('dev-1');
    const grant = await est.grantFor(device);
    const { privateKey, publicKey } = generateKeyPair('P-256');
    const identity = { certificate: device.certificate, privateKey: device.keys.privateKey };
    const reply = await call(
      est,
      enrolment({ subject: { commonName: 'dev-1' }, privateKey }, { basic: ['dev-1', grant], identity }),
    );
    const certificate = issuedIn(reply);
    expect(certificate.publicKey.equals(publicKey)).toBe(true);
    expect(certificate.subject).toEqual({ commonName: 'dev-1', organization: ACCOUNT });
    expect(certificate.sans.uris).toEqual([`spiffe://signet.local/${ACCOUNT}/device/dev-1`]);
  });
});
