import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord } from './record.ts';

const message = fc.record({
  kind: fc.constant('message' as const),
  number: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  topic: fc.string({ unit: 'grapheme', maxLength: 40 }),
  payload: fc.uint8Array({ maxLength: 200 }),
});

describe('a record of the queue', () => {
  it('is read as it was written, wherever it lies', () => {
    fc.assert(
      fc.property(message, fc.uint8Array({ maxLength: 20 }), (record, before) => {
        const bytes = Buffer.concat([before, encodeRecord(record)]);
        const read = decodeRecord(bytes, before.length);
        expect(read).toEqual({
          record: { ...record, payload: Buffer.from(record.payload) },
          end: bytes.length,
        });
      }),
    );
  });

  it('is none with any byte missing or any bit changed', () => {
    const whole = encodeRecord({ kind: 'message', number: 7, topic: 'a/b', payload: Buffer.from('told') });
    for (let length = 0; length < whole.length; length++)
      expect(decodeRecord(whole.subarray(0, length), 0)).toBeUndefined();
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const changed = Buffer.from(whole);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decodeRecord(changed, 0), `bit ${bit}`).toBeUndefined();
    }
  });
});
