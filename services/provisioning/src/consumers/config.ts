import type { Subscription } from '@signet/bus';
import { mqttSubject } from '@signet/contracts';
import type { Context } from '../context.ts';
import { emptyGroup, fillGroup } from '../domain/groups/membership.ts';
import { passLayerOn } from '../domain/layers/layers.ts';
import { maxDeliveries } from './patience.ts';

/** What changes of config and of the groups that share it set off. */
export function consumeConfigEvents(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.consume(
      { durable: 'provisioning-layers', types: ['CONFIG_LAYER_CHANGED'], maxDeliveries },
      async (event) => {
        if (event.type === 'CONFIG_LAYER_CHANGED') await passLayerOn(ctx, event);
      },
    ),
    // `down/config` tells the device of the version, and nothing of its content
    bus.consume(
      { durable: 'provisioning-config-notices', types: ['DEVICE_CONFIG_CHANGED'] },
      async ({ account, subject, type, data }) => {
        if (type !== 'DEVICE_CONFIG_CHANGED') return;
        const notice = JSON.stringify({ version: data.version });
        await bus.send(mqttSubject(account, subject, 'down', ['config']), Buffer.from(notice));
      },
    ),
    bus.consume(
      { durable: 'provisioning-groups', types: ['GROUP_CHANGED'], maxDeliveries },
      async ({ account, type, data, time: until }) => {
        if (type !== 'GROUP_CHANGED') return;
        const { group, change, by } = data;
        const why = { by, now: ctx.now() };
        if (change === 'created') await fillGroup(ctx, { account, group }, why);
        if (change === 'removed') await emptyGroup(ctx, { account, group, until }, why);
      },
    ),
  ]);
}
