import type { HeldAuthority } from '../authority/ring.ts';
import type { CrlScope } from './crl-scope.ts';
import type { CrlState } from './crl-state.ts';
import type { CrlWork } from './plan-crl.ts';
import { type CrlDeps, publishCrl } from './publish-crl.ts';

/** Publishes the CRLs of any scope, one run for each at a time. */
export type CrlPublisher = {
  /**
   * Resolves once a run that began after this call has ended; calls that come while one goes on share the next.
   * @param serials what the run must list, as their records say; without it, it looks for what is new
   */
  publish(authority: HeldAuthority, scope: CrlScope, serials?: readonly string[]): Promise<CrlState>;
};

type Waiting = { scan: boolean; readonly serials: string[]; run?: Promise<CrlState> };

export function crlPublisher(deps: CrlDeps): CrlPublisher {
  const running = new Map<string, Promise<unknown>>();
  const waiting = new Map<string, Waiting>();
  const start = (authority: HeldAuthority, scope: CrlScope, work: CrlWork) => {
    const run = publishCrl(deps, authority, scope, work);
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
    publish(authority, scope, serials) {
      const scan = serials === undefined;
      const next = waiting.get(scope.id);
      if (next?.run !== undefined) {
        next.scan ||= scan;
        for (const serial of serials ?? []) next.serials.push(serial);
        return next.run;
      }
      const current = running.get(scope.id);
      const work: Waiting = { scan, serials: [...(serials ?? [])] };
      if (current === undefined) return start(authority, scope, work);
      work.run = current.then(() => {
        waiting.delete(scope.id);
        return start(authority, scope, work);
      });
      waiting.set(scope.id, work);
      return work.run;
    },
  };
}
