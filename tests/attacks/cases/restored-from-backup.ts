import assert from 'node:assert/strict';
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayClient } from '@signet/agent';
import { type OwnAttack, until } from '../attack.ts';
import { onboardDevice } from '../device.ts';

/** The store goes back to before the revocation; the listeners have heard of it. */
export const attack: OwnAttack = {
  number: 12,
  title: 'a revoked device stays out when the store is restored from a backup that does not know of it',
  tries: 'a revoked device comes back after the operators restored a backup of before',
  platform: {},
  async run(target) {
    const { folder, id } = await onboardDevice(target, 'acme', 'revoked');
    const [bundle, identity] = await Promise.all([folder.bundle(), folder.operational()]);
    assert(bundle !== undefined && identity !== undefined);
    const store = join(target.dataDir, 'signet.db');
    const backup = join(target.folder, 'backup.db');
    await target.stop('SIGTERM');
    await copyFile(store, backup);
    await target.start();
    await until(() => new GatewayClient(bundle).greet(identity));
    const ids = { deviceIds: [id], reason: 'stolen' };
    await target.operator.post('/v1/accounts/acme/devices/actions/revoke', ids);
    const isOut = () => assert.rejects(new GatewayClient(bundle).greet(identity));
    await until(isOut);

    await target.stop('SIGTERM');
    await copyFile(backup, store);
    for (const rest of ['-wal', '-shm']) await rm(`${store}${rest}`, { force: true });
    await target.start();
    await until(async () => {
      await isOut();
      const ready = await fetch(`http://127.0.0.1:${target.ports.health}/ready`);
      const { checks } = (await ready.json()) as { checks: Record<string, { reason?: string }> };
      assert.match(checks['deny-list']?.reason ?? '', /its authority has lost denials/);
    });
    await isOut();
    assert((await target.log()).some(({ msg }) => /its authority has gone back/.test(msg)));
    const status = await target.operator.get<object>('/v1/status');
    assert.match(JSON.stringify(status), /its authority has lost denials/);
  },
};
