import type { DeviceKey } from '@signet/contracts';
import type { Change } from '@signet/store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addIssuedKey, announceNext, promoteOnContact, replaceCertificate } from './arriving-keys.ts';
import { dropRevokedKey, endRotation, isConfirmed } from './end-rotation.ts';
import { emptyRing, KeyRing, KeyRingError, rotationIdOf, statusOf } from './key-ring.ts';
import { confirmNext } from './rotation-progress.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

/** The n-th key of the device, with a certificate issued in the n-th minute. */
function key(n: number, serial = n): DeviceKey {
  return {
    publicKey: `-----BEGIN PUBLIC KEY-----\n${n}\n`,
    publicKeyHash: n.toString(16).padStart(64, '0'),
    serialNumber: serial.toString(16).padStart(8, '0'),
    since: new Date(now + serial * 60_000).toISOString(),
  };
}
const hash = (n: number) => key(n).publicKeyHash;
type Made = Change<KeyRing> | undefined;
const types = (step: Made) => step?.events?.map(({ type }) => type) ?? [];
const ringOf = (...steps: ((ring: KeyRing) => Made)[]) =>
  steps.reduce((ring, step) => step(ring)?.document ?? ring, emptyRing('acme', 'pump-1'));
const issue =
  (n: number, serial = n) =>
  (ring: KeyRing) =>
    addIssuedKey(ring, key(n, serial), now);
const announce = (by: number, n: number) => (ring: KeyRing) =>
  announceNext(ring, { currentPublicKeyHash: hash(by), next: key(n), now });
const contact = (n: number) => (ring: KeyRing) => promoteOnContact(ring, hash(n), now);
const statuses = (ring: KeyRing, ...keys: number[]) => keys.map((n) => statusOf(ring, hash(n)));

