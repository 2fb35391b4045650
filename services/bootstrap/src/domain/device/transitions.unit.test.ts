import type { DeviceState } from '@signet/contracts';
import type { Change } from '@signet/store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeviceRecord } from '../../collections.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { advance, block, claim, handOff, retire, unblock, withdrawBlock } from './transitions.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

const made: DeviceRecord = {
  id: 'ab'.repeat(32),
  deviceId: 'pump-17',
  factoryAccount: 'maker',
  deviceSerialNumber: 'SN-17',
  model: 'P200',
  certificate: '-----BEGIN CERTIFICATE-----\n',
  certificateSerial: '0a1b',
  publicKeyHash: 'cd'.repeat(32),
  authorityId: 'factory-1',
  made: '0195511c-0e2b-7d11-9c5e-5a2f0e7c1b20',
  manufacturedAt: '2026-01-01T00:00:00.000Z',
  state: 'manufactured',
};

const claimed: DeviceRecord = { ...made, state: 'claimed', account: 'acme', claimedAt: made.manufacturedAt };

const inState = (state: DeviceState): DeviceRecord => ({ ...claimed, state });

const ada = { by: 'ada', now };

function failure(run: () => unknown): BootstrapError {
  try {
    run();
  } catch (error) {
    if (error instanceof BootstrapError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

const types = (step: Change<DeviceRecord> | undefined) => step?.events?.map(({ type }) => type);

describe('claim', () => {
  test('puts a manufactured device into the account, under the id that the claim gives', () => {
    const step = claim(made, { ...ada, account: 'acme', deviceId: 'hall-3-pump', group: 'hall-3' });
    expect(step?.document).toMatchObject({
      state: 'claimed',
      account: 'acme',
      deviceId: 'hall-3-pump',
      group: 'hall-3',
      claimedAt: '2026-03-01T12:00:00.000Z',
    });
    expect(step?.events).toMatchObject([
      {
        type: 'DEVICE_CLAIMED',
        account: 'acme',
        subject: 'hall-3-pump',
        data: { by: 'ada', group: 'hall-3' },
      },
    ]);
  });

  test('repeated by its owner changes nothing, however far the device has come', () => {
    for (const state of ['claimed', 'bootstrapped', 'enrolled', 'active'] as const)
      expect(claim(inState(state), { ...ada, account: 'acme' })).toBeUndefined();
  });

  test('does not rename a device in silence', () => {
    const error = failure(() => claim(inState('active'), { ...ada, account: 'acme', deviceId: 'other' }));
    expect(error.code).toBe('illegal-transition');
    expect(error.message).toBe('state: a device cannot go from "active" to "claimed"');
  });

  test('of another account’s device is refused and does not say whose it is', () => {
    const error = failure(() => claim(inState('claimed'), { ...ada, account: 'rival' }));
    expect(error.code).toBe('claimed-by-another');
    expect(error.message).toBe('fingerprint: this device belongs to another account');
  });

  test('F61: of a device that was blocked before anybody claimed it is refused, with the reason', () => {
    const blocked = block(made, { ...ada, reason: 'stolen from the dock' })?.document ?? made;
    const error = failure(() => claim(blocked, { ...ada, account: 'acme' }));
    expect(error.code).toBe('blocked');
    expect(error.message).toBe('fingerprint: the device is blocked: stolen from the dock');
  });

  test('of a retired device names both states', () => {
    const error = failure(() => claim({ ...made, state: 'retired' }, { ...ada, account: 'acme' }));
    expect(error.message).toBe('state: a device cannot go from "retired" to "claimed"');
  });
});

describe('block, unblock, retire', () => {
  test('an unblocked device is where it was, and where events brought it meanwhile', () => {
    const blocked = block(inState('bootstrapped'), { ...ada, reason: 'lost' })?.document ?? made;
    expect(unblock(blocked, ada)?.document.state).toBe('bootstrapped');
    const enrolled = advance(blocked, 'enrolled')?.document ?? made;
    expect(enrolled.state).toBe('blocked');
    const unblocked = unblock(enrolled, ada);
    expect(unblocked?.document).toEqual({ ...inState('enrolled') });
    expect(types(unblocked)).toEqual(['DEVICE_UNBLOCKED']);
  });

  test('F30, F62: an operator’s block outlives the CRL entry or CA that had blocked the device before', () => {
    const listed = block(inState('active'), {
      by: 'CRL source maker',
      now,
      reason: 'listed',
      cause: 'CRL x',
    });
    const step = block(listed?.document ?? made, { ...ada, reason: 'lost' });
    expect(step?.document).toEqual({ ...inState('blocked'), blockedFrom: 'active', reason: 'lost' });
    expect(step?.events).toMatchObject([{ type: 'DEVICE_BLOCKED', data: { by: 'ada', reason: 'lost' } }]);
    const blocked = step?.document ?? made;
    expect(block(blocked, { ...ada, reason: 'again' })).toBeUndefined();
    expect(block(blocked, { ...ada, reason: 'listed', cause: 'CRL x' })).toBeUndefined();
    expect(unblock(blocked, ada)?.document.state).toBe('active');
  });

  test('F30: what two things block is blocked until both are gone, and says which of them is left', () => {
    const facts = { by: 'CRL source maker', now };
    const one = block(inState('active'), { ...facts, reason: 'one', cause: 'CRL a' })?.document ?? made;
    const both = block(one, { ...facts, reason: 'two', cause: 'CRL b' });
    expect(both?.events).toBeUndefined();
    expect(block(both?.document ?? made, { ...facts, reason: 'two', cause: 'CRL b' })).toBeUndefined();
    const left = withdrawBlock(both?.document ?? made, { ...facts, cause: 'CRL a' });
    expect(left?.document).toMatchObject({ state: 'blocked', reason: 'two' });
    expect(left?.events).toBeUndefined();
    expect(withdrawBlock(left?.document ?? made, { ...facts, cause: 'CRL a' })).toBeUndefined();
    const free = withdrawBlock(left?.document ?? made, { ...facts, cause: 'CRL b' });
    expect(free?.document).toEqual(inState('active'));
    expect(types(free)).toEqual(['DEVICE_UNBLOCKED']);
  });

  test('commands that ask for what cannot be name both states', () => {
    const cannot: [() => unknown, string][] = [
      [
        () => unblock(inState('active'), ada),
        'state: only a device that is "blocked" can be unblocked, this one is "active"',
      ],
      [
        () => block(inState('retired'), { ...ada, reason: '' }),
        'state: a device cannot go from "retired" to "blocked"',
      ],
      [
        () => unblock(inState('retired'), ada),
        'state: only a device that is "blocked" can be unblocked, this one is "retired"',
      ],
    ];
    for (const [run, message] of cannot) {
      const error = failure(run);
      expect(error.code).toBe('illegal-transition');
      expect(error.message).toBe(message);
    }
  });

  test('retired is where late events leave a device', () => {
    const retired = retire(inState('active'), { ...ada, reason: 'scrapped' });
    expect(types(retired)).toEqual(['DEVICE_RETIRED']);
    expect(advance(retired?.document ?? made, 'enrolled')).toBeUndefined();
    expect(retire(retired?.document ?? made, { ...ada, reason: 'again' })).toBeUndefined();
  });
});

test('F65: only the first handoff of an onboarding is an event', () => {
  const first = handOff(claimed, { instance: 'eu-1', now });
  expect(types(first)).toEqual(['DEVICE_BOOTSTRAPPED']);
  expect(handOff(first?.document ?? made, { instance: 'eu-1', now })).toBeUndefined();
});

test('F56: whatever commands and events come, in whatever order, states are legal and immutable fields stay', () => {
  const steps = {
    claim: (record: DeviceRecord) => claim(record, { ...ada, account: 'acme' }),
    claimByRival: (record: DeviceRecord) => claim(record, { ...ada, account: 'rival', deviceId: 'theirs' }),
    handOff: (record: DeviceRecord) => handOff(record, { instance: 'eu-1', now }),
    certificateIssued: (record: DeviceRecord) => advance(record, 'enrolled'),
    connected: (record: DeviceRecord) => advance(record, 'active'),
    block: (record: DeviceRecord) => block(record, { ...ada, reason: 'lost' }),
    unblock: (record: DeviceRecord) => unblock(record, ada),
    retire: (record: DeviceRecord) => retire(record, { ...ada, reason: 'scrapped' }),
  };
  const line: DeviceState[] = ['manufactured', 'claimed', 'bootstrapped', 'enrolled', 'active'];
  const names = Object.keys(steps) as (keyof typeof steps)[];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...names), { maxLength: 30 }), (order) => {
      let record = made;
      for (const name of order) {
        let step: Change<DeviceRecord> | undefined;
        try {
          step = steps[name](record);
        } catch (error) {
          expect(error).toBeInstanceOf(BootstrapError);
          continue;
        }
        const next = step?.document ?? record;
        expect(DeviceRecord.safeParse(next).success).toBe(true);
        const { id, deviceSerialNumber, model, certificate, factoryAccount, publicKeyHash } = next;
        expect({ id, deviceSerialNumber, model, certificate, factoryAccount, publicKeyHash }).toEqual({
          id: made.id,
          deviceSerialNumber: made.deviceSerialNumber,
          model: made.model,
          certificate: made.certificate,
          factoryAccount: made.factoryAccount,
          publicKeyHash: made.publicKeyHash,
        });
        if (record.state === 'retired') expect(next.state).toBe('retired');
        if (record.account !== undefined) expect(next.account).toBe(record.account);
        if (line.includes(record.state) && line.includes(next.state))
          expect(line.indexOf(next.state)).toBeGreaterThanOrEqual(line.indexOf(record.state));
        if (!['manufactured', 'blocked', 'retired'].includes(next.state)) expect(next.account).toBeDefined();
        expect(next.blockedFrom !== undefined).toBe(next.state === 'blocked');
        if (step !== undefined && next.state !== record.state && !name.match(/certificate|connected/))
          expect(step.events).toHaveLength(1);
        record = next;
      }
    }),
    { numRuns: 500 },
  );
});
