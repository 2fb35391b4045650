import type { Subscription } from '@signet/bus';
import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import { denyDevices, liftDevices } from '../domain/denylist/device-groups.ts';
import { listDenied } from '../domain/denylist/list-denied.ts';
import { hearDenials } from '../domain/denylist/revocations.ts';
import { denyTargets, liftTargets } from '../domain/denylist/targets.ts';
import { readChanges, readSnapshot } from '../domain/ledger/replication.ts';
import { withStoreErrors } from './store-errors.ts';

/** Operations on the deny list: what operators deny, lift and list; what replicas read; denials heard before the stream. */
export function serveDenylist(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.serve(operations.denyTargets, (input) => withStoreErrors(denyTargets(ctx, input))),
    bus.serve(operations.liftTargets, (input) => withStoreErrors(liftTargets(ctx, input))),
    bus.serve(operations.listDenied, (input) => withStoreErrors(listDenied(ctx, input))),
    bus.serve(operations.denyDevices, (input) => withStoreErrors(denyDevices(ctx, input))),
    bus.serve(operations.liftDevices, (input) => withStoreErrors(liftDevices(ctx, input))),
    bus.serve(operations.hearDenials, (input) => withStoreErrors(hearDenials(ctx, input))),
    bus.serve(operations.denylistSnapshot, (input) => readSnapshot(ctx, input)),
    bus.serve(operations.denylistChanges, (input) => withStoreErrors(readChanges(ctx, input))),
  ]);
}
