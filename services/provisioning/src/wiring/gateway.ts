import { getDevice, OperationError } from '@signet/contracts';
import {
  connectionsOf,
  type DeviceServiceDeps,
  openConfiguredCertificate,
  startDeviceHttps,
} from '@signet/service';
import type { ProvisioningConfig } from '../config.ts';
import { applied, changeOwn } from '../domain/config/device-config.ts';
import { rekey } from '../domain/config/rekeyed.ts';
import { keyRingId } from '../domain/rotation/key-ring.ts';
import { confirmed, reread } from '../domain/rotation/progress.ts';
import type { Gateway } from '../http/gateway.ts';
import { gatewayRoutes } from '../http/gateway-routes.ts';
import { mayReport } from '../http/superseded.ts';
import type { ProvisioningStore } from '../messaging/collections.ts';
import { changeConfig, groupsOf, layersOf } from '../messaging/config/collections.ts';
import { contact } from '../messaging/keys.ts';
import { lookUpCertificate } from '../messaging/look-up-certificate.ts';
import { takeReports } from '../messaging/updates/reports.ts';

/** How long a device waits for what its record adds to the answer. */
const RECORD_DEADLINE_MS = 2000;

/** Starts the device gateway. */
export async function startGateway(
  config: ProvisioningConfig,
  deps: DeviceServiceDeps,
  store: ProvisioningStore,
) {
  const { log, admission } = deps;
  await using stack = new AsyncDisposableStack();
  const certificate = stack.use(await openConfiguredCertificate('provisioning', config, deps));
  const gateway = gatewayOn(deps, store);
  const https = stack.use(
    await startDeviceHttps({
      ...{ log, certificate },
      port: config.SIGNET_GATEWAY_PORT,
      host: config.SIGNET_BIND,
      gate: admission.gate({ listener: 'gateway', purposes: ['operational'] }),
      connections: connectionsOf(config, deps, 'gateway'),
      goesOn: (request) => mayReport(request, gateway),
      routes: (app) => gatewayRoutes(app, gateway),
    }),
  );
  const rest = stack.move();
  return { port: https.port, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

function gatewayOn({ bus, admission, now }: DeviceServiceDeps, store: ProvisioningStore): Gateway {
  const { rings, configs } = store;
  return {
    contact: (device, shown) => contact({ rings, now }, device, { ...shown, at: 'gateway' }),
    lookUp: (device, shown) => lookUpCertificate({ bus, rings, now }, device, shown),
    keysOf: ({ account, deviceId }) => rings.get(keyRingId(account, deviceId)),
    confirm: ({ account, deviceId }, publicKeyHash) =>
      rings.update(keyRingId(account, deviceId), (ring) => confirmed(ring, publicKeyHash, now())),
    async reread({ account, deviceId }) {
      await rings.update(keyRingId(account, deviceId), reread);
    },
    layersOf: ({ account, deviceId }) => layersOf(store, account, deviceId),
    ownConfig: ({ account, deviceId }) => configs.get(keyRingId(account, deviceId)),
    async writeConfig({ account, deviceId }, { files, reason, nextKeyHash }) {
      const change = { set: files, by: deviceId, reason, now: now() };
      await changeConfig(store, { account, deviceId }, (held) =>
        nextKeyHash === undefined ? changeOwn(held, change) : rekey(held, nextKeyHash, change),
      );
    },
    async appliedConfig({ account, deviceId }, version) {
      await configs.update(keyRingId(account, deviceId), (held) => applied(held, version, now()));
    },
    takeReports: (device, reports) => takeReports({ store, now }, device, reports),
    async labelsOf({ account, deviceId }) {
      const [labels, groups] = await Promise.all([
        store.labels.get(keyRingId(account, deviceId)),
        groupsOf(store, account, deviceId),
      ]);
      return { labels: labels?.labels ?? {}, groups };
    },
    recordOf: ({ account, deviceId }) =>
      bus
        .request(getDevice, { account, deviceId }, { deadlineMs: RECORD_DEADLINE_MS })
        .catch((error: unknown) => {
          if (error instanceof OperationError) return undefined;
          throw error;
        }),
    isDenied: (facts) =>
      admission.denyList.denied({ ...facts, fingerprint: '', serialNumber: '' }) !== undefined,
    refuse: (facts) => admission.refusals.report(facts),
    now,
  };
}
