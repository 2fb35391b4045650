import { once } from 'node:events';
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { type Certificate, decodePemBlocks, EKU, isIssuedBy, parseCertificate } from '@signet/pki';
import { AgentError } from './agent-error.ts';
import { clockFloor, raiseFloor } from './clock.ts';

const LONGEST_CHAIN = 6;

/**
 * Connects to a server from a device whose clock was never set (F60). All that TLS verifies is verified but the
 * present time, which nobody here knows: the certificates must have been valid together when the server's own began,
 * and that one may not have ended before the latest time that is known to have passed. That time then moves forward.
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
    raiseFloor(requireVouched(socket, host, trust));
    return socket;
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    throw error;
  }
}

const TIMEOUT_MS = 30_000;

/**
 * When a server's certificate began, verified on a connection of its own that shows and sends nothing. The floor of the
 * clock is not below it from then on. Unix ms.
 * @throws AgentError `unreachable`
 */
export async function timeByServer(
  url: string | URL,
  options: {
    readonly defaultPort: number;
    readonly trust: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<number> {
  const { defaultPort, ...rest } = options;
  const { hostname, port, host } = new URL(url);
  try {
    const server = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || defaultPort };
    const socket = await connectUnclocked({ ...server, ...rest, timeoutMs: TIMEOUT_MS });
    const { raw } = socket.getPeerCertificate();
    socket.on('error', () => {});
    socket.destroy();
    return parseCertificate(raw).notBefore;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('unreachable', `${host}: ${reason}`, { cause });
  }
}

/** That a server's certificate begins later than the clock says: one of the two is wrong, and roots vouch for the other. */
export function isClockBehind(error: unknown): boolean {
  const cause = error instanceof AgentError ? error.cause : error;
  return cause instanceof Error && 'code' in cause && cause.code === 'CERT_NOT_YET_VALID';
}

/** When the server's certificate began. */
function requireVouched(socket: TLSSocket, host: string, trust: string): number {
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
  const [floor, end] = [clockFloor(), leaf.notAfter].map((time) => new Date(time).toISOString());
  if (leaf.notAfter < clockFloor())
    throw new Error(`the certificate of the server ended at ${end}, and it is later than ${floor}`);
  return leaf.notBefore;
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
