import type { DevEnv, Environment } from '@signet/dev-env';
import type { Servers } from './servers.ts';
import type { TopologyEnvironment } from './topology-environment.ts';

/** Plain messages of the bus, as a downstream system sends and hears them. */
export interface Downstream extends AsyncDisposable {
  send(subject: string, text: string): Promise<void>;
  /** Messages on matching subjects from now on, in the order of coming. */
  listen(subject: string): Promise<readonly { readonly subject: string; readonly text: string }[]>;
}

/** A platform under test, whichever way it runs. */
export type Platform = AsyncDisposable & {
  readonly env: Environment;
  readonly downstream: Downstream;
  /** The platform in this process, where it runs in it. */
  readonly inProcess?: DevEnv;
  /** The platform as processes, where it runs so. */
  readonly topology?: TopologyEnvironment;
  /** The servers that it runs on, where it does not bring its own. */
  readonly servers?: Servers;
};
