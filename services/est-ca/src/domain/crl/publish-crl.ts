import { newEvent, type SignetEvent } from '@signet/contracts';
import { type BuiltCrl, buildCrl } from '@signet/pki';
import { isDuplicate } from '@signet/store';
import type { SigningCa } from '../authority/issuer-registry.ts';
import type { CrlScope } from '../authority/revocation-urls.ts';
import {
  type CrlFile,
  type CrlFiles,
  CrlGone,
  type CrlState,
  type CrlStates,
  crlStateId,
  latestState,
} from './crl-store.ts';
import {
  type CrlPlan,
  type CrlWork,
  firstPlan,
  nextPlan,
  type PlanDeps,
  THREAD_ENTRIES,
} from './plan-crl.ts';

export type CrlUrls = { crlOf(scopeId: string): string; deltaOf(scopeId: string): string };

export type CrlDeps = PlanDeps & {
  readonly states: Pick<CrlStates, 'find' | 'insert' | 'update'>;
  readonly files: CrlFiles;
  readonly urls: CrlUrls;
  /** A new name for a file's chunks. */
  readonly newToken: () => string;
};

/**
 * Brings the CRLs of a scope up to date: a delta as soon as something was revoked, a complete CRL on schedule, and while
 * it is short with each change. Any replica may do this; of those that try at once one publishes, and the others start
 * again from what it published, the records read again.
 * @throws PkiError `signer-failed`, StoreError
 */
export async function publishCrl(
  deps: CrlDeps,
  authority: SigningCa,
  scope: CrlScope,
  work: CrlWork = { scan: true, serials: [] },
): Promise<CrlState> {
  let unreadable: number | undefined;
  for (;;) {
    const before = await latestState(deps.states, scope.id);
    try {
      const plan =
        before === undefined || before.number === unreadable
          ? await firstPlan(deps, scope, work)
          : await nextPlan(deps, scope, before, work);
      if (plan === undefined) return before as CrlState;
      const state = await carryOut(deps, { authority, scope, before, plan });
      if (state !== undefined && plan.isAll) return state;
    } catch (error) {
      // Replaced while it was read; or, where it is still the one, lost: then all is made anew from the records.
      if (!(error instanceof CrlGone) || before === undefined) throw error;
      unreadable = before.number;
    }
  }
}

type Work = {
  readonly authority: SigningCa;
  readonly scope: CrlScope;
  readonly before: CrlState | undefined;
  readonly plan: CrlPlan;
};

/** Signs and stores what is planned, then publishes it; undefined where another replica was first. */
async function carryOut(deps: CrlDeps, work: Work): Promise<CrlState | undefined> {
  const { scope, before, plan } = work;
  const made: CrlFile[] = [];
  let mayRemove = true;
  try {
    const complete =
      plan.complete === undefined && before !== undefined
        ? before.complete
        : await keepFile(deps, work, made, await completeCrl(deps, work));
    const startsDeltas = before === undefined || plan.complete?.scheduled === true;
    const baseNumber = startsDeltas ? complete.number : before.delta.baseNumber;
    const delta = await keepFile(deps, work, made, await deltaCrl(deps, work, baseNumber));
    const state = stateAfter(deps, work, complete, { ...delta, baseNumber });
    // Whoever does not hear whether it was written must not remove it: what is left over is swept later.
    mayRemove = false;
    const won = await publishNext(deps, before, state, eventsOf(work, state));
    mayRemove = !won;
    return won ? state : undefined;
  } finally {
    if (mayRemove) for (const lost of made) await deps.files.remove(scope.id, lost);
  }
}

type Timed = { readonly built: BuiltCrl; readonly nextUpdate: number };

async function completeCrl(deps: CrlDeps, work: Work): Promise<Timed> {
  const { listed, changes, endedBefore, large } = work.plan.complete ?? {
    listed: nothing(),
    changes: work.plan.delta,
    endedBefore: 0,
    large: false,
  };
  const nextUpdate = work.plan.now + deps.lifetimeMs;
  const built = await buildCrl(
    { ...factsOf(deps, work), nextUpdate, freshestUrls: [deps.urls.deltaOf(work.scope.id)] },
    { listed, changes, endedBefore, listRemovals: false, inThread: large },
  );
  return { built, nextUpdate };
}

