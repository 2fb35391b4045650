import type { Bus } from '@signet/bus';
import { listGroupDevices, OperationError } from '@signet/contracts';

/** Devices of one call to the services. */
const AT_ONCE = 1000;
/** Until the first page is there: thousands of claims of a moment ago may be read for it. */
const GROUP_DEADLINE = 60_000;

type Selection = {
  readonly deviceIds?: readonly string[] | undefined;
  readonly fingerprints?: readonly string[] | undefined;
  readonly group?: string | undefined;
};
type Parts = { deviceIds?: string[]; fingerprints?: string[] };

/**
 * A selection as calls to the service that changes devices: a group stands for the devices that are in it now, a thousand
 * a call (F73). Who belongs to a group `provisioning` knows, claims of a moment ago included.
 * @throws OperationError `unavailable` where it does not answer: nothing is changed, rather than a part of the group;
 *   `unknown-group`; `unknown-device` where the group is empty
 */
export async function callsFor(bus: Bus, account: string, selection: Selection): Promise<Parts[]> {
  const { group, deviceIds, fingerprints } = selection;
  const named: Parts = {
    ...(deviceIds === undefined ? {} : { deviceIds: [...deviceIds] }),
    ...(fingerprints === undefined ? {} : { fingerprints: [...fingerprints] }),
  };
  if (group === undefined) return [named];
  const members = await membersOf(bus, account, group);
  const isEmpty = members.length === 0 && Object.keys(named).length === 0;
  if (isEmpty)
    throw new OperationError('unknown-device', `group: account "${account}" has no device in "${group}"`, {
      field: 'group',
    });
  const calls: Parts[] = Object.keys(named).length === 0 ? [] : [named];
  for (let at = 0; at < members.length; at += AT_ONCE)
    calls.push({ deviceIds: members.slice(at, at + AT_ONCE) });
  return calls;
}

async function membersOf(bus: Bus, account: string, group: string): Promise<string[]> {
  const members: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await bus.request(
      listGroupDevices,
      { ...{ account, group, limit: AT_ONCE }, ...(cursor === undefined ? {} : { cursor }) },
      { deadlineMs: GROUP_DEADLINE },
    );
    members.push(...page.items.map(({ deviceId }) => deviceId));
    cursor = page.next;
  } while (cursor !== undefined);
  return members;
}
