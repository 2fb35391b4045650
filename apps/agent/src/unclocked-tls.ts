import { once } from 'node:events';
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { type Certificate, decodePemBlocks, EKU, isIssuedBy, parseCertificate } from '@signet/pki';

const LONGEST_CHAIN = 6;

/**
 * Connects to a server from a device whose clock was never set (F60). All that TLS verifies is verified but the
 * present time, which nobody here knows: the certificates must have been valid together when the server's own began.
 * @throws Error where the server is not vouched for, before anything is sent to it
 */
export async function connectUnclocked(options: {
  readonly host: string;
  readonly port: number;
  /** PEM of the roots. */
  readonly trust: string;
  readonly identity?: { readonly key: string; readonly certificate: string } | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}): Promise<TLSSocket> {
  const { host, port, trust, identity, timeoutMs, signal } = options;
  const socket = connect({
    ...{ host, port },
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // OpenSSL would hold the certificates against a clock that is wrong: `requireVouched` holds them against the roots.
    rejectUnauthorized: false,
    ALPNProtocols: [],
    ...(identity === undefined ? {} : { key: identity.key, cert: identity.certificate }),
  });
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    await once(socket, 'secureConnect', {
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    requireVouched(socket, host, trust);
    return socket;
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    throw error;
  }
}

function requireVouched(socket: TLSSocket, host: string, trust: string): void {
  const shown = socket.getPeerCertificate(true);
  const sent = chainOf(shown);
  const [leaf] = sent;
  if (leaf === undefined) throw new Error('the server shows no certificate');
  const wrongName = checkServerIdentity(host, shown);
  if (wrongName !== undefined) throw wrongName;
  if (leaf.basicConstraints?.ca === true || leaf.extKeyUsage?.includes(EKU.serverAuth) !== true)
    throw new Error('the certificate of the server is not one of a server');
  const anchors = decodePemBlocks(trust).map(({ der }) => parseCertificate(der));
  if (!isVouchedFor(leaf, sent.slice(1), anchors))
    throw new Error('no root that the device trusts vouches for the server');
}

/** From the server's certificate to a root, each valid when that certificate began. */
function isVouchedFor(
  leaf: Certificate,
  between: readonly Certificate[],
  anchors: readonly Certificate[],
): boolean {
  const at = leaf.notBefore;
  const isIssuer = (issuer: Certificate, of: Certificate, below: number) =>
    issuer.notBefore <= at && at <= issuer.notAfter && isIssuedBy(of, issuer, below);
  let current = leaf;
  for (let below = 0; below < LONGEST_CHAIN; below++) {
    if (anchors.some((anchor) => isIssuer(anchor, current, below))) return true;
    const above = between.find((issuer) => isIssuer(issuer, current, below));
    if (above === undefined) return false;
    current = above;
  }
  return false;
}

function chainOf(shown: DetailedPeerCertificate): Certificate[] {
  const chain: Certificate[] = [];
  const seen = new Set<object>();
  for (
    let next: DetailedPeerCertificate | undefined = shown;
    next?.raw !== undefined && !seen.has(next) && chain.length < LONGEST_CHAIN;
    next = next.issuerCertificate
  ) {
    seen.add(next);
    chain.push(parseCertificate(next.raw));
  }
  return chain;
}
