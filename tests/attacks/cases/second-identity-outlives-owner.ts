import assert from 'node:assert/strict';
import { requestHandoff } from '@signet/agent';
import type { Device } from '@signet/contracts';
import { createTestPki, type TestAuthority } from '@signet/pki/testing';
import { type SharedAttack, type Target, until } from '../attack.ts';
import { makeDevice } from '../device.ts';

const pki = createTestPki();

export const attack: SharedAttack = {
  number: 1,
  title:
    'what a former owner added as a second identity is not the new owner’s device, and no certificate of others is taken as one',
  tries:
    'a seller adds an identity of its own CA to a device, gives it up, and onboards in the buyer’s account; and takes a stranger’s device before its first contact',
  async run(target) {
    const [maker, seller, buyer] = ['second-maker', 'second-seller', 'second-buyer'];
    const sold = await makeDevice(target, maker, 'sold-1');
    const { fingerprint } = sold;
    await target.operator.post(`/v1/accounts/${seller}/devices`, { fingerprint });
    const planted = pki.bootstrap('sold-1', { signedBy: await registered(target, seller) });
    await target.operator.post(`/v1/accounts/${seller}/devices/identities`, {
      ...{ fingerprint, certificate: planted.cert },
    });
    const asks = () => askFor(target, planted);
    assert.equal(await until(asks), seller);

    await target.operator.post(`/v1/accounts/${seller}/devices/actions/unclaim`, {
      fingerprints: [fingerprint],
    });
    await target.operator.post(`/v1/accounts/${buyer}/devices`, { fingerprint });
    // it is a device of the seller's CA now, which nobody claimed
    assert.equal(await asks(), 'wait');
    const { items } = await target.operator.get<{ items: Device[] }>(`/v1/accounts/${buyer}/devices`);
    assert.deepEqual(
      items.map(({ state, secondFingerprint }) => ({ state, secondFingerprint })),
      [{ state: 'claimed', secondFingerprint: undefined }],
    );
    const genuine = await sold.folder.factoryFiles();
    assert.equal(
      await askFor(target, { cert: genuine.identity.certificate, key: genuine.identity.key }),
      buyer,
    );

    const bait = await makeDevice(target, seller, 'bait-1');
    const theirs = pki.bootstrap('prey-1', { signedBy: await registered(target, buyer) });
    const captured = await target.operator.call('POST', `/v1/accounts/${seller}/devices/identities`, {
      ...{ fingerprint: bait.fingerprint, certificate: theirs.cert },
    });
    assert.equal(captured.status, 422, JSON.stringify(captured.body));
    assert.match(JSON.stringify(captured.body), /bad-certificate/);
  },
};

/** A factory CA of an account's own, whose key is not the platform's. */
async function registered(target: Target, account: string): Promise<TestAuthority> {
  const ca = pki.authority({ kind: 'factory', account, subject: { commonName: `CA of ${account}` } });
  await target.operator.post(`/v1/accounts/${account}/factory/authorities`, {
    ...{ certificate: ca.pem, waiver: 'made for the attack' },
  });
  return ca;
}

/** The account whose bundle a bootstrap certificate gets. */
async function askFor(target: Target, { cert, key }: { cert: string; key: string }): Promise<string> {
  const url = `https://localhost:${target.ports.bootstrap}`;
  const answer = await requestHandoff({ url, identity: { certificate: cert, key }, trust: target.roots });
  return answer.kind === 'bundle' ? answer.bundle.account : answer.kind;
}
