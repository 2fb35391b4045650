import type { Bus } from '@signet/bus';
import { GroupName, listGroupDevices, OperationError } from '@signet/contracts';

/**
 * A page of the devices of a group, as `provisioning` has them: groups by labels too, and without those who left.
 * Undefined where it has not heard of the group: then it is that of the claims.
 * @throws OperationError `unavailable`
 */
export async function groupPage(
  bus: Bus,
  page: {
    readonly account: string;
    readonly group: string;
    readonly limit: number;
    readonly cursor?: string | undefined;
  },
): Promise<{ readonly deviceIds: readonly string[]; readonly next?: string } | undefined> {
  const { account, group, limit, cursor } = page;
  if (!GroupName.safeParse(group).success) return undefined;
  try {
    const { items, next } = await bus.request(listGroupDevices, {
      ...{ account, group, limit },
      ...(cursor === undefined ? {} : { cursor }),
    });
    return { deviceIds: items.map(({ deviceId }) => deviceId), ...(next === undefined ? {} : { next }) };
  } catch (error) {
    if (error instanceof OperationError && error.code === 'unknown-group') return undefined;
    throw error;
  }
}
