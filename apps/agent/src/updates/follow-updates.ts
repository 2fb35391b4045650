import { type AgentError, requireOwnError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { GatewayClient } from '../gateway-client.ts';
import type { Identity } from '../identity.ts';
import { type Reports, reportingBy } from '../messages/report-sender.ts';
import { jittered, pause } from '../pause.ts';
import { applyUpdate, type Updated } from './apply-update.ts';
import { stateOf } from './update-state.ts';
import { wantedArtifacts } from './wanted.ts';

export type UpdateFollowing = {
  readonly reports: Reports;
  /** The only folder whose programs may be run. */
  readonly handlers: string;
  /** Ceiling of the wait before what failed is tried again, ms. */
  readonly maxWaitMs: number;
  readonly updated: (updated: Updated) => void;
  readonly failed: (error: AgentError) => void;
};

/** Keeps the software that the config names in place: at once, when woken, and again after what may pass. */
export class UpdateFollower {
  readonly #folder: DeviceFolder;
  readonly #identity: Identity;
  readonly #options: UpdateFollowing;
  #woken = Promise.withResolvers<void>();

  constructor(folder: DeviceFolder, identity: Identity, options: UpdateFollowing) {
    this.#folder = folder;
    this.#identity = identity;
    this.#options = options;
  }

  /** The config may name others now. */
  wake(): void {
    this.#woken.resolve();
  }

  async run(stop: AbortSignal): Promise<void> {
    const stopped = Promise.withResolvers<void>();
    stop.addEventListener('abort', () => stopped.resolve(), { once: true });
    for (let failures = 0; !stop.aborted; ) {
      this.#woken = Promise.withResolvers<void>();
      failures = (await this.#round(stop)) ? 0 : failures + 1;
      const over = new AbortController();
      const ms = jittered(failures, 1000, this.#options.maxWaitMs);
      const waits = failures === 0 ? [] : [pause(ms, over.signal)];
      await Promise.race([...waits, this.#woken.promise, stopped.promise]);
      over.abort();
    }
  }

  /** Each artifact once; one that fails holds up no other. True: nothing is to be tried again. */
  async #round(stop: AbortSignal): Promise<boolean> {
    const { handlers, updated, failed } = this.#options;
    const bundle = await this.#folder.bundle();
    if (bundle === undefined) return true;
    const gateway = reportingBy(new GatewayClient(bundle, stop), this.#options.reports);
    const parts = { folder: this.#folder, bundle, identity: this.#identity, gateway, handlers, signal: stop };
    let isDone = true;
    for (const wanted of await wantedArtifacts(this.#folder)) {
      if (stop.aborted) return true;
      try {
        const known = await stateOf(this.#folder, wanted.name);
        const outcome = await applyUpdate(wanted, known, parts);
        if (outcome !== undefined) updated(outcome);
      } catch (raw) {
        if (stop.aborted) return true;
        const error = requireOwnError(raw);
        if (error.code === 'broken-folder') throw error;
        isDone = false;
        failed(error);
      }
    }
    return isDone;
  }
}
