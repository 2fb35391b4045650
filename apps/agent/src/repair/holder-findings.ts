import { join } from 'node:path';
import { AgentError } from '../agent-error.ts';
import type { DeviceFolder } from '../device-folder.ts';
import type { KeyPlace } from '../keys/device-keys.ts';
import { PIN_REFUSED_FILE } from '../keys/pin-guard.ts';
import type { Finding } from './finding.ts';
import { BACK, restart, usable } from './identity-findings.ts';
import { setAside } from './set-aside.ts';

const PLACES: Readonly<Record<KeyPlace, string>> = {
  file: 'lies in the folder',
  tpm: 'is in a TPM',
  pkcs11: 'is in a token',
};

/** Whether the keys that somebody holds for the device are there, and whether new ones are made where `--key` says. */
export async function holderFindings(folder: DeviceFolder): Promise<Finding[]> {
  const findings: Finding[] = [];
  const pending = await keyIn(folder, 'pending.key');
  if (pending !== undefined && folder.keys.placeOf(pending) !== folder.keys.place) {
    const reason = `the key of an enrolment ${PLACES[folder.keys.placeOf(pending)]}; by --key a new one ${PLACES[folder.keys.place]}`;
    const then = 'the enrolment begins again, with a key by --key';
    findings.push({ file: 'pending.key', reason, remedy: setAside(folder, 'pending.key', then) });
  }
  for (const file of ['bootstrap.key', 'operational.pem', 'next.pem', 'pending.key']) {
    const key = await keyIn(folder, file);
    if (key === undefined || findings.some((each) => each.file === file)) continue;
    try {
      if (!(await folder.keys.has(key))) findings.push(absent(folder, file, folder.keys.placeOf(key)));
    } catch (error) {
      if (!(error instanceof AgentError) || !error.isPassing) throw error;
      // of those after it nothing can be said either
      return [...findings, unanswered(folder, file, error)];
    }
  }
  return findings;
}

/** What does not answer may come back: nothing is taken out of use for it. */
function unanswered(folder: DeviceFolder, file: string, { code, message }: AgentError): Finding {
  if (code === 'pin-refused')
    return {
      ...{ file: PIN_REFUSED_FILE, reason: message },
      remedy: setAside(folder, PIN_REFUSED_FILE, 'the PIN is tried once more'),
    };
  const reason = `its key cannot be looked for: ${message}`;
  return { file, reason, advice: 'bring back the TPM or token, or name it by --key; then ask again' };
}

function absent(folder: DeviceFolder, file: string, place: KeyPlace): Finding {
  const reason =
    place === 'tpm' ? 'its key is one of another TPM' : 'the token that --key names does not have its key';
  if (file === 'bootstrap.key')
    return {
      ...{ file, reason },
      advice:
        'bring back the TPM or token that the factory used; another needs a certificate of the factory, and a claim of its own',
    };
  if (file === 'operational.pem') return { file, reason, remedy: setAside(folder, file, BACK) };
  const remedy =
    file === 'next.pem'
      ? setAside(folder, file, 'the rotation begins again, with the key in force', () => restart(folder))
      : setAside(folder, file, 'the enrolment begins again, with another key');
  return { file, reason, remedy };
}

/** The text of the key in a file, if it can be read; one that cannot is another finding. */
async function keyIn(folder: DeviceFolder, file: string): Promise<string | undefined> {
  const text = await usable(() => folder.files.read(join(folder.path, file)));
  const key = text?.split('-----BEGIN CERTIFICATE-----')[0];
  return (await usable(async () => folder.keys.publicKey(key ?? ''))) === undefined ? undefined : key;
}
