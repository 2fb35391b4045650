import type { Subscription } from '@signet/bus';
import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import {
  addSource,
  changeSource,
  fetchSource,
  getSource,
  listSources,
  removeSource,
  uploadPiece,
} from '../domain/crl/sources.ts';
import { withStoreErrors } from './store-errors.ts';

/** Operations on CRL sources. */
export function serveCrlSources(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.serve(operations.addCrlSource, (input) => withStoreErrors(addSource(ctx, input))),
    bus.serve(operations.listCrlSources, (input) => withStoreErrors(listSources(ctx, input))),
    bus.serve(operations.getCrlSource, (input) => withStoreErrors(getSource(ctx, input))),
    bus.serve(operations.changeCrlSource, (input) => withStoreErrors(changeSource(ctx, input))),
    bus.serve(operations.fetchCrlSource, (input) => withStoreErrors(fetchSource(ctx, input))),
    bus.serve(operations.uploadCrl, (input) => withStoreErrors(uploadPiece(ctx, input))),
    bus.serve(operations.removeCrlSource, (input) => withStoreErrors(removeSource(ctx, input))),
  ]);
}