async function deltaCrl(deps: CrlDeps, work: Work, baseNumber: number): Promise<Timed> {
  const { delta: changes, now } = work.plan;
  const nextUpdate = now + deps.deltaLifetimeMs;
  const inThread = changes.ends.length > THREAD_ENTRIES;
  const built = await buildCrl(
    { ...factsOf(deps, work), nextUpdate, baseNumber },
    { listed: nothing(), changes, endedBefore: 0, listRemovals: true, inThread },
  );
  return { built, nextUpdate };
}

function factsOf({ urls }: CrlDeps, { authority, scope, before, plan }: Work) {
  return {
    issuer: authority.certificate,
    signer: authority.signer,
    number: (before?.number ?? 0) + 1,
    thisUpdate: plan.now,
    ...(scope.partition === undefined
      ? {}
      : { scope: { urls: [urls.crlOf(scope.id)], onlyUserCerts: true } }),
  };
}

async function keepFile(
  deps: CrlDeps,
  { scope, before, plan }: Work,
  made: CrlFile[],
  { built, nextUpdate }: Timed,
): Promise<CrlFile> {
  const file: CrlFile = {
    number: (before?.number ?? 0) + 1,
    thisUpdate: new Date(plan.now).toISOString(),
    nextUpdate: new Date(nextUpdate).toISOString(),
    entries: built.entries,
    bytes: built.bytes,
    token: deps.newToken(),
    chunks: built.chunks.length,
    head: Buffer.from(built.head).toString('base64'),
    tail: Buffer.from(built.tail).toString('base64'),
  };
  made.push(file);
  await deps.files.store(scope.id, file.token, built);
  return file;
}

function stateAfter(
  { now }: CrlDeps,
  { scope, before, plan }: Work,
  complete: CrlFile,
  delta: CrlState['delta'],
): CrlState {
  const at = new Date(plan.now).toISOString();
  return {
    id: crlStateId(scope.id, delta.number),
    scopeId: scope.id,
    authorityId: scope.authorityId,
    number: delta.number,
    coveredUpTo: new Date(plan.coveredUpTo).toISOString(),
    ...(before?.comparedAt === undefined ? {} : { comparedAt: before.comparedAt }),
    scheduledAt: before === undefined || plan.complete?.scheduled === true ? at : before.scheduledAt,
    publishedAt: new Date(now()).toISOString(),
    complete,
    delta,
  };
}

/**
 * The next step of the line, if `before` still is the last one. What is replaced stays for longer than it takes from this
 * look to the insertion, so the number cannot have been used and removed meanwhile.
 */
async function publishNext(
  { states }: CrlDeps,
  before: CrlState | undefined,
  state: CrlState,
  events: readonly SignetEvent[],
): Promise<boolean> {
  if ((await latestState(states, state.scopeId))?.number !== before?.number) return false;
  try {
    await states.insert(state, events);
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

function eventsOf({ authority, plan }: Work, { number, complete, delta }: CrlState): SignetEvent[] {
  const { id, account } = authority.document;
  const published = [
    ...(complete.number === number ? [{ file: complete, isDelta: false }] : []),
    { file: delta, isDelta: true },
  ];
  return published.map(({ file: { entries, thisUpdate, nextUpdate }, isDelta }) =>
    newEvent('CRL_PUBLISHED', {
      account,
      subject: id,
      time: plan.now,
      data: { authorityId: id, number, entries, thisUpdate, nextUpdate, delta: isDelta },
    }),
  );
}

async function* nothing() {}

/** Publishes the CRLs of any scope, one run for each at a time. */
export type CrlPublisher = {
  /**
   * Resolves once a run that began after this call has ended; calls that come while one goes on share the next.
   * @param serials what the run must list, as their records say; without it, it looks for what is new
   */
  publish(authority: SigningCa, scope: CrlScope, serials?: readonly string[]): Promise<CrlState>;
};

type Waiting = { scan: boolean; readonly serials: string[]; run?: Promise<CrlState> };

export function crlPublisher(deps: CrlDeps): CrlPublisher {
  const running = new Map<string, Promise<unknown>>();
  const waiting = new Map<string, Waiting>();
  const start = (authority: SigningCa, scope: CrlScope, work: CrlWork) => {
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
