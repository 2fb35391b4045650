import assert from 'node:assert/strict';
import type { DevicesChanged } from '@signet/contracts';
import type { z } from 'zod';
import type { SharedAttack } from '../attack.ts';
import { makeDevice } from '../device.ts';

const TRIES = 40;

export const attack: SharedAttack = {
  number: 8,
  title: 'a maker retires no device that another account has just claimed',
  tries: 'a maker retires each device at the moment when a buyer claims it',
  async run(target) {
    const [maker, buyer] = ['retiring-maker', 'retiring-buyer'];
    for (let n = 0; n < TRIES; n++) {
      const { fingerprint, id } = await makeDevice(target, maker, `sold-${n}`);
      const [claimed, retired] = await Promise.all([
        target.operator.call('POST', `/v1/accounts/${buyer}/devices`, { fingerprint }),
        target.operator.post<z.infer<typeof DevicesChanged>>(`/v1/accounts/${maker}/devices/actions/revoke`, {
          ...{ fingerprints: [fingerprint], reason: 'the maker says so' },
        }),
      ]);
      if (claimed.status !== 201) {
        assert.deepEqual(retired.changed, [id], JSON.stringify({ claimed, retired }));
        continue;
      }
      assert.deepEqual(retired.changed, [], `${id} was claimed and retired`);
      assert.deepEqual(
        retired.failed.map(({ code }) => code),
        ['unknown-device'],
      );
      const { device } = await target.operator.get<{ device: { state: string } }>(
        `/v1/accounts/${buyer}/devices/${id}`,
      );
      assert.equal(device.state, 'claimed');
    }
  },
};
