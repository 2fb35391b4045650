import type { Bus, Subscription } from '@signet/bus';
import { importFactoryLog } from '@signet/contracts';
import { type ImportDeps, importLog } from '../domain/factory/import-log.ts';

/** Logs of factories that were offline. */
export async function serveImports({
  bus,
  ...deps
}: ImportDeps & { readonly bus: Bus }): Promise<Subscription> {
  return bus.serve(importFactoryLog, async (input) => ({ results: await importLog(deps, input) }));
}
