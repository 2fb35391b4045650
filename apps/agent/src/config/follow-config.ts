import { AgentError, requireOwnError } from '../agent-error.ts';
import { deviceNow } from '../clock.ts';
import type { DeviceFolder } from '../device-folder.ts';
import { GatewayClient } from '../gateway-client.ts';
import type { Identity } from '../identity.ts';
import { type Reports, reportingBy } from '../messages/report-sender.ts';
import { jittered, pause } from '../pause.ts';
import { type Applied, applyConfig } from './apply.ts';
import type { HandlerRules } from './handlers.ts';

export type ConfigFollowing = {
  readonly reports: Reports;
  readonly handlers: HandlerRules;
  /** How often it is asked for without a notice, ms. */
  readonly pollMs: number;
  /** The gateway has answered. */
  readonly asked: () => void;
  readonly applied: (applied: Applied) => void;
  readonly failed: (error: AgentError) => void;
};

/** Applies the device's config at once, by notice and by poll, until the signal fires. */
export class ConfigFollower {
  readonly #folder: DeviceFolder;
  readonly #identity: Identity;
  readonly #options: ConfigFollowing;
  #notice = Promise.withResolvers<void>();

  constructor(folder: DeviceFolder, identity: Identity, options: ConfigFollowing) {
    this.#folder = folder;
    this.#identity = identity;
    this.#options = options;
  }

  /** The platform has said that there is another version. */
  wake(): void {
    this.#notice.resolve();
  }

  async run(stop: AbortSignal): Promise<void> {
    const { handlers, pollMs, asked, applied, failed } = this.#options;
    for (let failures = 0; !stop.aborted; ) {
      this.#notice = Promise.withResolvers<void>();
      try {
        const bundle = await this.#folder.bundle();
        if (bundle === undefined) return;
        const gateway = reportingBy(new GatewayClient(bundle, stop), this.#options.reports);
        const options = { handlers, now: deviceNow };
        const outcome = await applyConfig(this.#folder, gateway, this.#identity, options);
        failures = 0;
        asked();
        if (outcome !== undefined) applied(outcome);
        await this.#wait(pollMs, stop);
      } catch (raw) {
        if (stop.aborted) return;
        const error = requireOwnError(raw);
        failed(error);
        if (error.status === 403 && error.refusal === 'unknown-device')
          throw new AgentError('not-on-record', error.message, { cause: error });
        await this.#wait(jittered(failures++, 1000, pollMs), stop);
      }
    }
  }

  async #wait(ms: number, stop: AbortSignal): Promise<void> {
    const over = new AbortController();
    const waited = pause(ms, AbortSignal.any([stop, over.signal]));
    await Promise.race([waited, this.#notice.promise]);
    over.abort();
    await waited;
  }
}
