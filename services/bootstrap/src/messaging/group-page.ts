import type { Bus } from '@signet/bus';
import { listGroupDevices } from '@signet/contracts';

/**
 * A page of the devices of a group, as `provisioning` has them: groups by labels too, and without those who left.
 * @throws OperationError `unknown-group`, `unavailable`
 */
export async function groupPage(
  bus: Bus,
  page: {
    readonly account: string;
    readonly group: string;
    readonly limit: number;
    readonly cursor?: string | undefined;
  },
): Promise<{ readonly deviceIds: readonly string[]; readonly next?: string }> {
  const { account, group, limit, cursor } = page;
  const { items, next } = await bus.request(listGroupDevices, {
    ...{ account, group, limit },
    ...(cursor === undefined ? {} : { cursor }),
  });
  return { deviceIds: items.map(({ deviceId }) => deviceId), ...(next === undefined ? {} : { next }) };
}
