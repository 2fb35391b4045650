import { REDIRECT_TYPE, RedirectStatement } from '@signet/contracts';
import { decodePemBlocks, parseCertificate, StatementError, verifyStatement } from '@signet/pki';
import { AgentError } from './agent-error.ts';
import { clockNow } from './clock.ts';

/** Where a device goes on to ask, and by which roots it knows who answers there. */
export type NextHop = { readonly url: string; readonly trust: string };

/** The platform's own statements; whose trust domain it is, the roots say. */
const PLATFORM = /^spiffe:\/\/[a-z0-9._-]+\/signet\/commands$/;

/**
 * Where a 307 of the bootstrap service leads (F59). With a statement that a trusted root vouches for, to the URL and the
 * roots that it names; without one, to a server that the device's own roots vouch for.
 * @throws AgentError `bad-answer` where it leads elsewhere than it says, or nobody vouches for it
 */
export function followRedirect(
  answer: { readonly location: string | undefined; readonly body: string },
  from: { readonly url: URL; readonly trust: string; readonly fingerprint: string },
): NextHop {
  const location = urlOf(answer.location, from.url);
  const jws = statementIn(answer.body);
  if (jws === undefined) return { url: location.origin, trust: from.trust };
  const statement = believed(jws, from.trust);
  if (statement.fingerprint !== from.fingerprint) throw refused('the statement is for another device');
  if (new URL(statement.url).origin !== location.origin)
    throw refused(`the statement is for ${statement.url}, not for ${location.origin}`);
  const now = clockNow();
  if (now !== undefined && now > statement.exp * 1000) throw refused('the statement has expired');
  const { trustAnchors } = statement;
  return { url: location.origin, trust: trustAnchors.length === 0 ? from.trust : trustAnchors.join('\n') };
}

function urlOf(location: string | undefined, from: URL): URL {
  const url = location === undefined ? undefined : (URL.parse(location, from.href) ?? undefined);
  if (url === undefined) throw refused('it says nowhere to go');
  if (url.protocol !== 'https:') throw refused(`${url.origin} is not https:`);
  return url;
}

function statementIn(body: string): string | undefined {
  try {
    const { statement } = JSON.parse(body) as { statement?: unknown };
    return typeof statement === 'string' ? statement : undefined;
  } catch {
    return undefined;
  }
}

function believed(jws: string, trust: string): RedirectStatement {
  try {
    const payload = verifyStatement(jws, {
      type: REDIRECT_TYPE,
      anchors: decodePemBlocks(trust).map(({ der }) => parseCertificate(der)),
      isSigner: (uri) => PLATFORM.test(uri),
      now: clockNow(),
    });
    return RedirectStatement.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch (cause) {
    const why = cause instanceof StatementError ? cause.message : 'the statement cannot be read';
    throw refused(why, cause);
  }
}

function refused(why: string, cause?: unknown): AgentError {
  return new AgentError('bad-answer', `bootstrap: 307 that is not followed: ${why}`, { cause });
}
