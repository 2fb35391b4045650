import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, sign } from 'node:crypto';
import { AgentError, requestHandoff } from '@signet/agent';
import { makeCertificate, newTestKey, testKeyId } from '@signet/pki/testing';
import { type SharedAttack, type Target, until } from '../attack.ts';

const DAY = 86_400_000;
const key = newTestKey();
const publicKey = createPublicKey(key);
const subject = { commonName: 'Attacked Maker CA' };
const valid = { notBefore: Date.now() - DAY, notAfter: Date.now() + 365 * DAY };
const ca = makeCertificate({
  ...{ subject, issuer: subject, publicKey, signingKey: key, ca: true, ...valid },
  subjectKeyId: testKeyId(publicKey),
  keyUsage: ['keyCertSign', 'cRLSign'],
});

function proof(account: string) {
  const statement = JSON.stringify({
    ...{ action: 'register-factory', account, subject: ca.fingerprint },
    nonce: randomBytes(16).toString('hex'),
    issuedAt: new Date().toISOString(),
  });
  return { statement, signature: sign('sha256', Buffer.from(statement), key).toString('base64') };
}

function deviceOf(id: string) {
  const own = newTestKey();
  const certificate = makeCertificate({
    ...{ subject: { commonName: id, serialNumber: id }, publicKey: createPublicKey(own), ...valid },
    ...{ issuer: subject, signingKey: key, authorityKeyId: ca.subjectKeyId },
    keyUsage: ['digitalSignature'],
  });
  const pem = own.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { fingerprint: certificate.fingerprint, identity: { key: pem, certificate: certificate.pem() } };
}

type Pinned = { readonly authority: { readonly authorityId: string; readonly isShared?: boolean } };

async function asks(target: Target, identity: { key: string; certificate: string }): Promise<string> {
  const url = `https://localhost:${target.ports.bootstrap}`;
  try {
    return (await requestHandoff({ url, identity, trust: target.roots })).kind;
  } catch (error) {
    if (error instanceof AgentError) return error.message;
    throw error;
  }
}

/** Whoever pins a maker's CA first gets none of its devices for that. */
export const attack: SharedAttack = {
  number: 9,
  title: 'devices of a maker go to who claims them, whoever else pinned the CA of that maker',
  tries: 'an account pins the CA of a maker whose key it does not have, and waits for the devices',
  async run(target) {
    const certificate = ca.pem();
    const path = (account: string) => `/v1/accounts/${account}/factory/authorities`;
    const { token } = await target.operator.post<{ token: string }>('/v1/tokens', {
      name: 'squatter',
      grants: [{ account: 'squatter', role: 'admin' }],
    });
    const tried = await fetch(new URL(path('squatter'), target.operator.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ certificate, firstContact: 'claimed', waiver: 'it is ours' }),
    });
    assert.equal(tried.status, 403);
    assert.equal(((await tried.json()) as { code: string }).code, 'platform-only');

    // even where the platform waived it for the squatter: the maker is not kept out, and the devices wait
    const squatted = await target.operator.post<Pinned>(path('squatter'), {
      ...{ certificate, firstContact: 'claimed', waiver: 'social engineering' },
    });
    const made = await target.operator.post<Pinned>(path('maker'), {
      ...{ certificate, firstContact: 'claimed', statement: proof('maker') },
    });
    assert.equal(made.authority.isShared, true);
    const device = deviceOf('wanted-1');
    await until(async () => assert.equal(await asks(target, device.identity), 'wait'));
    for (const account of ['squatter', 'maker']) {
      const { items } = await target.operator.get<{ items: object[] }>(`/v1/accounts/${account}/devices`);
      assert.deepEqual(items, []);
      await until(async () => {
        const refused = await target.operator.get<{ items: { code: string; message: string }[] }>(
          `/v1/accounts/${account}/refusals`,
        );
        assert(
          refused.items.some(
            ({ code, message }) => code === 'unclaimed' && message.includes('only a claim decides'),
          ),
        );
      });
    }
    await target.operator.post('/v1/accounts/maker/devices', { fingerprint: device.fingerprint });
    assert.equal(await asks(target, device.identity), 'bundle');

    // what one account does with the CA is for its own devices
    const state = (account: string, { authority }: Pinned, wanted: string) =>
      target.operator.post(`/v1/accounts/${account}/authorities/${authority.authorityId}/state`, {
        state: wanted,
      });
    await state('squatter', squatted, 'revoked');
    await until(async () => {
      const events = target.events.all.filter(({ type }) => type === 'CA_CHANGED');
      assert(events.some(({ subject: id }) => id === squatted.authority.authorityId));
    });
    assert.equal(await asks(target, device.identity), 'bundle');
    await state('maker', made, 'revoked');
    await until(async () => assert.match(await asks(target, device.identity), /not admitted|refused|403/));
  },
};
