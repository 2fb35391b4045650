import { describe, expect, it } from 'vitest';
import { backoffMs, deadlineIn, pause, repeatedly, retry, withDeadline } from './index.ts';
import { manualTimers } from './testing.ts';

describe('backoff', () => {
  it('doubles from the first to the last wait', () => {
    const wait = (failures: number) => backoffMs(failures, { firstMs: 100, lastMs: 1000, jitter: 0 });
    expect([0, 1, 2, 3, 4, 5, 1_000_000].map(wait)).toEqual([100, 100, 200, 400, 800, 1000, 1000]);
  });

  it('leaves the share of the jitter to chance', () => {
    const options = { firstMs: 100, lastMs: 1000 };
    expect(backoffMs(1, { ...options, random: () => 0.5 })).toBe(87.5);
    expect(backoffMs(3, { ...options, jitter: 1, random: () => 0.5 })).toBe(200);
  });
});

describe('a pause', () => {
  it('ends when its time is over', async () => {
    const timers = manualTimers();
    const over = pause(1000, { timers });
    await timers.pass(1000);
    expect(await over).toBe(true);
  });

  it('ends early, without an error and without its timer, when the signal aborts', async () => {
    const timers = manualTimers();
    const stop = new AbortController();
    const over = pause(Number.POSITIVE_INFINITY, { timers, signal: stop.signal });
    stop.abort();
    expect(await over).toBe(false);
    expect(timers.waits()).toEqual([]);
    expect(await pause(1000, { timers, signal: stop.signal })).toBe(false);
  });
});

describe('a deadline', () => {
  it('gives the result of work that is in time, and leaves no timer', async () => {
    const timers = manualTimers();
    expect(await withDeadline(Promise.resolve('done'), 1000, () => 'late', timers)).toBe('done');
    expect(timers.waits()).toEqual([]);
  });

  it('gives what stands for late work, or throws it', async () => {
    const timers = manualTimers();
    const never = Promise.withResolvers<string>().promise;
    const late = withDeadline(never, 1000, () => 'late', timers);
    const thrown = withDeadline(
      never,
      1000,
      () => {
        throw new RangeError('too late');
      },
      timers,
    );
    const outcome = expect(thrown).rejects.toThrow('too late');
    await timers.pass(1000);
    expect(await late).toBe('late');
    await outcome;
  });

  it('passes the failure of the work on', async () => {
    await expect(withDeadline(Promise.reject(new Error('broken')), 1000, () => 'late')).rejects.toThrow(
      'broken',
    );
  });

  it('that is over, a fraction, or too long for a timer is a signal anyway', async () => {
    for (const ms of [-5, 0, 0.25]) {
      const signal = deadlineIn(ms);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    }
    expect(deadlineIn(2 ** 40).aborted).toBe(false);
  });
});

describe('a retry', () => {
  it('tries until the step succeeds, and tells of each failure', async () => {
    const timers = manualTimers();
    const told: number[] = [];
    let tries = 0;
    const result = retry(
      async () => {
        tries += 1;
        if (tries < 3) throw new Error('unavailable');
        return tries;
      },
      { firstMs: 100, lastMs: 1000, timers, onFailure: (_error, failures) => void told.push(failures) },
    );
    await timers.pass(100);
    await timers.pass(200);
    expect(await result).toBe(3);
    expect(told).toEqual([1, 2]);
  });

  it('ends with the failure where no other try is wanted, or the signal aborts', async () => {
    const broken = async () => {
      throw new Error('broken');
    };
    const options = { firstMs: 100, lastMs: 1000, timers: manualTimers() };
    const onFailure = (cause: unknown) => {
      throw new RangeError('given up', { cause });
    };
    await expect(retry(broken, { ...options, onFailure })).rejects.toThrow('given up');
    const stop = new AbortController();
    const outcome = expect(retry(broken, { ...options, signal: stop.signal })).rejects.toThrow('broken');
    stop.abort();
    await outcome;
  });
});

describe('repeated work', () => {
  it('runs at once, and again after each run has ended', async () => {
    const timers = manualTimers();
    let runs = 0;
    await using _work = repeatedly(() => void runs++, { everyMs: 100, timers, onError: () => {} });
    expect(runs).toBe(1);
    await timers.pass(250);
    expect(runs).toBe(3);
  });

  it('waits before its first run where it is told to, with jitter for anything up to the whole wait', async () => {
    const timers = manualTimers();
    const options = { everyMs: 100, jitter: 0.5, random: () => 0.4, timers, onError: () => {} } as const;
    await using _work = repeatedly(() => {}, { ...options, first: 'after-wait' });
    expect(timers.waits()).toEqual([40]);
    await timers.pass(40);
    expect(timers.waits()).toEqual([80]);
  });

  it('tells of a failure and goes on', async () => {
    const timers = manualTimers();
    const failures: unknown[] = [];
    let works = false;
    await using work = repeatedly(
      async () => {
        if (!works) throw new Error('no answer');
      },
      { everyMs: 100, timers, onError: (error) => failures.push(error) },
    );
    await timers.pass(0);
    expect(work.failure()).toBe('no answer');
    works = true;
    await timers.pass(100);
    expect(work.failure()).toBeUndefined();
    expect(failures).toHaveLength(1);
  });

  it('that is woken while it runs, runs once more as soon as that has ended', async () => {
    const timers = manualTimers();
    const turns: PromiseWithResolvers<void>[] = [];
    await using work = repeatedly(
      () => {
        const turn = Promise.withResolvers<void>();
        turns.push(turn);
        return turn.promise;
      },
      { everyMs: 1000, timers, onError: () => {} },
    );
    work.wake();
    work.wake();
    expect(turns).toHaveLength(1);
    turns[0]?.resolve();
    await timers.pass(0);
    expect(turns).toHaveLength(2);
    turns[1]?.resolve();
    await timers.pass(0);
    expect(turns).toHaveLength(2);
    work.wake();
    expect(turns).toHaveLength(3);
    expect(timers.waits()).toEqual([]);
    turns[2]?.resolve();
  });

  it('waits for what runs when it is disposed of, and then runs no more', async () => {
    const timers = manualTimers();
    const turn = Promise.withResolvers<void>();
    let runs = 0;
    const sources: string[] = [];
    const work = repeatedly(
      () => {
        runs += 1;
        return turn.promise;
      },
      {
        everyMs: 100,
        timers,
        onError: () => {},
        wakeOn: () => ({ [Symbol.dispose]: () => void sources.push('ended') }),
      },
    );
    let isDisposed = false;
    const disposed = work[Symbol.asyncDispose]().then(() => (isDisposed = true));
    await timers.pass(0);
    expect(isDisposed).toBe(false);
    turn.resolve();
    await disposed;
    work.wake();
    await timers.pass(1000);
    expect([runs, sources]).toEqual([1, ['ended']]);
  });

  it('ends with its signal', async () => {
    const timers = manualTimers();
    const stop = new AbortController();
    await using _work = repeatedly(() => {}, {
      everyMs: 100,
      timers,
      signal: stop.signal,
      onError: () => {},
    });
    await timers.pass(0);
    stop.abort();
    expect(timers.waits()).toEqual([]);
  });
});
