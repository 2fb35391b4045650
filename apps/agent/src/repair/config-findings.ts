import { join } from 'node:path';
import { AgentError } from '../agent-error.ts';
import { plainValue } from '../config/values.ts';
import type { DeviceFolder } from '../device-folder.ts';
import type { KeptConfig } from '../device-state.ts';
import type { ConfigEntry } from '../gateway-client.ts';
import { type Identity, leaf } from '../identity.ts';
import { type Finding, faultOf } from './finding.ts';
import { usable } from './identity-findings.ts';
import { setAside } from './set-aside.ts';

/** The config that was kept, and its files in plain text. */
export async function configFindings(folder: DeviceFolder): Promise<Finding[]> {
  const file = 'config.json';
  const again = 'the config is fetched again, whole';
  const reason = await faultOf(folder, file, () => folder.config());
  if (reason !== undefined) return [{ file, reason, remedy: setAside(folder, file, again) }];
  const [config, identity] = [await folder.config(), await usable(() => folder.operational())];
  if (config === undefined || identity === undefined) return [];
  const findings: Finding[] = [];
  for (const [name, entry] of Object.entries(bodyFor(config, identity))) {
    const value = await readValue(name, entry, identity);
    // the holder of the key is another finding
    if (value === undefined) break;
    if ('fault' in value) {
      const then = `${again}; where the platform has that value for another key too, an operator writes it again`;
      findings.push({ file, reason: value.fault, remedy: setAside(folder, file, then) });
      break;
    }
    const path = join(folder.path, 'config', name);
    const held = await usable(() => folder.files.readBytes(path));
    if (held?.equals(value.content) === true) continue;
    findings.push({
      file: `config/${name}`,
      reason: held === undefined ? 'missing' : 'it is not what the config says',
      remedy: {
        says: 'write it as the config says',
        async apply() {
          if (held !== undefined) await setAside(folder, `config/${name}`, '').apply();
          await folder.files.replace(path, value.content);
        },
      },
    });
  }
  return findings;
}

/** A rotation that was cut once its key was in force has left both forms: the one for that key counts. */
function bodyFor({ body, next }: KeptConfig, identity: Identity): KeptConfig['body'] {
  return next?.publicKeyHash === leaf(identity).publicKeyHash ? next.body : body;
}

async function readValue(
  name: string,
  entry: ConfigEntry,
  identity: Identity,
): Promise<{ readonly content: Buffer } | { readonly fault: string } | undefined> {
  try {
    return { content: await plainValue(name, entry, identity) };
  } catch (error) {
    if (error instanceof AgentError && error.code === 'bad-config') return { fault: error.message };
    if (error instanceof AgentError && error.isPassing) return undefined;
    throw error;
  }
}