describe('a rotation', () => {
  test('F31: announced, both keys are accepted; the first contact promotes, once, and says so', () => {
    const ring = ringOf(issue(1));
    const started = announce(1, 2)(ring);
    expect(types(started)).toEqual(['DEVICE_ROTATION_STARTED']);
    const both = started?.document ?? ring;
    expect(statuses(both, 1, 2)).toEqual(['current', 'next']);
    expect(contact(1)(both)).toBeUndefined();
    const promoted = contact(2)(both);
    expect(promoted?.events).toMatchObject([
      {
        type: 'DEVICE_PUBKEY_CHANGE',
        data: {
          NewPubKey: key(2).publicKey,
          OldPubKey: key(1).publicKey,
          newSerialNumber: key(2).serialNumber,
          rotationId: 'key-00000002',
        },
      },
      { type: 'DEVICE_ROTATION_COMPLETED', data: { rotationId: 'key-00000002' } },
    ]);
    const after = promoted?.document ?? ring;
    expect(statuses(after, 1, 2)).toEqual(['former', 'current']);
    expect(contact(2)(after)).toBeUndefined();
  });

  test('F38: announced twice, both keys are good; the one that is seen first wins, the other and the old one are refused', () => {
    const ring = ringOf(issue(1), announce(1, 2), announce(1, 3));
    expect(statuses(ring, 1, 2, 3)).toEqual(['current', 'next', 'next']);
    for (const [seen, other] of [
      [2, 3],
      [3, 2],
    ] as const) {
      const step = contact(seen)(ring);
      expect(types(step)).toEqual([
        'DEVICE_PUBKEY_CHANGE',
        'DEVICE_ROTATION_COMPLETED',
        'DEVICE_ROTATION_CANCELLED',
      ]);
      expect(step?.events?.at(-1)?.data).toMatchObject({
        ...{ serialNumber: key(other).serialNumber, reason: 'replaced', by: 'pump-1' },
        rotationId: `key-${key(other).serialNumber}`,
      });
      const after = step?.document ?? ring;
      expect(statuses(after, 1, seen, other)).toEqual(['former', 'current', 'former']);
      expect([after.next, after.waiting]).toEqual([undefined, undefined]);
      expect(() => announce(other, 4)(after)).toThrowError(KeyRingError);
      expect(() => announce(other, 4)(after)).toThrowError(
        'publicKey: pump-1 came with a key that was replaced',
      );
    }
  });

  test('F38: four keys are announced at most; the fifth announcement retires the oldest', () => {
    const ring = ringOf(issue(1), ...[2, 3, 4, 5].map((n) => announce(1, n)));
    expect(statuses(ring, 2, 3, 4, 5)).toEqual(['next', 'next', 'next', 'next']);
    const step = announce(1, 6)(ring);
    expect(step?.events).toMatchObject([
      { type: 'DEVICE_ROTATION_CANCELLED', data: { serialNumber: key(2).serialNumber, reason: 'replaced' } },
      { type: 'DEVICE_ROTATION_STARTED' },
    ]);
    expect(statuses(step?.document ?? ring, 2, 3, 4, 5, 6)).toEqual([
      'former',
      'next',
      'next',
      'next',
      'next',
    ]);
  });

  test('an announcement that is repeated changes nothing', () => {
    expect(announce(1, 2)(ringOf(issue(1), announce(1, 2)))).toBeUndefined();
  });

  test('a renewal by the next key is its first contact', () => {
    const step = announce(2, 3)(ringOf(issue(1), announce(1, 2)));
    expect(types(step)).toEqual([
      'DEVICE_PUBKEY_CHANGE',
      'DEVICE_ROTATION_COMPLETED',
      'DEVICE_ROTATION_STARTED',
    ]);
    expect(statuses(step?.document ?? ringOf(), 1, 2, 3)).toEqual(['former', 'current', 'next']);
  });

  test('a device may go back to a key that it had before, with a new certificate', () => {
    const ring = ringOf(issue(1), announce(1, 2), contact(2), issue(1, 9));
    expect(statuses(ring, 1, 2)).toEqual(['next', 'current']);
    expect(
      statuses(
        ringOf(() => ({ document: ring }), contact(1)),
        1,
        2,
      ),
    ).toEqual(['current', 'former']);
  });

  test('a cancelled rotation holds nothing, and its key stays good until it is seen', () => {
    const ring = ringOf(issue(1), announce(1, 2), (at) => confirmNext(at, hash(2), now));
    expect(isConfirmed(ring)).toBe(true);
    const step = endRotation(ring, { by: 'ada', now, revoke: false });
    expect(step?.events).toMatchObject([
      { type: 'DEVICE_ROTATION_CANCELLED', data: { reason: 'cancelled', by: 'ada', keyKept: true } },
    ]);
    const after = step?.document ?? ring;
    expect([after.next, after.rotation, after.rotatingSince, rotationIdOf(after)]).toEqual(
      Array.from({ length: 4 }, () => undefined),
    );
    expect(statuses(after, 1, 2)).toEqual(['current', 'next']);
    expect(isConfirmed(after)).toBe(true);
    expect(endRotation(after, { by: 'ada', now, revoke: false })).toBeUndefined();
    expect(types(contact(2)(after))).toEqual(['DEVICE_PUBKEY_CHANGE', 'DEVICE_ROTATION_COMPLETED']);
  });

  test('a cancellation that revokes drops every announced key', () => {
    const ring = ringOf(issue(1), announce(1, 2), announce(1, 3));
    const step = endRotation(ring, { by: 'ada', now, revoke: true });
    expect(step?.events?.map(({ data }) => data)).toMatchObject([
      { serialNumber: key(2).serialNumber, rotationId: `key-${key(2).serialNumber}` },
      { serialNumber: key(3).serialNumber, rotationId: `key-${key(3).serialNumber}` },
    ]);
    expect(statuses(step?.document ?? ring, 1, 2, 3)).toEqual(['current', 'former', 'former']);
  });

  test('a next key that is revoked before it was seen ends its rotation', () => {
    const ring = ringOf(issue(1), announce(1, 2), (at) => dropRevokedKey(at, key(2).serialNumber));
    expect(ring.next).toBeUndefined();
    expect(statuses(ring, 1, 2)).toEqual(['current', 'former']);
    expect(dropRevokedKey(ring, key(1).serialNumber)).toBeUndefined();
  });
});

