import { createPrivateKey } from 'node:crypto';
import { type Agree, agreeWith, decryptConfigValue, encryptConfigValue } from '@signet/pki';
import { AgentError } from '../agent-error.ts';
import type { ConfigBody, ConfigEntry } from '../gateway-client.ts';
import { type Identity, leaf } from '../identity.ts';

/**
 * What a file of the config is for the device.
 * @throws AgentError `bad-config` where this identity cannot read it, `key-holder` where the holder of its key is unavailable
 */
export async function plainValue(
  name: string,
  { Value, Unencrypted = false }: ConfigEntry,
  identity: Identity,
): Promise<Buffer> {
  if (Unencrypted || Value === '') return Buffer.from(Value);
  try {
    return Buffer.from(await decryptConfigValue(agreementOf(identity), Value));
  } catch (cause) {
    if (cause instanceof AgentError && cause.isPassing) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('bad-config', `${name}: ${reason}`, { cause });
  }
}

function agreementOf({ key, holder }: Identity): Agree {
  return holder === undefined ? agreeWith(createPrivateKey(key)) : (point) => holder.agree(key, point);
}

/**
 * The same config with its values encrypted to another identity's key. What that one reads already stays as it is, and
 * so does what neither reads: a value for a key that is gone must not keep the device from a new one.
 * @throws AgentError `key-holder`
 */
export async function reencrypted(body: ConfigBody, from: Identity, to: Identity): Promise<ConfigBody> {
  const all: [string, ConfigEntry][] = [];
  for (const [name, entry] of Object.entries(body))
    all.push([name, { ...entry, Value: await valueFor(name, entry, from, to) }]);
  return Object.fromEntries(all);
}

async function valueFor(name: string, entry: ConfigEntry, from: Identity, to: Identity): Promise<string> {
  if (entry.Unencrypted === true || entry.Value === '') return entry.Value;
  if ((await readBy(to, name, entry)) !== undefined) return entry.Value;
  const value = await readBy(from, name, entry);
  return value === undefined ? entry.Value : encryptConfigValue(leaf(to).spkiDer, value);
}

/** What of a config this identity can read. @throws AgentError `key-holder` */
export async function readable(body: ConfigBody, identity: Identity): Promise<ConfigBody> {
  const all: [string, ConfigEntry][] = [];
  for (const [name, entry] of Object.entries(body))
    if ((await readBy(identity, name, entry)) !== undefined) all.push([name, entry]);
  return Object.fromEntries(all);
}

/** The value, if this identity can read it. */
async function readBy(identity: Identity, name: string, entry: ConfigEntry): Promise<Buffer | undefined> {
  try {
    return await plainValue(name, entry, identity);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'bad-config') return undefined;
    throw error;
  }
}
