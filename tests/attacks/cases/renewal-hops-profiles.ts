import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { generateKeyPair, parseCertificatePem } from '@signet/pki';
import { type SharedAttack, until } from '../attack.ts';
import { onboardDevice } from '../device.ts';
import { askEst, certificateIn } from '../est.ts';

const account = 'hops';
const DAY_MS = 86_400_000;

/** A device whose profile is strict, in an account that has loose ones as well. */
export const attack: SharedAttack = {
  number: 5,
  title: 'a device stays under the profile that enrolled it, unless an operator moves it',
  tries: 'a device with short certificates renews, or enrols anew, at the label of a profile with long ones',
  async run(target) {
    const { operator } = target;
    const create = (name: string, settings: object) =>
      operator.post(`/v1/accounts/${account}/profiles`, { name, settings });
    await create('short', { validityDays: 5 });
    await create('long', { validityDays: 80 });
    await create('long-by-certificate', { validityDays: 80, authentication: 'certificate' });
    await operator.put(`/v1/accounts/${account}/settings`, { profile: 'short' });
    const { id, folder } = await onboardDevice(target, account, 'hopper');
    const identity = await folder.operational();
    assert(identity !== undefined);
    const shown = { cert: identity.certificate, key: identity.key };
    const subject = { commonName: id, organization: account };
    const renew = (path: string, key = createPrivateKey(identity.key)) =>
      askEst(target, { path, key, subject, identity: shown });

    for (const path of [
      `${account}.long/simplereenroll`,
      `${account}.long-by-certificate/simplereenroll`,
      `${account}.long-by-certificate/simpleenroll`,
      `${account}.long-by-certificate/serverkeygen`,
    ])
      for (const key of [createPrivateKey(identity.key), generateKeyPair('P-256').privateKey]) {
        const answer = await renew(path, key);
        if (path.endsWith('serverkeygen')) assert(answer.status >= 400);
        else {
          assert.equal(answer.status, 403);
          assert.match(answer.body, /another profile than "hops\.short"/);
        }
      }
    await until(async () => {
      const lines = await target.log();
      assert(lines.some(({ code, deviceId }) => code === 'wrong-profile' && deviceId === id));
    });
    assert.equal(days(certificateIn(await renew(`${account}/simplereenroll`))), 5);

    await operator.put(`/v1/accounts/${account}/devices/${id}/profile`, { profile: 'long' });
    const { privateKey } = generateKeyPair('P-256');
    assert.equal(days(certificateIn(await renew(`${account}.short/simplereenroll`, privateKey))), 80);
  },
};

function days(certificate: string): number {
  return Math.round((parseCertificatePem(certificate).notAfter - Date.now()) / DAY_MS);
}
