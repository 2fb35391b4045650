import type { Bus } from '@signet/bus';
import type { DenyList } from '@signet/denylist';
import type { Logger, RefusalReporter, whenServed } from '@signet/service';
import type { Collections } from './collections.ts';

/** The service's collaborators. A use case names those that it needs; whoever calls it hands it all of them. */
export type Context = Collections & {
  readonly bus: Bus;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly denyList: Pick<DenyList, 'denied'>;
  readonly refusals: Pick<RefusalReporter, 'report'>;
  readonly whenServed: typeof whenServed;
  /** Base URL of the EST service, as devices reach it. */
  readonly estUrl: string;
  /** A rotation that waits for longer is stalled, ms. */
  readonly stalledMs: number;
  /** How often campaigns are looked at, ms. */
  readonly campaignTickMs: number;
};
