import assert from 'node:assert/strict';
import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { AgentError, requestHandoff } from '@signet/agent';
import type { Certificate } from '@signet/pki';
import { makeCertificate, newTestKey } from '@signet/pki/testing';
import { type SharedAttack, until } from '../attack.ts';

const DAY = 86_400_000;
const account = 'pathfinder';
const subject = { commonName: 'Pathfinder CA' };
const valid = { notBefore: Date.now() - DAY, notAfter: Date.now() + 365 * DAY };

/** None of them says which of the others signed it. */
function ca(key: KeyObject, signingKey: KeyObject, subjectKeyId: string): Certificate {
  return makeCertificate({
    ...{ subject, issuer: subject, publicKey: createPublicKey(key), signingKey, subjectKeyId, ca: true },
    ...valid,
    keyUsage: ['keyCertSign', 'cRLSign'],
  });
}

const idOf = (i: number) => (0x10 + i).toString(16).repeat(20);

/** One handshake of a tenant's making costs what any other does. */
export const attack: SharedAttack = {
  number: 3,
  title: 'a handshake takes bounded work, however a tenant’s CAs have signed each other',
  tries: 'a tenant pins CAs of one name and key under different key ids, then CAs in a ring, and connects',
  async run(target) {
    const pin = (certificate: Certificate, key: KeyObject) => {
      const statement = JSON.stringify({
        ...{ action: 'register-factory', account, subject: certificate.fingerprint },
        nonce: randomBytes(16).toString('hex'),
        issuedAt: new Date().toISOString(),
      });
      const signature = sign('sha256', Buffer.from(statement), key).toString('base64');
      return target.operator.call('POST', `/v1/accounts/${account}/factory/authorities`, {
        ...{ certificate: certificate.pem(), statement: { statement, signature } },
      });
    };
    const keys = Array.from({ length: 6 }, () => newTestKey());
    const key = keys[0] as KeyObject;
    assert.equal((await pin(ca(key, keys[1] as KeyObject, idOf(0)), key)).status, 201);
    for (const [certificate, own] of [
      [ca(key, key, idOf(20)), key],
      [ca(keys[1] as KeyObject, key, idOf(0)), keys[1] as KeyObject],
    ] as const) {
      const { status, body } = await pin(certificate, own);
      assert.equal(status, 409);
      assert.equal((body as { code: string }).code, 'authority-exists');
    }
    for (const [i, own] of keys.entries())
      if (i > 0) assert.equal((await pin(ca(own, keys[(i + 1) % 6] as KeyObject, idOf(i)), own)).status, 201);

    const device = newTestKey();
    const leaf = makeCertificate({
      ...{ subject: { commonName: 'walker' }, publicKey: createPublicKey(device), ...valid },
      ...{ issuer: subject, signingKey: key },
      keyUsage: ['digitalSignature'],
    });
    const identity = {
      key: device.export({ type: 'pkcs8', format: 'pem' }).toString(),
      certificate: leaf.pem(),
    };
    const url = `https://localhost:${target.ports.bootstrap}`;
    await until(async () => {
      const answer = await requestHandoff({ url, identity, trust: target.roots }).catch((error: unknown) => {
        if (error instanceof AgentError) return { kind: error.message };
        throw error;
      });
      assert.equal(answer.kind, 'wait');
    });
  },
};
