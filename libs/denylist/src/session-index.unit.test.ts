import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { denyKey, peerDenyKeys } from './deny-key.ts';
import { SessionIndex, type StartTimer } from './session-index.ts';

const HOUR = 3_600_000;

function keysOf(serial: number, issuerKeyId = 'ca01') {
  const serialNumber = serial.toString(16).padStart(8, '0');
  return peerDenyKeys({
    fingerprint: `f${serialNumber}`,
    publicKeyHash: `k${serialNumber}`,
    serialNumber,
    issuerKeyId,
    account: 'acme',
    deviceId: `dev-${serial}`,
  });
}

/** A clock and its one timer. `advance` fires what falls due on the way. */
function clockwork(start = 1_000_000) {
  let time = start;
  let due: { at: number; fire: () => void } | undefined;
  /** The wall clock was set; timers go by another one. */
  const set = (to: number) => {
    if (due !== undefined) due.at += to - time;
    time = to;
  };
  const waits: number[] = [];
  const startTimer: StartTimer = (fire, ms) => {
    const mine = { at: time + ms, fire };
    due = mine;
    waits.push(ms);
    return () => {
      if (due === mine) due = undefined;
    };
  };
  const advance = (ms: number) => {
    const until = time + ms;
    while (due !== undefined && due.at <= until) {
      const { at, fire } = due;
      time = at;
      due = undefined;
      fire();
    }
    time = until;
  };
  return { now: () => time, startTimer, advance, set, waits, armed: () => due !== undefined };
}

function setup() {
  const clock = clockwork();
  const errors: unknown[] = [];
  const index = new SessionIndex({ ...clock, onError: (error) => errors.push(error) });
  const ended: string[] = [];
  const enter = (serial: number, notAfter: number, issuer?: string) =>
    index.enter({
      keys: keysOf(serial, issuer),
      notAfter,
      end: (reason) => ended.push(`${serial} ${reason}`),
    });
  return { clock, index, ended, enter, errors };
}

