import { newEvent } from '@signet/contracts';
import type { GroupRecord } from '../../domain/groups/group.ts';

export function groupChanged(
  { account, name }: Pick<GroupRecord, 'account' | 'name'>,
  change: 'created' | 'removed' | 'devices',
  by: string,
  time: number,
) {
  const data = { group: name, change, by };
  return newEvent('GROUP_CHANGED', { account, subject: name, time, data });
}
