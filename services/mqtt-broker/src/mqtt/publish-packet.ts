import type { StoredMessage } from '../domain/session-record.ts';

const PUBLISH = 0x30;
const DUP = 0x08;
const RETAIN = 0x01;

/** A PUBLISH packet of MQTT 3.1.1 (§3.3). `packetId` counts where the QoS is above 0. */
export function publishPacket(message: StoredMessage, packetId: number, isDup: boolean): Buffer {
  const { qos, retain = false, payload } = message;
  const topic = Buffer.from(message.topic);
  const length = 2 + topic.length + (qos > 0 ? 2 : 0) + payload.length;
  const packet = Buffer.allocUnsafe(1 + lengthBytes(length) + length);
  packet[0] = PUBLISH | (isDup ? DUP : 0) | (qos << 1) | (retain ? RETAIN : 0);
  let at = 1;
  for (let rest = length; ; ) {
    const octet = rest & 0x7f;
    rest >>>= 7;
    packet[at++] = rest > 0 ? octet | 0x80 : octet;
    if (rest === 0) break;
  }
  at = packet.writeUInt16BE(topic.length, at);
  at += topic.copy(packet, at);
  if (qos > 0) at = packet.writeUInt16BE(packetId, at);
  payload.copy(packet, at);
  return packet;
}

/** Octets of the remaining length (§2.2.3). */
function lengthBytes(length: number): number {
  if (length < 0x80) return 1;
  if (length < 0x4000) return 2;
  return length < 0x200000 ? 3 : 4;
}
