import type { SigningCa } from '../authority/issuer-registry.ts';
import type { CrlScope } from '../authority/revocation-urls.ts';
import {
  type CrlFile,
  type CrlFiles,
  CrlGone,
  type CrlState,
  type CrlStates,
  latestState,
} from './crl-store.ts';
import type { CrlPublisher } from './publish-crl.ts';

/** A CRL as it is handed out. */
export type ServedCrl = {
  readonly der: Uint8Array;
  /** Changes with each byte: names the file. */
  readonly tag: string;
  /** Unix milliseconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
};

export type ServedCrls = (
  authority: SigningCa,
  scope: CrlScope,
  kind: 'complete' | 'delta',
) => Promise<ServedCrl>;

/** Above this, who asks is not kept waiting for a new complete CRL where there is one in force. */
const LARGE_ENTRIES = 20_000;

/**
 * Gives the CRLs of a scope, at most `ttlMs` behind the store; a file is read from the store once and kept until the
 * next takes its place. Where the publishing fails, what is in force goes on being given.
 */
export function servedCrls(deps: {
  readonly states: Pick<CrlStates, 'find'>;
  readonly files: Pick<CrlFiles, 'der'>;
  readonly publisher: CrlPublisher;
  readonly ttlMs: number;
  readonly now: () => number;
  readonly onError: (error: unknown, scopeId: string) => void;
}): ServedCrls {
  const states = new Map<string, { readonly at: number; readonly state: Promise<CrlState> }>();
  const kept = new Map<string, { readonly token: string; readonly der: Promise<Uint8Array> }>();

  const current = async (authority: SigningCa, scope: CrlScope): Promise<CrlState> => {
    const stored = await latestState(deps.states, scope.id);
    if (stored === undefined) return deps.publisher.publish(authority, scope);
    const inForce = Date.parse(stored.complete.nextUpdate) > deps.now();
    const published = deps.publisher.publish(authority, scope).catch((error: unknown) => {
      if (!inForce) throw error;
      deps.onError(error, scope.id);
      return stored;
    });
    return inForce && stored.complete.entries > LARGE_ENTRIES ? stored : published;
  };
  const stateOf = (authority: SigningCa, scope: CrlScope): Promise<CrlState> => {
    const known = states.get(scope.id);
    const at = deps.now();
    if (known !== undefined && at >= known.at && at - known.at < deps.ttlMs) return known.state;
    const fresh = { at, state: current(authority, scope) };
    states.set(scope.id, fresh);
    fresh.state.catch(() => {
      if (states.get(scope.id) === fresh) states.delete(scope.id);
    });
    return fresh.state;
  };
  const derOf = (scopeId: string, kind: string, file: CrlFile): Promise<Uint8Array> => {
    const key = `${scopeId} ${kind}`;
    const known = kept.get(key);
    if (known?.token === file.token) return known.der;
    const fresh = { token: file.token, der: deps.files.der(scopeId, file) };
    kept.set(key, fresh);
    fresh.der.catch(() => {
      if (kept.get(key) === fresh) kept.delete(key);
    });
    return fresh.der;
  };
  return async (authority, scope, kind) => {
    for (let attempt = 1; ; attempt++) {
      const file = (await stateOf(authority, scope))[kind];
      try {
        return {
          der: await derOf(scope.id, kind, file),
          tag: file.token,
          thisUpdate: Date.parse(file.thisUpdate),
          nextUpdate: Date.parse(file.nextUpdate),
        };
      } catch (error) {
        if (!(error instanceof CrlGone) || attempt === 3) throw error;
        states.delete(scope.id);
      }
    }
  };
}
