import { setTimeout as sleep } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { type BrokerFixture, messagesOf, openBrokerFixture, until } from './fixture.ts';
import { answerOn, connectPacket, openRaw } from './raw-client.ts';

let broker: BrokerFixture;
afterEach(() => broker[Symbol.asyncDispose]());
const identityOf = (deviceId: string) => broker.fixture.pki.operational('acme', deviceId);

/** What CONNACK says to each of these attempts; none where there was no answer. */
async function answersTo(
  deviceId: string,
  attempts: number,
  everyMs: number,
): Promise<(number | undefined)[]> {
  const identity = identityOf(deviceId);
  const attempt = async () => {
    const socket = await openRaw(broker, identity);
    const answer = answerOn(socket);
    socket.once('data', () => socket.end(generate({ cmd: 'disconnect' })));
    socket.write(connectPacket(deviceId));
    return (await answer)[3];
  };
  const running: Promise<number | undefined>[] = [];
  for (let n = 0; n < attempts; n++) {
    running.push(attempt());
    await sleep(everyMs);
  }
  return await Promise.all(running);
}

describe('a device that reconnects 50 times a second', () => {
  it('is held back, also for those behind its address: others connect and publish meanwhile', async () => {
    broker = await openBrokerFixture({
      env: {
        SIGNET_MQTT_CONNECTS_PER_MINUTE: '10',
        SIGNET_MQTT_CONNECTS_PER_ADDRESS_PER_MINUTE: '60',
      },
    });
    const before = await broker.connected(identityOf('before'));
    const storm = { isOver: false };
    const answered = answersTo('stormy', 100, 20).finally(() => {
      storm.isOver = true;
    });
    await broker.event('DEVICE_REFUSED', ({ data }) => data.deviceId === 'stormy');
    let published = 0;
    for (let n = 0; !storm.isOver && n < 20; n++) {
      const other = await broker.connected(identityOf(`other-${n}`));
      for (const client of [before, other]) {
        await client.publishAsync(`d/acme/${client.options.clientId}/up/x`, `${n}`, { qos: 1 });
        published++;
      }
    }
    expect(published).toBeGreaterThanOrEqual(4);
    const answers = await answered;
    const accepted = answers.filter((code) => code === 0).length;
    // some of ten may have been cut by their successor before they were answered
    expect(accepted).toBeLessThanOrEqual(10);
    expect(answers.filter((code) => code === 3).length).toBeGreaterThanOrEqual(80);
    expect(before.connected).toBe(true);
    await broker.connected(identityOf('after'));
    const told = broker.events.filter(
      ({ type, subject }) => type === 'DEVICE_REFUSED' && subject === 'stormy',
    );
    expect(told.length).toBeLessThan(20);
  });

  it('many of one address are held back together, whoever they say they are', async () => {
    broker = await openBrokerFixture({ env: { SIGNET_MQTT_CONNECTS_PER_ADDRESS_PER_MINUTE: '3' } });
    for (let n = 0; n < 3; n++) await broker.connected(identityOf(`dev-${n}`));
    expect(await broker.refusal(identityOf('dev-3'))).toBe(3);
    const { data } = await broker.event('DEVICE_REFUSED');
    expect(data).toMatchObject({ deviceId: 'dev-3', code: 'rate-limited' });
  });
});

describe('a device that does not acknowledge what it is sent', () => {
  it('has so many messages in flight and no more: further ones are dropped and counted, others get theirs', async () => {
    broker = await openBrokerFixture({ env: { SIGNET_MQTT_MAX_QUEUED: '5' } });
    const { bus } = broker.fixture.deps;
    const first = await broker.connected(identityOf('mute'), { clean: false });
    await first.subscribeAsync('d/acme/mute/down/#', { qos: 1 });
    await first.endAsync();
    await broker.event('DEVICE_DISCONNECTED');
    const socket = await openRaw(broker, identityOf('mute'));
    let received = 0;
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1').split('d/acme/mute/down/x').length - 1;
    });
    socket.write(connectPacket('mute', { clean: false }));
    const other = await broker.connected(identityOf('other'));
    const heard = messagesOf(other);
    await other.subscribeAsync('d/acme/other/down/#', { qos: 1 });
    await until(() =>
      expect(broker.events.filter(({ type }) => type === 'DEVICE_CONNECTED')).toHaveLength(3),
    );
    for (let n = 0; n < 8; n++)
      for (const device of ['mute', 'other'])
        await bus.send(`signet.mqtt.acme.${device}.down.x`, Buffer.from(`${n}`), { stored: true });
    const dropped = /signet_mqtt_messages_total\{[^}]*direction="dropped"[^}]*\} 3$/m;
    await until(async () => {
      expect(heard).toHaveLength(8);
      expect(received).toBe(5);
      expect(await broker.fixture.exposition()).toMatch(dropped);
    });
    socket.destroy();
  });
});
