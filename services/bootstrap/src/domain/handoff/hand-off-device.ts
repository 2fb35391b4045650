import { Bundle, OperationError, type RefusalCode } from '@signet/contracts';
import type {
  AccountRecords,
  AccountStates,
  BlockRules,
  DeviceRecord,
  Devices,
  Redirects,
} from '../../collections.ts';
import { isSuspended, settingsOf } from '../account/account-settings.ts';
import { blockingRule } from '../claim/block-rules.ts';
import { byFingerprint } from '../device/find-device.ts';
import { secondIdentityOf } from '../device/ownership.ts';
import { placeOf } from '../device/reset.ts';
import { handOff } from '../device/transitions.ts';
import { type FactoryPins, voidingPin } from '../factory/factory-pins.ts';
import { redirectOf } from '../redirect/redirects.ts';
import { decideHandoff, type HandoffDecision, type HandoffFacts } from './decide-handoff.ts';
import type { HandoffPorts } from './ports.ts';

/** Where devices of this instance go. URLs as devices reach them. */
export type Endpoints = {
  readonly instance: string;
  readonly est: string;
  readonly mqtt: string;
  readonly gateway: string;
};

export type HandoffContext = {
  readonly devices: Pick<Devices, 'get' | 'find' | 'update'>;
  readonly factories: FactoryPins;
  readonly rules: Pick<BlockRules, 'get' | 'find'>;
  readonly redirects: Pick<Redirects, 'get'>;
  readonly accounts: Pick<AccountRecords, 'get'>;
  readonly accountStates: Pick<AccountStates, 'get'>;
  readonly ports: HandoffPorts;
  readonly endpoints: Endpoints;
  readonly now: () => number;
};

export type CsrRefusal = { readonly code: RefusalCode; readonly message: string };

/** Who asks: by the certificate of the connection, with a CSR if it wants its certificate at once. */
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
 * The handoff of one device: the decision, a fresh grant (an earlier one is void), the step to `bootstrapped`.
 * Safe to repeat after any cut: the device's last grant is the one that counts. The decision is made again on what that
 * step found, so that a device which was blocked, retired or given up meanwhile gets nothing; one blocked later has the
 * grant voided by its event.
 * @throws OperationError `unavailable`, `deadline-exceeded` where a service that is asked is away: nothing has changed
 */
export async function handOffDevice(deps: HandoffContext, request: HandoffRequest): Promise<HandoffResult> {
  const { fingerprint } = request;
  const record = await byFingerprint(deps.devices, fingerprint);
  const standing = await readHandoffFacts(deps, fingerprint, record);
  const decision = decideHandoff({ fingerprint, record, ...standing });
  if (decision.kind === 'redirect') return redirectDevice(deps, fingerprint, decision);
  if (decision.kind !== 'handoff') return decision;
  const { account, deviceId, settings } = decision;
  const { profile } = settings;
  const asked = await Promise.all([
    deps.ports.issueGrant({
      ...{ account, deviceId, fingerprint },
      ...placeOf(record),
      ...(profile === undefined ? {} : { profile }),
    }),
    settings.mqttCredentials ? deps.ports.issueCredentials({ account, deviceId }) : undefined,
    settings.commandCertificate ? deps.ports.commandCertificate({ account }) : undefined,
  ]).catch(configurationFault);
  if ('code' in asked)
    return { kind: 'wait', state: record?.state ?? 'claimed', account, deviceId, ...asked };
  const [granted, credentials, commands] = asked;
  const { instance, est, mqtt, gateway } = deps.endpoints;
  const isStill = (current: DeviceRecord) =>
    current.account === account &&
    current.deviceId === deviceId &&
    (current.id === fingerprint || secondIdentityOf(current) === fingerprint);
  const stepped = await deps.devices.update(record?.id ?? fingerprint, (current) =>
    isStill(current) ? handOff(current, { instance, now: deps.now() }) : undefined,
  );
  if (!isStill(stepped)) return handOffDevice(deps, request);
  const after = decideHandoff({
    fingerprint,
    record: stepped,
    ...(await readHandoffFacts(deps, fingerprint, stepped)),
  });
  if (after.kind === 'redirect') return redirectDevice(deps, fingerprint, after);
  if (after.kind !== 'handoff') return after;
  const { trustAnchors, label, username, grant, expiresAt } = granted;
  const { csr } = request;
  const enrolled =
    csr === undefined || !settings.certificateInBundle
      ? undefined
      : await deps.ports.enroll({ account, deviceId, fingerprint, username, grant, csr });
  const refusal = enrolled !== undefined && 'refusal' in enrolled ? enrolled.refusal : undefined;
  const bundle = Bundle.parse({
    account,
    deviceId,
    instance,
    trustAnchors,
    est: { url: est, label, username, grant, expiresAt },
    mqtt: { url: mqtt, clientId: deviceId, ...credentials },
    gateway: { url: gateway },
    config: settings.config,
    ...(commands === undefined ? {} : { commands }),
    ...(enrolled !== undefined && 'certificate' in enrolled ? { certificate: enrolled.certificate } : {}),
    ...(refusal === undefined ? {} : { refusal: { code: refusal.code, detail: refusal.message } }),
  });
  return { kind: 'bundle', bundle, refusal };
}

const configurationErrors = ['unknown-profile', 'no-issuing-ca'] as const;

/** What the account's operators have to mend; the device waits until they did. */
function configurationFault(error: unknown): CsrRefusal {
  const code = configurationErrors.find((each) => error instanceof OperationError && error.code === each);
  if (code === undefined || !(error instanceof OperationError)) throw error;
  return { code, message: error.message };
}

/** What was said of it besides its own record. */
async function readHandoffFacts(
  deps: HandoffContext,
  fingerprint: string,
  record: DeviceRecord | undefined,
): Promise<Pick<HandoffFacts, 'rule' | 'voiding' | 'redirect' | 'settings' | 'suspended'>> {
  const account = record?.account;
  const pins = record === undefined ? [] : deps.factories.siblings(record.authorityId);
  const ids = pins.map(({ authorityId }) => authorityId);
  const [rule, redirect, settings, suspended] = await Promise.all([
    record === undefined ? undefined : blockingRule(deps.rules, record, { ids }),
    redirectOf(deps.redirects, fingerprint, record),
    account === undefined ? undefined : settingsOf(deps.accounts, account),
    account === undefined ? false : isSuspended(deps.accountStates, account),
  ]);
  const voiding = record === undefined ? undefined : voidingPin(record, pins);
  return { rule, voiding, redirect, settings, suspended };
}

async function redirectDevice(
  deps: HandoffContext,
  fingerprint: string,
  { redirect, account }: Extract<HandoffDecision, { kind: 'redirect' }>,
): Promise<HandoffResult> {
  const { url, trustAnchors } = redirect;
  const statement = await deps.ports.signRedirect({ fingerprint, url, trustAnchors });
  return { kind: 'redirect', url, statement, account };
}
