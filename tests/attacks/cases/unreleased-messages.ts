import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect, type TLSSocket } from 'node:tls';
import { generate, parser as mqttParser, type Packet } from 'mqtt-packet';
import { type OwnAttack, type OwnTarget, until } from '../attack.ts';
import { type MadeDevice, onboardDevice } from '../device.ts';

const PAYLOAD = Buffer.alloc(250_000, 'x');
/** Of QoS 2, none of them released. */
const MESSAGES = 1300;
const MOST = 1000;
/** What they would take if they were kept is 325 MB. */
const MAY_GROW_BY = 150e6;

export const attack: OwnAttack = {
  number: 6,
  title: 'a device that never releases its QoS 2 messages fills no memory, and is cut at the bound',
  tries: 'a device sends 1,300 messages of 250 KB with QoS 2, over several connections, and releases none',
  platform: { environment: { SIGNET_MQTT_MAX_UNRELEASED: String(MOST) } },
  async run(target) {
    const device = await onboardDevice(target, 'fills', 'filler');
    const before = await residentBytes(target.pid);
    let received = 0;
    for (let from = 1; from <= MESSAGES && received < MOST; from += 400)
      received += await publishUnreleased(target, device, from, Math.min(from + 400, MESSAGES + 1));
    assert.equal(received, MOST);
    await target.events.find('DEVICE_REFUSED', ({ data }) => data.code === 'limit-reached');
    // the same device over a new connection: not one more, while it is let in as before
    assert.equal(await publishUnreleased(target, device, MESSAGES + 1, MESSAGES + 2), 0);
    await until(async () => {
      const grown = (await residentBytes(target.pid)) - before;
      assert(grown < MAY_GROW_BY, `it takes ${Math.round(grown / 1e6)} MB more`);
    });
    const ready = await fetch(`http://127.0.0.1:${target.ports.health}/ready`);
    assert.equal(ready.status, 200);
  },
};

/** @returns how many of the messages were acknowledged with PUBREC before the connection ended, or all were */
async function publishUnreleased(
  target: OwnTarget,
  device: MadeDevice,
  from: number,
  to: number,
): Promise<number> {
  const socket = await connectDevice(target, device);
  const packets: Packet[] = [];
  const parser = mqttParser();
  parser.on('packet', (packet) => packets.push(packet));
  socket.on('data', (chunk) => parser.parse(chunk));
  let isClosed = false;
  socket.once('close', () => {
    isClosed = true;
  });
  const received = () => packets.filter(({ cmd }) => cmd === 'pubrec').length;
  socket.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: false,
      keepalive: 60,
      clientId: device.id,
    }),
  );
  await until(() => assert.equal(packets[0]?.cmd, 'connack'));
  for (let messageId = from; messageId < to && !isClosed; messageId++) {
    const topic = `d/${device.account}/${device.id}/up/x`;
    const packet = {
      cmd: 'publish',
      topic,
      payload: PAYLOAD,
      qos: 2,
      retain: false,
      dup: false,
      messageId,
    } as const;
    if (!socket.write(generate(packet))) await until(() => assert(isClosed || !socket.writableNeedDrain));
  }
  await until(() => assert(isClosed || received() === to - from));
  socket.destroy();
  return received();
}

async function connectDevice({ ports, roots }: OwnTarget, { folder }: MadeDevice): Promise<TLSSocket> {
  const identity = await folder.operational();
  assert(identity !== undefined);
  const { key, certificate: cert } = identity;
  const socket = connect({ host: 'localhost', port: ports.mqtt, ca: roots, key, cert });
  socket.on('error', () => {});
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
