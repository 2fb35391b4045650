import {
  Bundle,
  createGrant,
  createMqttCredentials,
  enrollHandedOver,
  OperationError,
  PLATFORM_ACCOUNT,
  REDIRECT_TYPE,
  RedirectStatement,
  type RefusalCode,
  signStatement,
} from '@signet/contracts';
import type { DeviceRecord } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { isSuspended, settingsOf } from '../account/account-settings.ts';
import { blockingRule } from '../claim/block-rules.ts';
import { byFingerprint, secondIdentityOf } from '../device/find-device.ts';
import { placeOf } from '../device/reset.ts';
import { handOff } from '../device/transitions.ts';
import { inForce, voidingPin } from '../factory/factory-pins.ts';
import { redirectOf } from '../redirect/redirects.ts';
import { decideHandoff, type HandoffDecision, type HandoffFacts, type NoHandoff } from './decide-handoff.ts';

export type HandoffContext = Pick<
  Context,
  | 'devices'
  | 'factories'
  | 'rules'
  | 'redirects'
  | 'accounts'
  | 'accountStates'
  | 'bus'
  | 'commandCertificateOf'
  | 'endpoints'
  | 'now'
>;

export type CsrRefusal = { readonly code: RefusalCode; readonly message: string };

/** The certificate of the connection says which device asks. With a CSR it gets its certificate in the bundle. */
export type HandoffRequest = { readonly fingerprint: string; readonly csr?: string | undefined };

export type HandoffResult =
  | {
      readonly kind: 'bundle';
      readonly bundle: Bundle;
      /** Why the CSR in the request got no certificate. */
      readonly refusal?: CsrRefusal | undefined;
    }
  | { readonly kind: 'redirect'; readonly url: string; readonly statement: string; readonly account: string }
  | Exclude<HandoffDecision, { kind: 'handoff' | 'redirect' }>;

/**
 * The handoff of one device. Safe to repeat after any cut: the device's last grant is the one that counts, and one that
 * is blocked after this has the grant voided by its event.
 * @throws OperationError `unavailable`, `deadline-exceeded` where a service that is asked is unavailable: nothing has
 * changed then
 */
export async function handOffDevice(ctx: HandoffContext, request: HandoffRequest): Promise<HandoffResult> {
  const { fingerprint, csr } = request;

  // Step 1: decide on what is known of the device.
  const record = await byFingerprint(ctx.devices, fingerprint);
  const decision = decideHandoff(await readFacts(ctx, fingerprint, record));
  if (decision.kind === 'redirect') return redirectDevice(ctx, fingerprint, decision);
  if (decision.kind !== 'handoff') return decision;
  const { account, deviceId, settings } = decision;

  // Step 2: a fresh grant, which voids earlier ones, and what else the account gives its devices.
  const given = await requestGrant(ctx, decision, { fingerprint, record }).catch(configurationFault);
  if ('code' in given)
    return { kind: 'wait', state: record?.state ?? 'claimed', account, deviceId, ...given };

  // Step 3: `bootstrapped`, if it still is the same device of the same account. Else start again.
  const isSame = (current: DeviceRecord) =>
    current.account === account &&
    current.deviceId === deviceId &&
    (current.id === fingerprint || secondIdentityOf(current) === fingerprint);
  const { instance } = ctx.endpoints;
  const stepped = await ctx.devices.update(record?.id ?? fingerprint, (current) =>
    isSame(current) ? handOff(current, { instance, now: ctx.now() }) : undefined,
  );
  if (!isSame(stepped)) return handOffDevice(ctx, request);

  // Step 4: decide again on what the write found: one that was blocked or given up meanwhile gets nothing.
  const after = decideHandoff(await readFacts(ctx, fingerprint, stepped));
  if (after.kind === 'redirect') return redirectDevice(ctx, fingerprint, after);
  if (after.kind !== 'handoff') return after;

  // Step 5: the certificate for the CSR. Its refusal leaves the rest of the bundle.
  const { username, grant } = given.grant;
  const enrolled =
    csr === undefined || !settings.certificateInBundle
      ? undefined
      : await ctx.bus.request(enrollHandedOver, { account, deviceId, fingerprint, username, grant, csr });
  const refusal = enrolled !== undefined && 'refusal' in enrolled ? enrolled.refusal : undefined;
  const certificate = enrolled !== undefined && 'certificate' in enrolled ? enrolled.certificate : undefined;

  // Step 6: the bundle.
  const bundle = bundleOf(ctx, decision, { ...given, certificate, refusal });
  return { kind: 'bundle', bundle, refusal };
}

