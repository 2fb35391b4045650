import type { Bus, Subscription } from '@signet/bus';
import {
  listRedirects,
  OperationError,
  type OperationInput,
  PLATFORM_ACCOUNT,
  removeRedirect,
  setRedirect,
} from '@signet/contracts';
import { PkiError, parseCertificatePem } from '@signet/pki';
import { StoreError, unchanged } from '@signet/store';
import type { Devices, RedirectRecord, Redirects } from '../collections.ts';
import { byFingerprint } from '../domain/device/find-device.ts';
import { isVisible } from '../domain/device/ownership.ts';
import { BootstrapError } from '../domain/errors.ts';
import { redirectId } from '../domain/redirect/redirects.ts';
import { asOperationError } from './operation-errors.ts';

type Deps = {
  bus: Bus;
  devices: Devices;
  redirects: Redirects;
  /** Whether a URL is of this very instance. */
  isOwn: (url: string) => boolean;
  now: () => number;
};

/** Which devices another instance hands over (F59, F67). */
export async function serveRedirects({ bus, devices, redirects, isOwn, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(setRedirect, async (input) => {
      const { account, url, trustAnchors, by } = input;
      trustAnchors.forEach(requireRoot);
      if (isOwn(url))
        throw new OperationError('invalid-input', 'url: is this instance; its devices would go in a circle', {
          field: 'url',
        });
      const id = redirectId(await ownSubject(devices, input));
      for (;;) {
        const before = await redirects.get(id);
        // asked after that: where the device changes hands now, what its new owner sets is not what was read
        const subject = await ownSubject(devices, input);
        const since = new Date(now()).toISOString();
        const record = { id, subject, url, trustAnchors, setBy: account, since, by };
        if (await replace(redirects, before, record)) return viewOf(record);
      }
    }),
    await bus.serve(listRedirects, async ({ account, cursor, limit }) => {
      const page = await redirects.find({
        index: 'bySetter',
        equals: { setBy: account },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      return { items: page.items.map(viewOf), ...(page.next === undefined ? {} : { next: page.next }) };
    }),
    await bus.serve(removeRedirect, async ({ account, subject }) => {
      const id = redirectId(subject);
      if (await redirects.remove(id, ({ setBy }) => setBy === account)) return {};
      const message = `subject: account "${account}" has set no such redirect`;
      throw asOperationError(new BootstrapError('unknown-redirect', message, 'subject'));
    }),
  ];
}

/** @returns whether `before` was what stood there; else somebody has set another, or taken it away, meanwhile */
async function replace(
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

/** An account sends away its own devices, those that it made, and itself; the platform whomever it will. */
async function ownSubject(devices: Devices, { account, subject }: OperationInput<typeof setRedirect>) {
  if ('account' in subject) {
    if (account === PLATFORM_ACCOUNT || subject.account === account) return subject;
    throw unknown(account);
  }
  const record = await byFingerprint(devices, subject.fingerprint);
  if (record === undefined && account === PLATFORM_ACCOUNT) return subject;
  if (record === undefined || !(account === PLATFORM_ACCOUNT || isVisible(record, account)))
    throw unknown(account);
  return { fingerprint: record.id };
}

function unknown(account: string) {
  const message = `subject: account "${account}" has no such device, and is no other account`;
  return asOperationError(new BootstrapError('unknown-device', message, 'subject'));
}

function requireRoot(pem: string, index: number): void {
  try {
    if (parseCertificatePem(pem).basicConstraints?.ca === true) return;
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
  }
  const message = `trustAnchors.${index}: no certificate of a CA`;
  throw asOperationError(new BootstrapError('bad-certificate', message, `trustAnchors.${index}`));
}

function viewOf({ id: _id, setBy: _setBy, ...redirect }: RedirectRecord) {
  return redirect;
}
