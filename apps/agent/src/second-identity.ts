import { join } from 'node:path';
import type { DeviceFolder } from './device-folder.ts';
import { callHttps, refusalOf } from './https-client.ts';
import { checkIdentity, leaf } from './identity.ts';

/** What came of it; a device that has one bootstrap certificate has nothing to prove. */
export type SecondIdentity =
  | { readonly kind: 'none' }
  | { readonly kind: 'proven'; readonly fingerprint: string }
  | { readonly kind: 'refused'; readonly fingerprint: string; readonly reason: string };

/**
 * Proves to the bootstrap service that the other bootstrap certificate in the device folder, `second.crt` with
 * `second.key`, is this device's too: an LDevID beside an IDevID, or the other way round
 * (`POST /v1/bootstrap/identities`). Repeating it changes nothing.
 * @throws AgentError `unreachable`, `broken-folder`, `refused` with a status that passes
 */
export async function proveSecondIdentity(
  folder: DeviceFolder,
  signal: AbortSignal | undefined,
): Promise<SecondIdentity> {
  const places = { key: join(folder.path, 'second.key'), certificate: join(folder.path, 'second.crt') };
  const [key, certificate] = [
    await folder.files.read(places.key),
    await folder.files.read(places.certificate),
  ];
  if (key === undefined || certificate === undefined) return { kind: 'none' };
  const other = leaf(checkIdentity({ key, certificate }, places, folder.keys));
  const { identity, trust, url } = await folder.factoryFiles();
  const { fingerprint } = other;
  const statement = `signet-identity\n${leaf(identity).fingerprint}\n${fingerprint}\n`;
  const signature = await folder.keys.signer(key).sign(Buffer.from(statement));
  const answer = await callHttps({
    ...{ url: new URL('/v1/bootstrap/identities', url), method: 'POST', identity, trust, signal },
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ certificate: other.pem(), signature: Buffer.from(signature).toString('base64') }),
  });
  if (answer.status === 200) return { kind: 'proven', fingerprint };
  const refusal = refusalOf('bootstrap', answer);
  if (!isFinal(answer.status)) throw refusal;
  return { kind: 'refused', fingerprint, reason: refusal.message };
}

/** The device may ask for its handoff by the identity that it shows, whatever is said of the other. */
function isFinal(status: number): boolean {
  return status === 400 || status === 403 || status === 404;
}
