import type { DeviceFolder } from '../device-folder.ts';
import { type Identity, leaf } from '../identity.ts';
import { requireJournalled } from '../rotation/journal.ts';
import { anyFault, type Finding, faultOf } from './finding.ts';
import { setAside } from './set-aside.ts';

export const BACK = 'the agent goes back to bootstrap, with the identity of the factory, for a fresh grant';

/** What the factory put in, which nobody else can make. */
export async function factoryFindings(folder: DeviceFolder): Promise<Finding[]> {
  const fault = await anyFault(folder, () => folder.factoryFiles());
  if (fault === undefined) return [];
  const advice =
    fault.file === 'bootstrap.json'
      ? 'put it back as the factory wrote it: {"url":"https://<the bootstrap service>"}'
      : 'put it back as the factory wrote it; a key that is lost needs another certificate of the factory, and a claim of its own';
  return [{ ...fault, advice }];
}

/** What the device received in its handoff, and who it is by that. */
export async function identityFindings(folder: DeviceFolder): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = async (file: string, read: () => Promise<unknown>, remedy: () => Promise<Finding>) => {
    const reason = await faultOf(folder, file, read);
    if (reason !== undefined) findings.push({ ...(await remedy()), file, reason });
  };
  const remedied = (file: string, then: string, prepare?: () => Promise<void>): Finding => ({
    ...{ file, reason: '', remedy: setAside(folder, file, then, prepare) },
  });
  await add(
    'bundle.json',
    () => folder.bundle(),
    async () => remedied('bundle.json', `${BACK} and the trust anchors of today`),
  );
  await add(
    'operational.pem',
    () => folder.operational(),
    async () => {
      const next = await usable(() => folder.nextIdentity());
      const rotation = await usable(() => folder.rotation());
      const isNext = next !== undefined && leaf(next).publicKeyHash === rotation?.publicKeyHash;
      if (!isNext) return remedied('operational.pem', BACK);
      return {
        ...{ file: '', reason: '' },
        remedy: {
          says: 'set it aside; the identity that the rotation has brought (next.pem) comes into force',
          async apply() {
            await setAside(folder, 'operational.pem', '').apply();
            await folder.putOperational(next);
            await keepConfigOf(folder, next);
          },
        },
      };
    },
  );
  await add(
    'pending.key',
    () => folder.pendingKey(),
    async () => remedied('pending.key', 'the enrolment begins again, with another key'),
  );
  await add(
    'next.pem',
    () => folder.nextIdentity(),
    async () =>
      remedied('next.pem', 'the rotation begins again, with the key in force', () => restart(folder)),
  );
  return findings;
}

/** The journal of a rotation, and the files that it speaks of. */
export async function journalFindings(folder: DeviceFolder): Promise<Finding[]> {
  const file = 'rotation.json';
  const current = await usable(() => folder.operational());
  const reason = await faultOf(folder, file, async () => {
    const rotation = await folder.rotation();
    if (rotation !== undefined && current !== undefined) await requireJournalled(folder, rotation, current);
  });
  if (reason === undefined) return [];
  const finish = async () => {
    if (current !== undefined) await keepConfigOf(folder, current);
    // a certificate that no journal speaks of is announced again, or replaced, by the next rotation
    await folder.dropNextIdentity();
  };
  const then = 'what it had brought is dropped, the key in force stays, and the next rotation begins anew';
  return [{ file, reason, remedy: setAside(folder, file, then, finish) }];
}

export async function restart(folder: DeviceFolder): Promise<void> {
  const rotation = await usable(() => folder.rotation());
  if (rotation === undefined || rotation.step === 'completed' || rotation.step === 'in-force') return;
  const { publicKeyHash: _gone, ...rest } = rotation;
  await folder.putRotation({ ...rest, step: 'started' });
}

/** Of a config that was encrypted to the key in force as well, that form is the one to keep. */
async function keepConfigOf(folder: DeviceFolder, identity: Identity): Promise<void> {
  const config = await usable(() => folder.config());
  if (config?.next?.publicKeyHash !== leaf(identity).publicKeyHash) return;
  const { next, ...rest } = config;
  await folder.putConfig({ ...rest, body: next.body });
}

/** What can be read of a file; one that cannot is another finding. */
export async function usable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}