/** What decides about a handoff besides the device's own record. */
async function readFacts(
  ctx: HandoffContext,
  fingerprint: string,
  record: DeviceRecord | undefined,
): Promise<HandoffFacts> {
  const account = record?.account;
  const pins = record === undefined ? [] : ctx.factories.siblings(record.authorityId);
  const ids = pins.map(({ authorityId }) => authorityId);
  const [rule, redirect, settings, suspended] = await Promise.all([
    record === undefined ? undefined : blockingRule(ctx.rules, record, { ids }),
    redirectOf(ctx.redirects, fingerprint, record),
    account === undefined ? undefined : settingsOf(ctx.accounts, account),
    account === undefined ? false : isSuspended(ctx.accountStates, account),
  ]);
  const voiding = record === undefined ? undefined : voidingPin(record, pins);
  return { fingerprint, record, rule, voiding, redirect, settings, suspended };
}

type Handoff = Extract<HandoffDecision, { kind: 'handoff' }>;

type Given = Awaited<ReturnType<typeof requestGrant>>;

async function requestGrant(
  { bus, commandCertificateOf }: HandoffContext,
  { account, deviceId, settings }: Handoff,
  { fingerprint, record }: { readonly fingerprint: string; readonly record: DeviceRecord | undefined },
) {
  const { profile } = settings;
  const device = { account, deviceId, fingerprint, ...placeOf(record) };
  const [grant, credentials, commands] = await Promise.all([
    bus.request(createGrant, { ...device, ...(profile === undefined ? {} : { profile }) }),
    settings.mqttCredentials ? bus.request(createMqttCredentials, { account, deviceId }) : undefined,
    settings.commandCertificate ? commandCertificateOf(account) : undefined,
  ]);
  return { grant, credentials, commands };
}

const configurationErrors = ['unknown-profile', 'no-issuing-ca'] as const;

/** What the account's operators have to correct; the device waits until they did. */
function configurationFault(error: unknown): CsrRefusal {
  const code = configurationErrors.find((each) => error instanceof OperationError && error.code === each);
  if (code === undefined || !(error instanceof OperationError)) throw error;
  return { code, message: error.message };
}

function bundleOf(
  { endpoints }: Pick<Context, 'endpoints'>,
  { account, deviceId, settings }: Handoff,
  given: Given & {
    readonly certificate: Bundle['certificate'] | undefined;
    readonly refusal: CsrRefusal | undefined;
  },
): Bundle {
  const { instance, est, mqtt, gateway } = endpoints;
  const { grant: granted, credentials, commands, certificate, refusal } = given;
  const { trustAnchors, label, username, grant, expiresAt } = granted;
  return Bundle.parse({
    account,
    deviceId,
    instance,
    trustAnchors,
    est: { url: est, label, username, grant, expiresAt },
    mqtt: { url: mqtt, clientId: deviceId, ...credentials },
    gateway: { url: gateway },
    config: settings.config,
    ...(commands === undefined ? {} : { commands }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(refusal === undefined ? {} : { refusal: { code: refusal.code, detail: refusal.message } }),
  });
}

/** A redirect is followed at once; a copy of one is worth nothing the next day. */
const REDIRECT_SECONDS = 3600;

async function redirectDevice(
  { bus, now }: Pick<Context, 'bus' | 'now'>,
  fingerprint: string,
  { redirect, account }: Extract<HandoffDecision, { kind: 'redirect' }>,
): Promise<HandoffResult> {
  const { url, trustAnchors } = redirect;
  const iat = Math.floor(now() / 1000);
  const exp = iat + REDIRECT_SECONDS;
  const statement = RedirectStatement.parse({ fingerprint, url, trustAnchors, iat, exp });
  const { jws } = await bus.request(signStatement, {
    account: PLATFORM_ACCOUNT,
    type: REDIRECT_TYPE,
    payload: Buffer.from(JSON.stringify(statement)).toString('base64url'),
  });
  return { kind: 'redirect', url, statement: jws, account };
}

/**
 * The accounts that a refused handoff is reported to, with the message: the device's own account, or every account that has its CA pinned where only
 * a claim decides whose it is.
 */
export function refusalReports(
  { factories }: Pick<Context, 'factories'>,
  { code, message, account }: NoHandoff,
  issuerKeyId: string,
): readonly { readonly account: string | undefined; readonly message: string }[] {
  const witnesses = code === 'unclaimed' ? inForce(factories.byKeyId(issuerKeyId)) : [];
  if (witnesses.length < 2) return [{ account, message }];
  const shared = `${message}; ${witnesses.length} accounts have its CA pinned, and only a claim decides whose it is`;
  return witnesses.map((pin) => ({ account: pin.account, message: shared }));
}
