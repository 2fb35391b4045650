import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { generate } from 'mqtt-packet';
import { describe, expect, it, vi } from 'vitest';
import { PacketFramer, type PacketSink } from './packet-framer.ts';

const MAX = 70_000;

/** Cuts; `goesOn` says for each packet whether more is wanted now. */
function framer(goesOn: () => boolean = () => true) {
  const packets: string[] = [];
  const malformed: (number | undefined)[] = [];
  const sink: PacketSink = {
    packet(bytes, start, body, end) {
      expect(body - start).toBeGreaterThan(1);
      packets.push(bytes.toString('hex', start, end));
      return goesOn();
    },
    malformed: (length) => void malformed.push(length),
  };
  return { packets, malformed, cut: new PacketFramer(sink, MAX) };
}

const publish = (bytes: number) =>
  generate({
    cmd: 'publish',
    topic: 'd/a/b/up/x',
    payload: Buffer.alloc(bytes, 1),
    qos: 0,
    dup: false,
    retain: false,
  });
const stream = [
  generate({ cmd: 'pingreq' }),
  publish(0),
  publish(200),
  generate({ cmd: 'puback', messageId: 7 }),
  publish(17_000),
  generate({ cmd: 'disconnect' }),
];
const whole = Buffer.concat(stream);
const expected = stream.map((packet) => packet.toString('hex'));

describe('cutting a stream into packets', () => {
  it('many packets in one piece', () => {
    const { packets, cut } = framer();
    cut.take(whole);
    expect(packets).toEqual(expected);
  });

  it('parted at every byte', () => {
    const short = Buffer.concat(stream.slice(0, 4));
    for (let at = 0; at <= short.length; at++) {
      const { packets, cut } = framer();
      cut.take(short.subarray(0, at));
      cut.take(short.subarray(at));
      expect(packets).toEqual(expected.slice(0, 4));
    }
    const { packets, cut } = framer();
    for (const byte of whole) cut.take(Buffer.from([byte]));
    expect(packets).toEqual(expected);
  });

  it('parted anywhere, and wanted only now and then: all of them, in their order, none twice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 12 }),
        fc.infiniteStream(fc.boolean()),
        (cuts, wanted) => {
          const { packets, cut } = framer(() => wanted.next().value === true);
          const at = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
          for (let i = 1; i < at.length; i++) cut.take(whole.subarray(at[i - 1], at[i]));
          for (let n = 0; n < 1000 && packets.length < expected.length; n++) cut.resume();
          expect(packets).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('what is kept waits until it is wanted, also where a packet stands in what came before', () => {
    const { packets, cut } = framer();
    cut.keep(whole.subarray(0, 3));
    cut.keep(whole.subarray(3, 9));
    expect(packets).toEqual([]);
    cut.resume();
    expect(packets).toEqual(expected.slice(0, 1));
    cut.keep(whole.subarray(9));
    cut.resume();
    expect(packets).toEqual(expected);
  });

  it('what is dropped does not come back', () => {
    const { packets, cut } = framer(() => false);
    cut.take(whole);
    cut.drop();
    cut.resume();
    expect(packets).toEqual(expected.slice(0, 1));
  });

  it.each([
    ['a length of five bytes', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]), undefined],
    ['more than may come, known before it has come', Buffer.from([0x30, 0xff, 0xff, 0x7f]), 2_097_151],
  ])('%s spoils it; the packets before are taken', (_what, bytes, length) => {
    for (const pieces of [
      [Buffer.concat([publish(3), bytes])],
      [publish(3), ...Array.from(bytes, (b) => Buffer.from([b]))],
    ]) {
      const { packets, malformed, cut } = framer();
      for (const piece of pieces) if (malformed.length === 0) cut.take(piece);
      expect(packets).toEqual([publish(3).toString('hex')]);
      expect(malformed).toEqual([length]);
    }
  });

  it('a packet that drips in byte by byte takes little more memory than its bytes', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = () => {
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const { packets, cut } = framer();
    const longest = publish(MAX - 12);
    const before = used();
    // each piece has memory of its own, as it comes from TLS
    for (const byte of longest.subarray(0, -1)) {
      const piece = Buffer.allocUnsafeSlow(1);
      piece[0] = byte;
      cut.take(piece);
    }
    // memory of buffers is given back some time after they were collected
    await vi.waitFor(() => expect(used() - before).toBeLessThan(20 * MAX), 10_000);
    cut.take(longest.subarray(-1));
    expect(packets).toEqual([longest.toString('hex')]);
  });

  it('the longest packet that may come is taken', () => {
    const { packets, malformed, cut } = framer();
    const longest = publish(MAX - 12);
    cut.take(longest);
    expect([packets, malformed]).toEqual([[longest.toString('hex')], []]);
  });
});
