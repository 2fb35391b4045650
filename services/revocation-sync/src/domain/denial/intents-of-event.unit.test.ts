import { newEvent, type SignetEvent } from '@signet/contracts';
import { expect, it } from 'vitest';
import { applyIntent, type DenyState, freshState } from './deny-state.ts';
import { intentsOfEvent } from './intents-of-event.ts';

const certificate = {
  deviceId: 'dev-1',
  serialNumber: '5a01',
  issuerKeyId: 'ab'.repeat(20),
  fingerprint: 'cd'.repeat(32),
  publicKeyHash: 'ef'.repeat(32),
  profile: 'acme',
  notBefore: '2026-01-01T00:00:00.000Z',
  notAfter: '2027-01-01T00:00:00.000Z',
};
const facts = { account: 'acme', subject: 'dev-1', time: Date.UTC(2026, 5, 1) };
const held: SignetEvent = {
  ...newEvent('CERT_REVOKED', { ...facts, data: { ...certificate, reason: 'certificateHold', by: 'ada' } }),
  sequence: 2,
};
const released: SignetEvent = {
  ...newEvent('CERT_RELEASED', { ...facts, data: { ...certificate, by: 'ada' } }),
  sequence: 3,
};

/** What these events come to, in the order in which they are heard of. */
function after(events: readonly SignetEvent[]): DenyState | undefined {
  let state: DenyState | undefined;
  for (const intent of events.flatMap((event) => intentsOfEvent(event, 0)))
    state = applyIntent(state ?? freshState({ ...intent, key: 'key' }), intent);
  return state;
}

it('a certificate whose hold was lifted is no longer denied, in whatever order both are heard of', () => {
  expect(after([held])?.holds).toMatchObject([{ cause: 'revoked', reason: 'certificateHold' }]);
  expect(after([held, released])?.holds).toEqual([]);
  expect(after([released, held])?.holds).toEqual([]);
  const forGood: SignetEvent = {
    ...newEvent('CERT_REVOKED', { ...facts, data: { ...certificate, reason: 'keyCompromise', by: 'ada' } }),
    sequence: 4,
  };
  expect(after([forGood, released, held])?.holds).toMatchObject([{ reason: 'keyCompromise' }]);
});

it('a revoked device that its registrar registers anew is denied no more, in whatever order both are heard of', () => {
  const device = { deviceId: 'dev-1', fingerprint: 'cd'.repeat(32), deviceSerialNumber: 'dev-1' };
  const data = { ...device, by: 'ada', account: 'acme' };
  const retired: SignetEvent = {
    ...newEvent('DEVICE_RETIRED', { ...facts, data: { ...data, reason: 'lost' } }),
    sequence: 3,
  };
  const again: SignetEvent = { ...newEvent('DEVICE_UNBLOCKED', { ...facts, data }), sequence: 4 };
  expect(after([retired])?.holds).not.toEqual([]);
  expect(after([retired, again])?.holds).toEqual([]);
  expect(after([again, retired])?.holds).toEqual([]);
  // an earlier unblocking says nothing of a revocation after it
  expect(after([{ ...again, sequence: 2 }, retired])?.holds).not.toEqual([]);
});

it('an account that is suspended with its devices is denied until it is resumed, and a deleted one for ever', () => {
  const of = { account: 'acme', subject: 'acme', time: Date.UTC(2026, 5, 1) };
  const numbered = (event: SignetEvent, sequence: number): SignetEvent => ({ ...event, sequence });
  const suspended = (devices: { devices?: true }) =>
    newEvent('ACCOUNT_SUSPENDED', { ...of, data: { reason: 'unpaid', by: 'ada', ...devices } });
  const resumed = numbered(newEvent('ACCOUNT_RESUMED', { ...of, data: { by: 'ada' } }), 3);
  const deleted = numbered(newEvent('ACCOUNT_DELETED', { ...of, data: { by: 'ada' } }), 4);
  expect(after([numbered(suspended({}), 2)])).toBeUndefined();
  const cut = numbered(suspended({ devices: true }), 2);
  expect(after([cut])).toMatchObject({
    target: { kind: 'account', account: 'acme' },
    holds: [{ reason: 'account suspended: unpaid', expiresAt: 0 }],
  });
  expect(after([cut, resumed])?.holds).toEqual([]);
  expect(after([resumed, cut])?.holds).toEqual([]);
  expect(after([cut, resumed, deleted, resumed])?.holds).toMatchObject([
    { reason: 'account deleted', expiresAt: 0 },
  ]);
});
