import assert from 'node:assert/strict';
import { generateKeyPair, parseCertificatePem } from '@signet/pki';
import { type SharedAttack, type Target, until } from '../attack.ts';
import { onboardDevice } from '../device.ts';
import { askEst, certificateIn } from '../est.ts';

const account = 'secrets';

/** Everybody who has an image of the product knows the secret that its profile enrols by. */
export const attack: SharedAttack = {
  number: 2,
  title: 'whoever knows a shared secret takes no place of a device that is enrolled',
  tries: 'the shared secret of a profile enrols as a device that came in by its bootstrap certificate',
  async run(target) {
    const { operator } = target;
    const { id } = await onboardDevice(target, account, 'place-victim');
    const { sharedSecret } = await operator.post<{ sharedSecret: string }>(
      `/v1/accounts/${account}/profiles`,
      { name: 'by-secret', settings: { authentication: 'secret' } },
    );
    const enrol = (device: string) =>
      askEst(target, {
        path: `${account}.by-secret/simpleenroll`,
        key: generateKeyPair('P-256').privateKey,
        basic: [device, sharedSecret],
      });

    const taken = await enrol(id);
    assert.equal(taken.status, 403);
    assert.match(taken.body, /^secret: device "place-victim" has certificate/);
    await isLogged(target, 'device-enrolled', id);

    const { serialNumber } = parseCertificatePem(certificateIn(await enrol('place-own')));
    const path = `/v1/accounts/${account}/certificates/${serialNumber}/revoke`;
    await operator.post(path, { reason: 'keyCompromise' });
    const again = await enrol('place-own');
    assert.equal(again.status, 403);
    assert.match(again.body, /was revoked at .* for keyCompromise/);
    await isLogged(target, 'key-compromised', 'place-own');
  },
};

/** The operator sees the refusal with its code. */
async function isLogged(target: Target, code: string, device: string): Promise<void> {
  await until(async () => {
    const lines = await target.log();
    assert(lines.some((line) => line.code === code && line.deviceId === device));
  });
}
