import { isDeepStrictEqual } from 'node:util';
import { ARTIFACT_TYPE, type ArtifactEntry, ArtifactStatement, type Bundle } from '@signet/contracts';
import {
  decodePemBlocks,
  parseCertificate,
  parseCertificatePem,
  StatementError,
  verifyStatement,
} from '@signet/pki';
import { AgentError } from '../agent-error.ts';
import { type Identity, leaf } from '../identity.ts';

/**
 * Demands that the account has signed what the entry says: name, version, size and digest, by the command certificate
 * that the handoff named, below a root that the device trusts.
 * @param now Unix ms; undefined where the device has no clock
 * @throws AgentError `bad-update`
 */
export function verifyEntry(
  entry: ArtifactEntry,
  {
    bundle,
    identity,
    now,
  }: { readonly bundle: Bundle; readonly identity: Identity; readonly now: number | undefined },
): void {
  let signed: unknown;
  try {
    const payload = verifyStatement(entry.jws, {
      type: ARTIFACT_TYPE,
      anchors: decodePemBlocks(bundle.trustAnchors.join('\n')).map(({ der }) => parseCertificate(der)),
      isSigner: signerOf(bundle, identity),
      now,
    });
    signed = JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch (cause) {
    const why = cause instanceof StatementError ? `${cause.code}: ${cause.message}` : 'it cannot be read';
    throw new AgentError('bad-update', `signature: ${why}`, { cause });
  }
  const { name, version, size, sha256 } = entry;
  if (!isDeepStrictEqual(ArtifactStatement.safeParse(signed).data, { name, version, size, sha256 }))
    throw new AgentError('bad-update', 'signature: it is over another artifact than the config names');
}

/** The command certificate is made anew from time to time: its name stays. */
function signerOf({ account, commands }: Bundle, identity: Identity): (uri: string) => boolean {
  if (commands !== undefined) {
    const [known] = parseCertificatePem(commands.certificate).sans.uris;
    return (uri) => uri === known;
  }
  // of the same platform as the device's own certificate
  const own = leaf(identity).sans.uris.find((uri) => uri.startsWith('spiffe:'));
  const wanted = own === undefined ? undefined : `spiffe://${new URL(own).host}/${account}/commands`;
  return (uri) => uri === wanted;
}
