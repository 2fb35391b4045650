import assert from 'node:assert/strict';
import { GatewayClient } from '@signet/agent';
import { type OwnAttack, until } from '../attack.ts';
import { onboardDevice } from '../device.ts';

/** A revocation outlives the process that took it. */
export const attack: OwnAttack = {
  number: 12,
  title: 'a device that was revoked stays out after the platform is killed and started again',
  tries: 'a revoked device comes back right after a restart without warning',
  platform: {},
  async run(target) {
    const { folder, id } = await onboardDevice(target, 'acme', 'revoked');
    const [bundle, identity] = await Promise.all([folder.bundle(), folder.operational()]);
    assert(bundle !== undefined && identity !== undefined);
    await new GatewayClient(bundle).greet(identity);
    await target.operator.post('/v1/accounts/acme/devices/actions/revoke', {
      deviceIds: [id],
      reason: 'stolen',
    });
    const isOut = () => assert.rejects(new GatewayClient(bundle).greet(identity));
    await until(isOut);
    await target.stop('SIGKILL');
    await target.start();
    await isOut();
  },
};
