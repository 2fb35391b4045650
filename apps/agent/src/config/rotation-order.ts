import type { DeviceFolder } from '../device-folder.ts';
import type { ConfigBody } from '../gateway-client.ts';
import type { Identity } from '../identity.ts';
import { plainValue } from './values.ts';

/** By this file of the config an operator starts a rotation (device-gateway.md). */
const ORDER_FILE = 'fio-rotate-certs';

/** The id of a rotation that is ordered and has not been done: the last one done or under way is in the journal. */
export async function rotationOrder(
  folder: DeviceFolder,
  identity: Identity,
  body: ConfigBody,
): Promise<string | undefined> {
  const entry = body[ORDER_FILE];
  if (entry === undefined) return undefined;
  const text = (await plainValue(ORDER_FILE, entry, identity)).toString('utf8');
  const id = /^ROTATIONID=([A-Za-z0-9_-]{1,128})\s*$/m.exec(text)?.[1];
  const last = await folder.rotation();
  return id === undefined || id === last?.id ? undefined : id;
}