describe('F29: a device whose certificate was revoked comes back with a new key', () => {
  test('its first contact makes that key current', () => {
    const ring = ringOf(issue(1), (at) => dropRevokedKey(at, key(1).serialNumber), issue(2));
    expect(statuses(ring, 1, 2)).toEqual(['current', 'next']);
    expect(
      statuses(
        ringOf(() => ({ document: ring }), contact(2)),
        1,
        2,
      ),
    ).toEqual(['former', 'current']);
  });

  test('a contact that comes before the event of the certificate counts when that event comes', () => {
    const early = ringOf(issue(1), contact(2));
    expect(statuses(early, 2)).toEqual(['unheard']);
    expect(() => announce(2, 3)(early)).toThrowError(
      'publicKey: nothing was heard yet of this key of pump-1',
    );
    const step = issue(2)(early);
    expect(types(step)).toEqual([
      'DEVICE_ROTATION_STARTED',
      'DEVICE_PUBKEY_CHANGE',
      'DEVICE_ROTATION_COMPLETED',
    ]);
    expect(statuses(step?.document ?? early, 1, 2)).toEqual(['former', 'current']);
    expect(step?.document.early).toBeUndefined();
  });
});

describe('late and repeated events', () => {
  test('of a certificate that was replaced put its key nowhere', () => {
    const ring = ringOf(issue(1), announce(1, 2), contact(2));
    expect(issue(1)(ring)).toBeUndefined();
    expect(replaceCertificate(ring, key(1))).toBeUndefined();
    expect(statuses(ringOf(issue(2), issue(1)), 1, 2)).toEqual(['former', 'current']);
  });

  test('a renewal whose announcement failed was never handed out, and is no key', () => {
    expect(replaceCertificate(ringOf(issue(1)), key(2))).toBeUndefined();
  });

  test('a renewal with the same key brings its newer certificate, an older one does not come back', () => {
    const ring = ringOf(issue(1), (at) => replaceCertificate(at, key(1, 5)));
    expect(ring.current?.serialNumber).toBe(key(1, 5).serialNumber);
    expect(issue(1)(ring)).toBeUndefined();
  });
});

test('whatever comes, in whatever order, a device is never shut out with its newest key, and ends with it', () => {
  const moves = ['enrol', 'renew', 'contact', 'deliver', 'again', 'revoke', 'cancel'] as const;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...moves), fc.nat(7)), { maxLength: 40 }), (script) => {
      let ring = emptyRing('acme', 'pump-1');
      let newest = 0;
      let made = 0;
      const pending: ((at: KeyRing) => Made)[] = [];
      const delivered: ((at: KeyRing) => Made)[] = [];
      const apply = (step: (at: KeyRing) => Made) => {
        ring = step(ring)?.document ?? ring;
      };
      const deliver = (at: number) => {
        for (const step of pending.splice(at % Math.max(pending.length, 1), 1)) {
          apply(step);
          delivered.push(step);
        }
      };
      const enrol = () => {
        newest = ++made;
        pending.push(issue(newest));
      };
      enrol();
      for (const [move, at] of script) {
        if (move === 'enrol') enrol();
        if (move === 'contact') apply(contact(newest));
        if (move === 'cancel') apply((held) => endRotation(held, { by: 'ada', now, revoke: false }));
        if (move === 'deliver') deliver(at);
        if (move === 'again' && delivered.length > 0)
          apply(delivered[at % delivered.length] ?? (() => undefined));
        if (move === 'renew') {
          const next = ++made;
          pending.push((held) => replaceCertificate(held, key(next)));
          try {
            apply(announce(newest, next));
            newest = next;
          } catch (error) {
            expect(error).toMatchObject({ code: 'unheard-key' });
          }
        }
        if (move === 'revoke') {
          // Events of one certificate keep their order: what is revoked was heard of.
          while (pending.length > 0) deliver(0);
          const serial = key(newest).serialNumber;
          apply((held) => dropRevokedKey(held, serial));
          enrol();
        }
        expect(KeyRing.safeParse(ring).success).toBe(true);
        expect(statusOf(ring, hash(newest))).not.toBe('former');
        expect(ring.current?.publicKeyHash).not.toBe(ring.next?.publicKeyHash ?? 'none');
        const held = [ring.current, ring.next, ...(ring.waiting ?? [])].flatMap(
          (slot) => slot?.publicKeyHash ?? [],
        );
        expect(new Set(held).size).toBe(held.length);
        expect(ring.former.filter(({ publicKeyHash }) => held.includes(publicKeyHash))).toEqual([]);
      }
      while (pending.length > 0) deliver(0);
      apply(contact(newest));
      expect([ring.current?.publicKeyHash, ring.next, ring.waiting, ring.early]).toEqual([
        hash(newest),
        undefined,
        undefined,
        undefined,
      ]);
    }),
    { numRuns: 2000 },
  );
});
