import type {
  listUpdateEvents as ListUpdateEvents,
  listUpdates as ListUpdates,
  OperationOutput,
  ParsedInput,
} from '@signet/contracts';
import { insertIfAbsent, unchanged } from '@signet/store';
import { type DeviceConfigs, noteApplied } from '../config/device-config.ts';
import { type DeviceName, idOf } from '../devices/known-devices.ts';
import { iso, pageOf } from '../documents/documents.ts';
import {
  applyEvent,
  CONFIG_APPLIED,
  idOfUpdate,
  newUpdateEvent,
  rotationStepEvent,
  type UpdateEvent,
  type UpdateEvents,
  type UpdateReport,
  type Updates,
} from './update-event.ts';

export type UpdateStore = { readonly events: UpdateEvents; readonly updates: Updates };
type ReportContext = UpdateStore & { readonly configs: DeviceConfigs; readonly now: () => number };

/** Takes up what a device reports, each event once however often it is sent. */
export async function takeReports(
  ctx: ReportContext,
  { device, reports }: { readonly device: DeviceName; readonly reports: readonly UpdateReport[] },
): Promise<void> {
  for (const report of reports) {
    const known = await ctx.updates.get(idOfUpdate(device, report));
    const event = newUpdateEvent(device, report, ctx.now(), known);
    if (event.event === CONFIG_APPLIED && event.success !== false) await noteAppliedConfig(ctx, event);
    const step = rotationStepEvent(event);
    if (!(await insertIfAbsent(ctx.events, event, step === undefined ? [] : [step]))) continue;
    const update = applyEvent(undefined, event);
    if (await insertIfAbsent(ctx.updates, update)) continue;
    await ctx.updates.update(update.id, (current) => ({ document: applyEvent(current, event) }));
  }
}

async function noteAppliedConfig({ configs, now }: ReportContext, event: UpdateEvent): Promise<void> {
  const id = idOf(event);
  if (!/^\d{1,15}$/.test(event.version) || (await configs.get(id)) === undefined) return;
  await configs.update(id, (config) => noteApplied(config, Number(event.version), now()));
}

/** The updates of a device, the newest first (F40). */
export function listUpdates(
  { updates }: Pick<UpdateStore, 'updates'>,
  { account, deviceId, limit, cursor }: ParsedInput<typeof ListUpdates>,
): Promise<OperationOutput<typeof ListUpdates>> {
  const query = {
    index: 'byDevice',
    equals: { account, deviceId },
    descending: true,
    limit,
    cursor,
  } as const;
  return pageOf(
    updates,
    query,
    ({ id: _id, account: _account, deviceId: _device, failedStep: _failed, ...shown }) => shown,
  );
}

/** The events of one update, the oldest first. */
export function listUpdateEvents(
  { events }: Pick<UpdateStore, 'events'>,
  { account, deviceId, updateId, limit, cursor }: ParsedInput<typeof ListUpdateEvents>,
): Promise<OperationOutput<typeof ListUpdateEvents>> {
  const query = { index: 'byUpdate', equals: { account, deviceId, updateId }, limit, cursor } as const;
  return pageOf(
    events,
    query,
    ({ id: _id, account: _account, deviceId: _device, order: _order, ...shown }) => shown,
  );
}

/** What devices report is kept for so long. */
const KEPT_MS = 180 * 86_400_000;

/** Removes reports that are older than 180 days. An update of which the device reports again stays. */
export async function removeOldReports(ctx: UpdateStore & { readonly now: () => number }): Promise<void> {
  const to = iso(ctx.now() - KEPT_MS);
  for (;;) {
    const [events, updates] = await Promise.all([
      ctx.events.find({ index: 'byAge', to, limit: 500 }),
      ctx.updates.find({ index: 'byAge', to, limit: 500 }),
    ]);
    for (const { id } of events.items) await ctx.events.remove(id);
    for (const read of updates.items) await ctx.updates.remove(read.id, unchanged(read));
    if (events.next === undefined && updates.next === undefined) return;
  }
}
