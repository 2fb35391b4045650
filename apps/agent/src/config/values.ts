import { createPrivateKey } from 'node:crypto';
import { agreeWith, decryptConfigValue, encryptConfigValue } from '@signet/pki';
import { AgentError } from '../agent-error.ts';
import type { ConfigBody, ConfigEntry } from '../gateway-client.ts';
import { type Identity, leaf } from '../identity.ts';

/** What a file of the config is for the device. @throws AgentError `bad-config` where this identity cannot read it */
export function plainValue(
  name: string,
  { Value, Unencrypted = false }: ConfigEntry,
  identity: Identity,
): Buffer {
  if (Unencrypted || Value === '') return Buffer.from(Value);
  if (identity.holder !== undefined)
    throw new AgentError(
      'bad-config',
      `${name}: encrypted, and the key in the ${identity.holder.kind} only signs`,
    );
  try {
    return Buffer.from(decryptConfigValue(agreeWith(createPrivateKey(identity.key)), Value));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('bad-config', `${name}: ${reason}`, { cause });
  }
}

/**
 * The same config with its values encrypted to another identity's key; what is for that one already stays as it is.
 * @throws AgentError `bad-config` where neither can read a value
 */
export function reencrypted(body: ConfigBody, from: Identity, to: Identity): ConfigBody {
  return Object.fromEntries(
    Object.entries(body).map(([name, entry]) => [name, { ...entry, Value: valueFor(name, entry, from, to) }]),
  );
}

function valueFor(name: string, entry: ConfigEntry, from: Identity, to: Identity): string {
  if (entry.Unencrypted === true || entry.Value === '' || isReadable(name, entry, to)) return entry.Value;
  return encryptConfigValue(leaf(to).spkiDer, plainValue(name, entry, from));
}

function isReadable(name: string, entry: ConfigEntry, identity: Identity): boolean {
  try {
    plainValue(name, entry, identity);
    return true;
  } catch {
    return false;
  }
}
