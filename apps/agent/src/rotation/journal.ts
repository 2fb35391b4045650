import { join } from 'node:path';
import { AgentError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';
import type { Rotation } from '../device-state.ts';
import { type Identity, leaf } from '../identity.ts';

/**
 * A journal goes on only with the key that it speaks of: in `next.pem`, or in force already.
 * @throws AgentError `broken-folder` where that one is gone, or another lies in its place
 */
export async function requireJournalled(
  folder: DeviceFolder,
  { step, publicKeyHash }: Rotation,
  current: Identity,
): Promise<void> {
  if (publicKeyHash === undefined || step === 'completed') return;
  if (leaf(current).publicKeyHash === publicKeyHash) return;
  const next = await folder.nextIdentity();
  const isAwaited = step !== 'in-force';
  if (isAwaited && next !== undefined && leaf(next).publicKeyHash === publicKeyHash) return;
  const file = isAwaited ? 'next.pem' : 'operational.pem';
  const reason = isAwaited && next === undefined ? 'is gone' : 'is for another key';
  throw new AgentError(
    'broken-folder',
    `${join(folder.path, 'rotation.json')}: it is at step "${step}", and ${file} ${reason}`,
  );
}
