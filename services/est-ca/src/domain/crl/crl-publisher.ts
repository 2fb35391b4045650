import type { CrlSegment } from '@signet/pki';
import type { HeldAuthority } from '../authority/ring.ts';
import type { CrlScope } from './crl-scope.ts';
import type { CrlState } from './crl-state.ts';
import { type CrlDeps, publishCrl } from './publish-crl.ts';

/** Publishes the CRLs of any scope, one run for each at a time. */
export type CrlPublisher = {
  /**
   * Resolves once a run that began after this call has ended; calls that come while one goes on share the next.
   * @param extra entries that the run must list
   */
  publish(authority: HeldAuthority, scope: CrlScope, extra?: CrlSegment): Promise<CrlState>;
};

type Waiting = { readonly extra: CrlSegment[]; readonly run: Promise<CrlState> };

export function crlPublisher(deps: CrlDeps): CrlPublisher {
  const running = new Map<string, Promise<unknown>>();
  const waiting = new Map<string, Waiting>();
  const start = (authority: HeldAuthority, scope: CrlScope, extra: readonly CrlSegment[]) => {
    const run = publishCrl(deps, authority, scope, extra);
    const settled = run.then(
      () => undefined,
      () => undefined,
    );
    running.set(scope.id, settled);
    void settled.then(() => {
      if (running.get(scope.id) === settled) running.delete(scope.id);
    });
    return run;
  };
  return {
    publish(authority, scope, extra) {
      const added = extra === undefined ? [] : [extra];
      const next = waiting.get(scope.id);
      if (next !== undefined) {
        next.extra.push(...added);
        return next.run;
      }
      const current = running.get(scope.id);
      if (current === undefined) return start(authority, scope, added);
      const run = current.then(() => {
        waiting.delete(scope.id);
        return start(authority, scope, added);
      });
      waiting.set(scope.id, { extra: added, run });
      return run;
    },
  };
}
