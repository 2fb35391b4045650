import type { Bus, Subscription } from '@signet/bus';
import { mqttSubject, type SignetEvent } from '@signet/contracts';
import { layerChanged } from '../../domain/config/device-config.ts';
import { allOf } from '../pages.ts';
import { type ConfigStore, changeConfig } from './collections.ts';

type Deps = { readonly bus: Bus; readonly store: ConfigStore; readonly now: () => number };

/** Two hours at the longest backoff: for so long an event waits for the store before it is a dead letter. */
const maxDeliveries = 240;

/** A layer that several devices read changed: each of them has a new version of its config. */
export function followLayers({ bus, store, now }: Deps): Promise<Subscription> {
  return bus.consume(
    { durable: 'provisioning-layers', types: ['CONFIG_LAYER_CHANGED'], maxDeliveries },
    async (event) => {
      if (event.type !== 'CONFIG_LAYER_CHANGED') return;
      const { account, id: appliedEvent } = event;
      const { group, files, by, reason } = event.data;
      const layer = group === undefined ? 'account' : `group ${group}`;
      for await (const deviceId of readersOf(store, account, group))
        await changeConfig(
          store,
          { account, deviceId },
          (config) => layerChanged(config, { layer, files, by, reason, now: now() }),
          { appliedEvent },
        );
    },
  );
}

/** Devices are told of a new version over MQTT as well: `down/config` with the version, and nothing of its content. */
export function noticeConfigs({ bus }: Pick<Deps, 'bus'>): Promise<Subscription> {
  return bus.consume({ durable: 'provisioning-config-notices', types: ['DEVICE_CONFIG_CHANGED'] }, (event) =>
    sendNotice(bus, event),
  );
}

async function sendNotice(bus: Bus, event: SignetEvent): Promise<void> {
  if (event.type !== 'DEVICE_CONFIG_CHANGED') return;
  const { account, subject } = event;
  const notice = JSON.stringify({ version: event.data.version });
  await bus.send(mqttSubject(account, subject, 'down', ['config']), Buffer.from(notice));
}

/** Of the account's layer: every device that has keys or a config here. */
async function* readersOf(
  { members, rings, configs }: ConfigStore,
  account: string,
  group: string | undefined,
): AsyncGenerator<string> {
  if (group !== undefined) {
    for await (const { deviceId } of allOf(members, { index: 'byGroup', equals: { account, group } }))
      yield deviceId;
    return;
  }
  for await (const { deviceId } of allOf(rings, { index: 'byAccount', equals: { account } })) yield deviceId;
  for await (const { deviceId } of allOf(configs, { index: 'byAccount', equals: { account } }))
    if ((await rings.get(`${account}/${deviceId}`)) === undefined) yield deviceId;
}
