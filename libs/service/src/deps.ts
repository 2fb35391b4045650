import type { Bus } from '@signet/bus';
import type { Store } from '@signet/store';
import type { Admission } from './admission.ts';
import type { ClockWatch } from './clock-watch.ts';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { Ticks } from './ticks.ts';

/** What `start<Name>(config, deps)` of every service gets. It owns none of it, and closes none of it. */
export type ServiceDeps = {
  readonly store: Store;
  readonly bus: Bus;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** When what is due at a time of `now` is looked at. Default: every minute, whatever becomes of that clock. */
  readonly ticks?: Ticks | undefined;
  /** Where a service registers its readiness checks, named `<service>.<what>`. */
  readonly health: Health;
  readonly metrics: Metrics;
  /** What whoever signs asks first; absent: nothing to hold the clock against. */
  readonly clock?: Pick<ClockWatch, 'fault'> | undefined;
};

/** What a service with device listeners gets. In standalone all of them share one admission. */
export type DeviceServiceDeps = ServiceDeps & { readonly admission: Admission };

/** A started service. Disposing it stops its listeners gracefully, then its consumers. */
export type RunningService = AsyncDisposable & {
  /** The ports that it listens on, by name, as they are (a configured 0 is resolved). */
  readonly ports: Readonly<Record<string, number>>;
};
