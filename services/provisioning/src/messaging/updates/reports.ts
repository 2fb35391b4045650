import type { Collection } from '@signet/store';
import { applied } from '../../domain/config/device-config.ts';
import {
  CONFIG_APPLIED,
  idOfUpdate,
  rotationStep,
  type Update,
  type UpdateEvent,
  type UpdateEventIndex,
  type UpdateIndex,
  type UpdateReport,
  updateEvent,
  updateWith,
} from '../../domain/updates/update-event.ts';
import type { ConfigStore } from '../config/collections.ts';
import { insertOnce } from '../upsert.ts';

export type UpdateStore = {
  readonly events: Collection<UpdateEvent, UpdateEventIndex>;
  readonly updates: Collection<Update, UpdateIndex>;
};

export type ReportDeps = {
  readonly store: UpdateStore & Pick<ConfigStore, 'configs'>;
  readonly now: () => number;
};

/** Takes up what a device reports, each event once however often it is sent. */
export async function takeReports(
  { store, now }: ReportDeps,
  device: { readonly account: string; readonly deviceId: string },
  reports: readonly UpdateReport[],
): Promise<void> {
  for (const report of reports) {
    const known = await store.updates.get(idOfUpdate(device, report));
    const told = updateEvent(device, report, now(), known);
    if (told.event === CONFIG_APPLIED && told.success !== false) await appliedConfig({ store, now }, told);
    const step = rotationStep(told);
    if (!(await insertOnce(store.events, told, step === undefined ? [] : [step]))) continue;
    const update = updateWith(undefined, told);
    if (await insertOnce(store.updates, update)) continue;
    await store.updates.update(update.id, (known) => ({ document: updateWith(known, told) }));
  }
}

async function appliedConfig({ store, now }: ReportDeps, { account, deviceId, version }: UpdateEvent) {
  const id = `${account}/${deviceId}`;
  if (!/^\d{1,15}$/.test(version) || (await store.configs.get(id)) === undefined) return;
  await store.configs.update(id, (config) => applied(config, Number(version), now()));
}