describe('the index of live sessions', () => {
  it('F72: ends all sessions of an account that is denied, and none of another', () => {
    const { now, startTimer } = clockwork();
    using index = new SessionIndex({ now, startTimer, onError: () => {} });
    const ended: string[] = [];
    const enter = (account: string, serialNumber: string) =>
      index.enter({
        keys: peerDenyKeys({
          ...{ fingerprint: `f${serialNumber}`, publicKeyHash: `k${serialNumber}`, serialNumber },
          ...{ issuerKeyId: 'ca01', account, deviceId: `dev-${serialNumber}` },
        }),
        notAfter: now() + HOUR,
        end: () => void ended.push(`${account} ${serialNumber}`),
      });
    for (const serial of ['01', '02']) enter('acme', serial);
    enter('other', '03');
    expect(index.endDenied([denyKey({ kind: 'account', account: 'acme' })])).toBe(2);
    expect(ended).toEqual(['acme 01', 'acme 02']);
    expect(index.size).toBe(1);
  });

  it('F73: ends exactly the sessions that a delta names, by any of their keys, and each once', () => {
    const { index, ended, enter, clock } = setup();
    for (let serial = 1; serial <= 5; serial++) enter(serial, clock.now() + HOUR, serial < 4 ? 'aa' : 'bb');
    const { certificate, key, device } = keysOf(2, 'aa');
    expect(index.endDenied([certificate, key, device ?? ''])).toBe(1);
    expect(ended).toEqual(['2 denied']);
    expect(index.endDenied([keysOf(4, 'bb').ca])).toBe(2);
    expect(ended).toEqual(['2 denied', '4 denied', '5 denied']);
    expect(index.size).toBe(2);
  });

  it('checks every live session again after a reload', () => {
    const { index, ended, enter, clock } = setup();
    for (let serial = 1; serial <= 3; serial++) enter(serial, clock.now() + HOUR);
    const denied = keysOf(3).fingerprint;
    expect(index.recheck((key) => key === denied)).toBe(1);
    expect(ended).toEqual(['3 denied']);
  });

  it('F78: ends a session at the notAfter of its certificate, not before', () => {
    const { ended, enter, clock } = setup();
    enter(1, clock.now() + 5000);
    enter(2, clock.now() + 2000);
    clock.advance(1999);
    expect(ended).toEqual([]);
    clock.advance(1);
    expect(ended).toEqual(['2 expired']);
    clock.advance(3000);
    expect(ended).toEqual(['2 expired', '1 expired']);
    expect(clock.armed()).toBe(false);
  });

  it('F78: reaches a notAfter 60 days ahead, and never waits longer than a minute at a time', () => {
    const { ended, enter, clock } = setup();
    enter(1, clock.now() + 60 * 24 * HOUR);
    clock.advance(60 * 24 * HOUR - 1);
    expect(ended).toEqual([]);
    clock.advance(1);
    expect(ended).toEqual(['1 expired']);
    expect(Math.max(...clock.waits)).toBe(60_000);
  });

  it('F78: ends what has expired by a clock that was set forward, with the next connection at the latest', () => {
    const { ended, enter, clock } = setup();
    enter(1, clock.now() + 24 * HOUR);
    enter(2, clock.now() + 1000 * 24 * HOUR);
    clock.set(clock.now() + 365 * 24 * HOUR);
    expect(ended).toEqual([]);
    enter(3, clock.now() + HOUR);
    expect(ended).toEqual(['1 expired']);
    clock.advance(HOUR);
    expect(ended).toEqual(['1 expired', '3 expired']);
  });

  it('F78: a clock that was set back ends nothing before its time, and what comes then in its time', () => {
    const { ended, enter, clock } = setup();
    enter(1, clock.now() + HOUR);
    clock.set(clock.now() - 24 * HOUR);
    enter(2, clock.now() + 2 * HOUR);
    clock.advance(HOUR);
    expect(ended).toEqual([]);
    clock.advance(HOUR);
    expect(ended).toEqual(['2 expired']);
    clock.advance(23 * HOUR);
    expect(ended).toEqual(['2 expired', '1 expired']);
  });

  it('F78: with a tick each minute it sets a timer only for an end before the next one, and reads the clock at each tick', () => {
    const clock = clockwork();
    const listeners = new Set<() => void>();
    const ticks = {
      on(listener: () => void) {
        listeners.add(listener);
        return { [Symbol.dispose]: () => void listeners.delete(listener) };
      },
    };
    const tick = () => {
      for (const listener of listeners) listener();
    };
    const ended: string[] = [];
    const index = new SessionIndex({ ...clock, ticks, onError: (error) => ended.push(String(error)) });
    const enter = (serial: number, notAfter: number) =>
      index.enter({ keys: keysOf(serial), notAfter, end: (reason) => ended.push(`${serial} ${reason}`) });
    enter(1, clock.now() + 24 * HOUR);
    expect(clock.armed()).toBe(false);
    clock.set(clock.now() + 25 * HOUR);
    tick();
    expect(ended).toEqual(['1 expired']);
    enter(2, clock.now() + HOUR);
    clock.set(clock.now() + HOUR - 30_000);
    tick();
    expect(clock.armed()).toBe(true);
    clock.set(clock.now() - 24 * HOUR);
    clock.advance(30_000);
    expect(ended).toEqual(['1 expired']);
    expect(clock.armed()).toBe(false);
    clock.set(clock.now() + 24 * HOUR);
    tick();
    expect(ended).toEqual(['1 expired', '2 expired']);
    index[Symbol.dispose]();
    expect(listeners.size).toBe(0);
  });

  it('ends no session that has left, neither by a delta nor by its notAfter', () => {
    const { index, ended, enter, clock } = setup();
    const session = enter(1, clock.now() + 1000);
    session.leave();
    session.leave();
    expect(index.endDenied([keysOf(1).key])).toBe(0);
    clock.advance(HOUR);
    expect(ended).toEqual([]);
    expect(index.size).toBe(0);
  });

  it('ends a session at once whose certificate has expired already', () => {
    const { ended, enter, clock } = setup();
    enter(1, clock.now() - 1);
    clock.advance(0);
    expect(ended).toEqual(['1 expired']);
  });

  it('ends the others when the end of one fails, and says so', () => {
    const { index, ended, enter, clock, errors } = setup();
    index.enter({
      keys: keysOf(1),
      notAfter: clock.now() + HOUR,
      end: () => {
        throw new Error('socket is gone');
      },
    });
    enter(2, clock.now() + HOUR);
    expect(index.endDenied([keysOf(1).ca])).toBe(2);
    expect(ended).toEqual(['2 denied']);
    expect(errors).toEqual([new Error('socket is gone')]);
  });

  it('keeps the order of expiry whatever enters and leaves', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ after: fc.integer({ min: 1, max: 50 }), leaves: fc.boolean() }), {
          maxLength: 60,
        }),
        (sessions) => {
          const { enter, ended, clock, index } = setup();
          const start = clock.now();
          const handles = sessions.map(({ after }, serial) => enter(serial, start + after));
          handles.forEach((handle, serial) => {
            if (sessions[serial]?.leaves) handle.leave();
          });
          const wanted = (until: number) =>
            sessions.flatMap(({ after, leaves }, serial) =>
              !leaves && after <= until ? [`${serial} expired`] : [],
            );
          for (let passed = 10; passed <= 50; passed += 10) {
            clock.advance(10);
            expect(ended.toSorted()).toEqual(wanted(passed).toSorted());
          }
          expect(index.size).toBe(0);
        },
      ),
    );
  });
});
