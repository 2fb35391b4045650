import {
  connectionsOf,
  type DeviceServiceDeps,
  openConfiguredCertificate,
  type RunningService,
  startDeviceHttps,
  whenAvailable,
  whenServed,
} from '@signet/service';
import { openCollections } from './collections.ts';
import type { ProvisioningConfig } from './config.ts';
import { eraseDeletedAccounts } from './consumers/accounts.ts';
import { consumeConfigEvents } from './consumers/config.ts';
import { consumeDeviceEvents } from './consumers/devices.ts';
import { consumeKeyEvents } from './consumers/keys.ts';
import { listenReports } from './consumers/reports.ts';
import type { Context } from './context.ts';
import { isLateReport } from './http/authenticate.ts';
import { configRoutes } from './http/config-routes.ts';
import { deviceRoutes } from './http/device-routes.ts';
import { eventRoutes } from './http/event-routes.ts';
import { startJobs } from './jobs/jobs.ts';
import { serveConfig } from './rpc/config.ts';
import { serveRequests } from './rpc/requests.ts';
import { serveRotations } from './rpc/rotations.ts';

/** Starts the provisioning service with its device gateway. Its port is `gateway`. */
export async function startProvisioning(
  config: ProvisioningConfig,
  deps: DeviceServiceDeps,
): Promise<RunningService> {
  const { bus, log, now, admission } = deps;
  await using stack = new AsyncDisposableStack();
  const ctx: Context = {
    ...(await whenAvailable(log, () => openCollections(deps.store))),
    ...{ bus, log, now, whenServed },
    ...{ denyList: admission.denyList, refusals: admission.refusals },
    estUrl: config.SIGNET_EST_URL,
    stalledMs: config.SIGNET_ROTATION_STALLED_HOURS * 3_600_000,
    campaignTickMs: config.SIGNET_CAMPAIGN_TICK_MS,
  };
  for (const serve of [serveConfig, serveRequests, serveRotations])
    for (const subscription of await serve(ctx)) stack.use(subscription);
  for (const consume of [consumeKeyEvents, consumeConfigEvents, consumeDeviceEvents])
    for (const subscription of await consume(ctx)) stack.use(subscription);
  stack.use(await eraseDeletedAccounts(ctx));
  stack.use(await listenReports(ctx));
  for (const job of startJobs(ctx)) stack.use(job);
  const certificate = stack.use(await openConfiguredCertificate('provisioning', config, deps));
  const gateway = stack.use(
    await startDeviceHttps({
      ...{ log, certificate },
      port: config.SIGNET_GATEWAY_PORT,
      host: config.SIGNET_BIND,
      gate: admission.gate({ listener: 'gateway', purposes: ['operational'] }),
      connections: connectionsOf(config, deps, 'gateway'),
      goesOn: (request) => isLateReport(ctx, request),
      routes(app) {
        deviceRoutes(app, ctx);
        configRoutes(app, ctx);
        eventRoutes(app, ctx);
      },
    }),
  );
  const rest = stack.move();
  return { ports: { gateway: gateway.port }, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}
