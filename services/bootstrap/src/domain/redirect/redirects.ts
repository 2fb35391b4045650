import type * as operations from '@signet/contracts';
import { type BootstrapRedirect, OperationError, PLATFORM_ACCOUNT } from '@signet/contracts';
import { PkiError, parseCertificatePem } from '@signet/pki';
import { StoreError, unchanged } from '@signet/store';
import type { DeviceRecord, Devices, RedirectRecord, Redirects } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { byFingerprint, isVisible, rulersOf } from '../device/find-device.ts';
import { readPage, viewsOf } from '../documents/documents.ts';
import { BootstrapError } from '../refusals/errors.ts';

export function redirectId(subject: BootstrapRedirect['subject']): string {
  return 'account' in subject ? `account/${subject.account}` : `device/${subject.fingerprint}`;
}

/**
 * Where a device is redirected: by its own redirect, or by that of the account that owns it. What somebody set who has
 * no say over it any more does not count; of a device that is not known here, only what the platform set.
 */
export async function redirectOf(
  redirects: Pick<Redirects, 'get'>,
  fingerprint: string,
  record: DeviceRecord | undefined,
): Promise<RedirectRecord | undefined> {
  const rulers = record === undefined ? [PLATFORM_ACCOUNT] : rulersOf(record);
  const own = await redirects.get(redirectId({ fingerprint: record?.id ?? fingerprint }));
  if (own !== undefined && rulers.includes(own.setBy)) return own;
  return record?.account === undefined ? undefined : redirects.get(redirectId({ account: record.account }));
}

/**
 * Sends devices on to another instance (F59, F67): one device, or all of an account.
 * @throws OperationError `invalid-input` for a URL of this instance; BootstrapError `bad-certificate`, `unknown-device`
 */
export async function setRedirect(
  { devices, redirects, isOwnUrl, now }: Pick<Context, 'devices' | 'redirects' | 'isOwnUrl' | 'now'>,
  input: InputOf<typeof operations.setRedirect>,
) {
  const { account, url, trustAnchors, by } = input;
  trustAnchors.forEach(requireRoot);
  if (isOwnUrl(url))
    throw new OperationError('invalid-input', 'url: is this instance; its devices would go in a circle', {
      field: 'url',
    });
  const id = redirectId(await requireOwnSubject(devices, input));
  for (;;) {
    const before = await redirects.get(id);
    // asked after that: where the device changes hands now, what its new owner sets is not what was read
    const subject = await requireOwnSubject(devices, input);
    const since = new Date(now()).toISOString();
    const record = { id, subject, url, trustAnchors, setBy: account, since, by };
    if (await replaceRedirect(redirects, before, record)) return redirectView(record);
  }
}

export async function listRedirects(
  { redirects }: Pick<Context, 'redirects'>,
  { account, ...page }: InputOf<typeof operations.listRedirects>,
) {
  return viewsOf(
    await readPage(redirects, { index: 'bySetter', equals: { setBy: account } }, page),
    redirectView,
  );
}

/** @throws BootstrapError `unknown-redirect` */
export async function removeRedirect(
  { redirects }: Pick<Context, 'redirects'>,
  { account, subject }: InputOf<typeof operations.removeRedirect>,
): Promise<Record<string, never>> {
  if (await redirects.remove(redirectId(subject), ({ setBy }) => setBy === account)) return {};
  throw new BootstrapError('unknown-redirect', `subject: account "${account}" has set no such redirect`, {
    field: 'subject',
  });
}

/** @returns whether `before` was still the current redirect; else another was set, or it was removed, meanwhile */
async function replaceRedirect(
  redirects: Redirects,
  before: RedirectRecord | undefined,
  record: RedirectRecord,
): Promise<boolean> {
  try {
    if (before === undefined) {
      await redirects.insert(record);
      return true;
    }
    const isBefore = unchanged(before);
    let replaced = false;
    await redirects.update(record.id, (current) => {
      replaced = isBefore(current);
      return replaced ? { document: record } : undefined;
    });
    return replaced;
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'duplicate' || error.code === 'not-found'))
      return false;
    throw error;
  }
}

/** An account redirects its own devices, those that it made, and itself; the platform redirects any. */
async function requireOwnSubject(
  devices: Devices,
  { account, subject }: Pick<InputOf<typeof operations.setRedirect>, 'account' | 'subject'>,
) {
  if ('account' in subject) {
    if (account === PLATFORM_ACCOUNT || subject.account === account) return subject;
    throw unknownSubject(account);
  }
  const record = await byFingerprint(devices, subject.fingerprint);
  if (record === undefined && account === PLATFORM_ACCOUNT) return subject;
  if (record === undefined || !(account === PLATFORM_ACCOUNT || isVisible(record, account)))
    throw unknownSubject(account);
  return { fingerprint: record.id };
}

function unknownSubject(account: string) {
  const message = `subject: account "${account}" has no such device, and is no other account`;
  return new BootstrapError('unknown-device', message, { field: 'subject' });
}

function requireRoot(pem: string, index: number): void {
  try {
    if (parseCertificatePem(pem).basicConstraints?.ca === true) return;
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
  }
  const message = `trustAnchors.${index}: no certificate of a CA`;
  throw new BootstrapError('bad-certificate', message, { field: `trustAnchors.${index}` });
}

function redirectView({ id: _id, setBy: _setBy, ...redirect }: RedirectRecord) {
  return redirect;
}

/** Whether devices reach this very service by a URL: its port, at one of its names. */
export function isOwnAddress(
  own: { readonly names: readonly string[]; readonly port: number },
  url: string,
): boolean {
  const { hostname, port } = new URL(url);
  const isPort = Number(port === '' ? '443' : port) === own.port;
  const name = hostname.replace(/^\[|\]$/g, '');
  return isPort && own.names.some((each) => each.toLowerCase() === name);
}
