import type { Bus } from '@signet/bus';
import type { Logger } from '@signet/service';
import type { ConfigStore } from '../config/collections.ts';
import type { CampaignStore } from './collections.ts';

export type EngineDeps = {
  readonly bus: Bus;
  readonly store: CampaignStore & ConfigStore;
  /** Base URL of the EST service, as devices reach it. */
  readonly estUrl: string;
  readonly now: () => number;
  readonly log: Logger;
  /** How often campaigns are looked at, ms. */
  readonly tickMs: number;
};
