import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import { importFactoryLog } from '../domain/factory/import-log.ts';
import { readFactoryLog, signDevices } from '../domain/factory/sign-devices.ts';
import { type Served, served } from './serve.ts';

/** What factories make, here and offline. */
export function factoryOperations(ctx: Context): readonly Served[] {
  return [
    served(operations.factorySign, (input) => signDevices(ctx, input)),
    served(operations.factoryLog, (input) => readFactoryLog(ctx, input)),
    served(operations.importFactoryLog, (input) => importFactoryLog(ctx, input)),
  ];
}
