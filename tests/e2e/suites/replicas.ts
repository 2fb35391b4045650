import { deviceTopic } from '@signet/contracts';
import { startDevEnv } from '@signet/dev-env';
import { describe, expect, test } from 'vitest';
import { localDownstream } from '../support/downstream.ts';
import { Scene } from '../support/scene.ts';

/** More than one of a service, in this process. */
export function replicas(scene: () => Scene): void {
  describe('with two of a service', () => {
    test('F7: what one est-ca issued, the broker and a second est-ca accept, which know only the CA', async () => {
      const { inProcess } = scene().platform;
      if (inProcess === undefined) throw new Error('needs the platform in this process');
      await using second = await inProcess.replica('est-ca');
      const device = await scene().device().manufacture();
      await device.claim();
      const bundle = await device.handOver();
      device.takeBundle({ ...bundle, est: { ...bundle.est, url: `https://localhost:${second.ports.est}` } });
      await device.enrol();
      device.takeBundle(bundle);
      await device.renew();
      const topic = deviceTopic({ account: scene().account, device: device.id, way: 'up', levels: ['x'] });
      expect(await scene().mosquitto.publish(device, topic, 'x', { identity: 'renewed' })).toMatchObject({
        code: 0,
      });
    });

    test('F72: a revocation ends the sessions on every broker', async () => {
      const { inProcess } = scene().platform;
      if (inProcess === undefined) throw new Error('needs the platform in this process');
      await using second = await inProcess.replica('mqtt-broker');
      const [here, there] = [
        await scene().device().onboard('doomed'),
        await scene().device().onboard('doomed'),
      ];
      const topic = (device: { id: string }) =>
        deviceTopic({ account: scene().account, device: device.id, way: 'down', levels: ['#'] });
      await using onFirst = await scene().mosquitto.subscribe(here, topic(here));
      const port = second.ports.mqtt ?? 0;
      await using onSecond = await scene().mosquitto.subscribe(there, topic(there), { port });
      await scene().post('devices/actions/revoke', { group: 'doomed' });
      await onFirst.line(/The connection was lost/);
      await onSecond.line(/The connection was lost/);
      expect(await scene().mosquitto.publish(here, 'x', 'x', { port })).toMatchObject({ code: 5 });
    });
  });
}

/** Store and bus closed for good under a platform of its own. */
export function cutOff(tools: Scene['tools']): void {
  test('F7 F11: with store and bus cut, a listener goes on deciding by certificate and deny list alone', async () => {
    await using env = await startDevEnv();
    const platform = {
      env,
      inProcess: env,
      keyFolder: '',
      downstream: localDownstream(env.deps.bus),
      [Symbol.asyncDispose]: async () => {},
    };
    await using scene = await Scene.open(platform, tools);
    const [device, revoked] = [await scene.device().onboard(), await scene.device().onboard()];
    const other = await scene.device().onboard();
    await scene.post('devices/actions/revoke', { deviceIds: [revoked.id] });
    await scene.eventOf('CERT_REVOKED', revoked);
    await expect.poll(async () => (await scene.mosquitto.publish(revoked, 'x', 'x')).code).toBe(5);
    await env.cutBackbone();

    const down = (id: string) =>
      deviceTopic({ account: scene.account, device: id, way: 'down', levels: ['#'] });
    await using subscriber = await scene.mosquitto.subscribe(device, down(device.id));
    await subscriber.line(/Subscribed \(mid: 1\): [01]/);
    await using nosy = scene.mosquitto.listen(device, down(other.id));
    await nosy.line(/All subscription requests were denied|connection was lost/);
    expect(await scene.mosquitto.publish(revoked, 'x', 'x')).toMatchObject({ code: 5 });
    expect(await scene.mosquitto.publish(device, 'x', 'x', { identity: 'bootstrap' })).toMatchObject({
      code: 5,
    });
    expect(await scene.mosquitto.publish(device, 'x', 'x', { clientId: other.id })).toMatchObject({
      code: 2,
    });
    expect(await device.askForHandOver('operational')).toMatchObject({
      status: 403,
      body: { code: 'wrong-purpose' },
    });
    expect(await revoked.askForHandOver()).toMatchObject({ status: 403 });
  });
}
