import { join } from 'node:path';
import { AgentError } from '../agent-error.ts';
import { plainValue } from '../config/values.ts';
import type { DeviceFolder } from '../device-folder.ts';
import type { ConfigEntry } from '../gateway-client.ts';
import type { Identity } from '../identity.ts';
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
  for (const [name, entry] of Object.entries(config.body)) {
    const value = await readValue(name, entry, identity);
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

async function readValue(
  name: string,
  entry: ConfigEntry,
  identity: Identity,
): Promise<{ readonly content: Buffer } | { readonly fault: string }> {
  try {
    return { content: await plainValue(name, entry, identity) };
  } catch (error) {
    if (error instanceof AgentError && error.code === 'bad-config') return { fault: error.message };
    throw error;
  }
}
