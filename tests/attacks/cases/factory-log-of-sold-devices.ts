import assert from 'node:assert/strict';
import { OperatorClient } from '@signet/dev-env';
import type { SharedAttack } from '../attack.ts';
import { makeDevice } from '../device.ts';

export const attack: SharedAttack = {
  number: 11,
  title: 'a maker learns of a sold device that it was handed to another account, and no more',
  tries:
    'a maker reads in every view that it has what a buyer named its device, whose it is, and why it is blocked',
  async run(target) {
    const [maker, buyer] = ['curious-maker', 'private-buyer'];
    const { token } = await target.operator.post<{ token: string }>('/v1/tokens', {
      ...{ name: 'curious-maker', grants: [{ account: maker, role: 'admin' }] },
    });
    const curious = new OperatorClient({ url: target.operator.url, token });
    const { fingerprint, id } = await makeDevice(target, maker, 'sold-1');
    await target.operator.post(`/v1/accounts/${buyer}/devices`, {
      ...{ fingerprint, deviceId: 'vault-7', group: 'vaults' },
    });
    await target.operator.post(`/v1/accounts/${buyer}/devices/actions/block`, {
      ...{ deviceIds: ['vault-7'], reason: 'burgled on Monday' },
    });

    const log = await curious.get<{ items: Record<string, unknown>[] }>(`/v1/accounts/${maker}/factory/log`);
    const [entry] = log.items;
    assert.deepEqual(Object.keys(entry ?? {}).sort(), [
      'certificate',
      'deviceId',
      'deviceSerialNumber',
      'factoryAccount',
      'fingerprint',
      'handedOn',
      'manufacturedAt',
      'state',
    ]);
    assert.deepEqual([entry?.deviceId, entry?.state, entry?.handedOn], [id, 'claimed', true]);

    const views = [
      // first: the names of what is asked for below stand in it from then on
      `/v1/accounts/${maker}/audit`,
      `/v1/accounts/${maker}/factory/log`,
      `/v1/accounts/${maker}/devices`,
      `/v1/accounts/${maker}/devices/${id}`,
      `/v1/accounts/${maker}/devices/vault-7`,
      `/v1/accounts/${maker}/refusals`,
      `/v1/accounts/${maker}/refusals?deviceId=${id}`,
      `/v1/accounts/${maker}/denylist`,
      `/v1/accounts/${maker}/denylist?text=burgled`,
      `/v1/accounts/${maker}/certificates`,
      `/v1/accounts/${maker}/hook/notifications?state=due`,
    ];
    for (const view of views) {
      const { body = {} } = await curious.call('GET', view);
      assert.doesNotMatch(JSON.stringify(body), /private-buyer|vault|burgled/, view);
    }
    const again = await curious.call('POST', `/v1/accounts/${maker}/devices`, { fingerprint });
    assert.equal(again.status, 409, JSON.stringify(again.body));
    assert.doesNotMatch(JSON.stringify(again.body), /private-buyer|vault|burgled/);
    for (const action of ['block', 'unblock', 'revoke', 'reset', 'unclaim']) {
      const answer = await curious.call('POST', `/v1/accounts/${maker}/devices/actions/${action}`, {
        fingerprints: [fingerprint],
      });
      assert.match(JSON.stringify(answer.body), /unknown-device/, action);
      assert.doesNotMatch(JSON.stringify(answer.body), /private-buyer|vault|burgled/, action);
    }

    const stream = await fetch(new URL(`/v1/accounts/${maker}/events?from=start`, target.operator.url), {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(stream.status, 200);
    const marker = await makeDevice(target, maker, 'marker-1');
    const told = await readUntil(stream, marker.id);
    assert.match(told, /DEVICE_MANUFACTURED/);
    assert.doesNotMatch(told, /private-buyer|vault|burgled/);
  },
};

async function readUntil(response: Response, text: string): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error('no body');
  const decoder = new TextDecoder();
  let read = '';
  while (!read.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the stream ended before ${text}: ${read}`);
    read += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return read;
}
