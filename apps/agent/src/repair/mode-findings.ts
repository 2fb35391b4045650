import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { DeviceFolder } from '../device-folder.ts';
import type { Finding } from './finding.ts';

/** Files that nobody but the agent may read, since keys, secrets and what is believed lie in them. */
const OWN = [
  'bootstrap.key',
  'bootstrap.crt',
  'bootstrap.json',
  'trust.pem',
  'bundle.json',
  'operational.pem',
  'next.pem',
  'pending.key',
  'rotation.json',
  'config.json',
  'commands.json',
  'clock.json',
  'token-keys.json',
  'pin-refused.json',
  'updates/state.json',
] as const;
const SECRET: readonly string[] = [
  'bootstrap.key',
  'operational.pem',
  'next.pem',
  'pending.key',
  'bundle.json',
];

/** Who may read which file: the agent each, others none of the secret ones, and nobody else writes any. */
export async function modeFindings(folder: DeviceFolder): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const file of OWN) {
    const held = await stat(join(folder.path, file)).catch(() => undefined);
    if (held === undefined || !held.isFile()) continue;
    const user = process.geteuid?.() ?? held.uid;
    const mode = held.mode & 0o777;
    const reason = faultIn({ mode, isOwn: held.uid === user, isRoot: user === 0, file });
    if (reason === undefined) continue;
    const shown = `mode 0${mode.toString(8).padStart(3, '0')}: ${reason.says}`;
    const found = { file, reason: shown, ...(reason.unreadable ? { unreadable: true as const } : {}) };
    if (held.uid !== user && user !== 0)
      findings.push({ ...found, advice: `as root: chown ${user} ${join(folder.path, file)}` });
    else {
      const apply = () => folder.files.calls.grant(join(folder.path, file), 0o600);
      findings.push({ ...found, remedy: { says: 'make it its owner’s alone (0600)', apply } });
    }
  }
  return findings;
}

function faultIn(of: {
  readonly mode: number;
  readonly isOwn: boolean;
  readonly isRoot: boolean;
  readonly file: string;
}): { readonly says: string; readonly unreadable?: true } | undefined {
  const { mode, isOwn, isRoot, file } = of;
  if (isOwn && !isRoot && (mode & 0o400) === 0)
    return { says: 'this user may not read it', unreadable: true };
  if (!isOwn && !isRoot && (mode & 0o044) === 0)
    return { says: 'it is another user’s, and this one may not read it', unreadable: true };
  if ((mode & 0o022) !== 0) return { says: 'others may write it' };
  if (SECRET.includes(file) && (mode & 0o077) !== 0) return { says: 'others may read it' };
  return undefined;
}
