import type { DevEnv, Environment } from '@signet/dev-env';
import type { Servers } from './servers.ts';
import type { TopologyEnvironment } from './topology-environment.ts';

/** Plain messages of the bus, as a downstream system sends and hears them. */
export interface Downstream extends AsyncDisposable {
  send(subject: string, text: string): Promise<void>;
  /** Messages on matching subjects from now on, in the order of coming. */
  listen(subject: string): Promise<readonly { readonly subject: string; readonly text: string }[]>;
  /** What the stream of messages from devices has on this subject. */
  stored(subject: string): Promise<readonly string[]>;
}

/** A platform under test, whichever way it runs. */
export type Platform = AsyncDisposable & {
  readonly env: Environment;
  readonly downstream: Downstream;
  /** Where est-ca keeps the keys of its CAs. */
  readonly keyFolder: string;
  /** The platform in this process, where it runs in it. */
  readonly inProcess?: DevEnv;
  /** The platform as processes, where it runs so. */
  readonly topology?: TopologyEnvironment;
  /** Moves the platform's clock on, where it is ours. */
  readonly advanceClock?: (ms: number) => void;
  /** The servers that it runs on, where it does not bring its own. */
  readonly servers?: Servers;
};
