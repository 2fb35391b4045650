import { repeatedly } from '@signet/async';
import type { Bus } from '@signet/bus';
import type { Store } from '@signet/store';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** How often it is looked whether the clock has gone wrong, to say so in the log. */
const LOOK_MS = 5000;

/** Holds the clock of this process against those of the servers that all replicas share. */
export interface ClockWatch extends AsyncDisposable {
  /** Why nothing may be signed or published by this clock: it leads a server's by more than the bound. */
  fault(): string | undefined;
}

type ServerTime = { readonly earliest: number; readonly latest: number };

export type ClockWatchOptions = {
  readonly store: Pick<Store, 'serverTime'>;
  readonly bus: Pick<Bus, 'serverTime'>;
  /** The clock of this process, Unix ms. */
  readonly now: () => number;
  readonly boundMs: number;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly log: Logger;
};

/**
 * Watches the clock. What is signed by one that leads is not valid yet for anybody else, and hides what the others do
 * meanwhile; so whoever signs asks `fault` first. One that leads or lags by more than the bound is not ready.
 */
export function watchClock(options: ClockWatchOptions): ClockWatch {
  const { now, boundMs, health, metrics, log } = options;
  const references = { store: options.store, bus: options.bus };
  const differences = () =>
    Object.entries(references).flatMap(([reference, server]) => {
      const time = server.serverTime();
      return time === undefined ? [] : [{ reference, ms: differenceOf(now(), time) }];
    });
  const fault = (isWrong: (ms: number) => boolean): string | undefined => {
    const wrong = differences().find(({ ms }) => isWrong(ms));
    if (wrong === undefined) return undefined;
    const { reference, ms } = wrong;
    const seconds = Math.round(Math.abs(ms) / 100) / 10;
    return `clock: ${seconds} s ${ms > 0 ? 'ahead of' : 'behind'} that of the ${reference}'s server (bound: ${boundMs / 1000} s)`;
  };
  const either = () => fault((ms) => Math.abs(ms) > boundMs);
  const check = health.register('clock', either);
  const gauge = metrics.gauges(
    'signet_clock_difference_seconds',
    'By how much the clock of this process leads that of a server; below 0: lags',
    () => differences().map(({ reference, ms }) => [{ reference }, ms / 1000] as const),
  );
  let said = false;
  const look = (): void => {
    const reason = either();
    if (reason !== undefined && !said) log.error({ reason }, 'the clock of this machine is wrong');
    if (reason === undefined && said) log.info('the clock of this machine is right again');
    said = reason !== undefined;
  };
  const looking = repeatedly(look, {
    everyMs: LOOK_MS,
    first: 'after-wait',
    onError: (error) => log.warn({ err: error }, 'the clock could not be compared'),
  });
  return {
    fault: () => fault((ms) => ms > boundMs),
    async [Symbol.asyncDispose]() {
      await looking[Symbol.asyncDispose]();
      check[Symbol.dispose]();
      gauge[Symbol.dispose]();
    },
  };
}

/** By how much `now` certainly leads (above 0) or lags; 0 where it may be right. */
function differenceOf(now: number, { earliest, latest }: ServerTime): number {
  if (now > latest) return now - latest;
  return now < earliest ? now - earliest : 0;
}
