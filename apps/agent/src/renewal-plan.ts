import { z } from 'zod';
import { requireOwnError } from './agent-error.ts';
import type { DeviceFolder } from './device-folder.ts';
import { type EstServer, fetchRenewalInfo } from './est-client.ts';
import { type Identity, leaf } from './identity.ts';
import { renewalDue } from './renewal-due.ts';

/** When a certificate is renewed (Unix milliseconds), and after how many ms it is worth asking the server again. */
export type RenewalPlan = {
  readonly renewAt: number;
  readonly askAgainMs: number;
  /** `server`: within the window that it suggested; `own`: by the certificate's lifetime. */
  readonly by: 'server' | 'own';
};

/** RFC 9773 §4.2. */
const RenewalInfo = z.object({
  suggestedWindow: z.object({ start: z.iso.datetime(), end: z.iso.datetime() }),
});

const ASK_AGAIN_S = { least: 60, usual: 6 * 3600, most: 24 * 3600 };
const FAILED_MS = 3_600_000;

/**
 * Asks the server when to renew (RFC 9773 §4): a time in the window that it suggests, at random, or at once where that is
 * over. Where it does not say, or says what makes no sense, the certificate's lifetime decides: two thirds of it, with
 * jitter. Asks again after Retry-After, within a minute and a day.
 */
export async function planRenewal(
  folder: Pick<DeviceFolder, 'bundle'>,
  identity: Identity,
  options: {
    readonly random?: () => number;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<RenewalPlan> {
  const { random = Math.random, signal } = options;
  const own = { renewAt: renewalDue(identity, random), by: 'own' } as const;
  try {
    const bundle = await folder.bundle();
    if (bundle === undefined) return { ...own, askAgainMs: FAILED_MS };
    const { est, trustAnchors } = bundle;
    const server: EstServer = { url: est.url, label: est.label, trust: trustAnchors.join('\n'), signal };
    const { text, retryAfter = ASK_AGAIN_S.usual } = await fetchRenewalInfo(server, identity);
    const seconds = Math.min(Math.max(retryAfter, ASK_AGAIN_S.least), ASK_AGAIN_S.most);
    const askAgainMs = seconds * 1000;
    const renewAt = timeIn(text, leaf(identity), random);
    return renewAt === undefined ? { ...own, askAgainMs } : { renewAt, askAgainMs, by: 'server' };
  } catch (raw) {
    const error = requireOwnError(raw);
    const waitMs = error.retryAfter === undefined ? FAILED_MS * (0.5 + random()) : error.retryAfter * 1000;
    return { ...own, askAgainMs: Math.min(waitMs, ASK_AGAIN_S.most * 1000) };
  }
}

/** A time in the suggested window; undefined where there is none, or only one after the certificate's end. */
function timeIn(
  text: string,
  { notAfter }: { readonly notAfter: number },
  random: () => number,
): number | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = RenewalInfo.safeParse(body);
  if (!parsed.success) return undefined;
  const start = Date.parse(parsed.data.suggestedWindow.start);
  const end = Date.parse(parsed.data.suggestedWindow.end);
  if (end <= start || start >= notAfter) return undefined;
  return start + random() * (Math.min(end, notAfter) - start);
}
