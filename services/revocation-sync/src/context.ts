import type { Bus } from '@signet/bus';
import type { Logger, Metrics } from '@signet/service';
import type { Collections } from './collections.ts';
import type { LeaseContext } from './domain/crl/source-lease.ts';
import type { CrlFiles } from './domain/crl/take-crl.ts';
import type { DenialDebt } from './domain/ledger/denial-debt.ts';
import type { Ledger } from './domain/ledger/ledger.ts';
import type { DigestStatus } from './domain/ledger/replication.ts';
import type { SteadyClock } from './domain/ledger/upkeep.ts';

/** The service's collaborators. A use case names those that it needs; whoever calls it hands it all of them. */
export type Context = Collections & {
  readonly bus: Bus;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly repeat: LeaseContext['repeat'];
  readonly ledger: Ledger;
  readonly debt: DenialDebt;
  readonly clock: SteadyClock;
  readonly digestStatus: DigestStatus;
  readonly crlFiles: CrlFiles;
  /** Ids of the CRL sources that are past their end, and that are not to go on like that. */
  readonly staleSources: Set<string>;
  /** Key id of a CA → whether its operational certificates are on record elsewhere. */
  readonly externalCas: Map<string, boolean>;
  /** How long a denial outlasts the notAfter of what it denies. */
  readonly keepSeconds: number;
  /** How long changes of the deny list are kept. */
  readonly logDays: number;
};
