import type { Logger } from '@signet/service';
import { type ExchangeDeps, serveExchange } from './exchange.ts';
import { followDevices, sweepWindows } from './follow.ts';
import { serveRequests } from './operators.ts';

/** All that provisioning requests are: for operators, for devices, and for the clock. */
export async function serveProvisioningRequests(
  deps: ExchangeDeps & { readonly log: Logger },
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  for (const subscription of await serveRequests(deps)) stack.use(subscription);
  for (const subscription of await serveExchange(deps)) stack.use(subscription);
  stack.use(await followDevices(deps));
  stack.use(sweepWindows(deps));
  return stack.move();
}
