import { tmpdir } from 'node:os';
import { listAuthorities, PLATFORM_ACCOUNT } from '@signet/contracts';
import type { ServiceDeps } from '@signet/service';
import { repeatedly } from '@signet/service';
import { writeCrl } from '../adapters/crl/crl-octets.ts';
import { crlTargets } from '../adapters/crl/crl-targets.ts';
import { setPages } from '../adapters/crl/serial-sets.ts';
import { SourceKeeper } from '../adapters/crl/source-keeper.ts';
import { forgetStale, keepFresh } from '../adapters/crl/staleness.ts';
import { tellDevices } from '../adapters/crl/tell-devices.ts';
import { pieceRecords, Uploads } from '../adapters/crl/uploads.ts';
import type { Ledger } from '../adapters/ledger.ts';
import type { RevocationSyncConfig } from '../config.ts';
import { sightingRecords } from '../domain/crl/sighting.ts';
import { type SourceRecord, type Sources, sourceRecords } from '../domain/crl/source-record.ts';
import { followContacts } from '../messaging/certificate-contacts.ts';
import { serveCrlSources } from '../messaging/crl-sources.ts';
import { eraseDeletedAccounts } from '../messaging/follow-deletions.ts';

const TICK_MS = 1000;
/** Sources asked at a time. */
const AT_ONCE = 8;
const UPLOAD_MS = 3_600_000;
const MEGABYTE = 1_048_576;

/** CRL sources: served to operators, asked for when they are due, watched for staleness. */
export async function openCrlSources(
  config: RevocationSyncConfig,
  deps: ServiceDeps & { readonly ledger: Ledger },
): Promise<AsyncDisposable> {
  const { store, bus, log, now, health, metrics, ledger } = deps;
  await using stack = new AsyncDisposableStack();
  const sources = await store.collection(sourceRecords);
  const pages = await store.collection(setPages);
  const sightings = await store.collection(sightingRecords);
  const uploads = new Uploads(await store.collection(pieceRecords));
  const limits = {
    maxBytes: config.SIGNET_CRL_MAX_MEGABYTES * MEGABYTE,
    deadlineMs: config.SIGNET_CRL_FETCH_SECONDS * 1000,
    allowPrivate: config.SIGNET_OUTWARD_PRIVATE,
  };
  const keeper = new SourceKeeper({
    ...{ bus, ledger, pages, sightings, sources, limits, now, log },
    folder: tmpdir(),
  });
  const isShared = async ({ account, issuerKeyId }: SourceRecord): Promise<boolean> => {
    if (account === PLATFORM_ACCOUNT) return false;
    const { authorities } = await bus.request(listAuthorities, {});
    return authorities.some((other) => other.subjectKeyId === issuerKeyId && other.account !== account);
  };
  const stale = new Set<string>();
  const watch = async (id: string): Promise<void> => {
    const source = await sources.get(id);
    if (source === undefined) return void stale.delete(id);
    const isAlarming =
      (await keepFresh({ sources, ledger, now, log, isShared }, source)) && source.whenStale !== 'go-on';
    if (isAlarming) stale.add(id);
    else stale.delete(id);
  };
  const fetch = async (id: string) => {
    const fetched = await keeper.fetch(id);
    await watch(id);
    return (await sources.get(id)) ?? fetched;
  };
  const remove = async (id: string): Promise<number> => {
    const source = await sources.get(id);
    const lifted = await keeper.remove(id);
    if (source !== undefined) await forgetStale({ sources, ledger }, source);
    stale.delete(id);
    return lifted;
  };
  stack.use(await eraseDeletedAccounts(bus, sources, remove));
  for (const subscription of await serveCrlSources({
    ...{ bus, sources, now },
    work: {
      fetch,
      keepPiece: (upload, index, content) => uploads.add(upload, index, content, now()),
      async takeUpload(id, upload, last) {
        try {
          await keeper.upload(id, (path) => writeCrl(path, uploads.read(upload, last), limits.maxBytes));
        } finally {
          await uploads.remove(upload, last);
        }
        await watch(id);
        return (await sources.get(id)) ?? Promise.reject(new Error(`CRL source: ${id} is gone`));
      },
      async change(id, settings) {
        const changed = await keeper.change(id, settings);
        if (settings.whenStale !== undefined) await forgetStale({ sources, ledger }, changed);
        await watch(id);
        return (await sources.get(id)) ?? changed;
      },
      remove,
    },
  }))
    stack.use(subscription);
  for (const subscription of await followContacts({
    ...{ bus, ledger, sources, sightings },
    async tell(source, number, said) {
      const { authorities } = await bus.request(listAuthorities, {});
      const targets = crlTargets(source, authorities);
      await tellDevices({ bus, sightings, source, number, targets }, said);
    },
  }))
    stack.use(subscription);
  const running = new Map<string, Promise<unknown>>();
  stack.defer(() => Promise.allSettled(running.values()).then(() => undefined));
  stack.use(
    repeatedly(
      TICK_MS,
      async () => {
        const due = await sources.find({ index: 'byDue', to: now() + 1, limit: AT_ONCE * 2 });
        for (const { id, leasedUntil } of due.items) {
          if (running.has(id) || running.size >= AT_ONCE || leasedUntil > now()) continue;
          const work = fetch(id)
            .catch((error: unknown) => log.warn({ err: error, source: id }, 'CRL source: cannot be asked'))
            .finally(() => running.delete(id));
          running.set(id, work);
        }
        await watchAll(sources, watch);
        await uploads.purge(now() - UPLOAD_MS);
      },
      (error) => log.warn({ err: error }, 'CRL sources: cannot be looked at'),
    ),
  );
  stack.use(
    health.register('revocation-sync.crl-sources', () =>
      stale.size === 0
        ? undefined
        : { warning: `CRL sources past their end: ${[...stale].sort().join(', ')}` },
    ),
  );
  stack.use(
    metrics.gauge('signet_crl_sources_stale', 'CRL sources whose list is past its end', () => stale.size),
  );
  const rest = stack.move();
  return { [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

async function watchAll(sources: Sources, watch: (id: string) => Promise<void>): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await sources.find({ limit: 100, ...(cursor === undefined ? {} : { cursor }) });
    for (const { id } of page.items) await watch(id);
    cursor = page.next;
  } while (cursor !== undefined);
}
