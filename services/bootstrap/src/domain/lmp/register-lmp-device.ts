import { authorizeToken, OperationError, returnTokenBudget, spendTokenBudget } from '@signet/contracts';
import { type Csr, newSerialNumber, textOfAttribute } from '@signet/pki';
import type { DeviceRecord } from '../../collections.ts';
import type { Context } from '../../context.ts';
import { placeOf } from '../device/reset.ts';
import { RegistrationError } from '../refusals/errors.ts';
import { type Certified, certify, supersede } from '../registration/certify-registered.ts';
import { deviceIdOf, readCsr } from '../registration/csr.ts';
import { registerDevice, requireActiveAccount } from '../registration/register-device.ts';
import { registerAgain, registeredBefore, uuidTaken } from './register-again.ts';
import { type Overrides, sotaToml } from './sota-toml.ts';

/** X.520 businessCategory: the client writes "production" into it. */
const BUSINESS_CATEGORY = '2.5.4.15';

export type LmpContext = Pick<Context, 'devices' | 'bus' | 'accountStates' | 'endpoints' | 'now'>;

/** Who registers devices of an account, by an API token. */
export type Registrar = {
  /** Name of the token. */
  readonly name: string;
  readonly token: string;
  /** Whether the token may register a number of devices only. */
  readonly hasBudget: boolean;
};

/** The registrar that a token is of. @throws OperationError `unauthenticated`, `forbidden` */
export async function authenticateRegistrar(
  { bus }: Pick<Context, 'bus'>,
  { token, account }: { readonly token: string; readonly account: string },
): Promise<Registrar> {
  const permission = 'devices:register';
  const { name, hasBudget } = await bus.request(authorizeToken, { token, permission, account });
  return { name, token, hasBudget };
}

/** A device that an API token registers. */
export type LmpRequest = {
  readonly account: string;
  readonly registrar: Registrar;
  /** PKCS#10 in PEM. */
  readonly csr: string;
  readonly uuid: string | undefined;
  readonly hardwareId: string;
  /** As the device calls itself. */
  readonly name: string | undefined;
  readonly group: string | undefined;
  readonly folder: string;
  /** Whether it pulls its system from the OSTree server rather than through the gateway. */
  readonly usesOstreeServer: boolean;
  readonly overrides: Overrides;
};

/** The files that the device writes, by the names that its client knows. */
export type LmpFiles = Readonly<Record<'root.crt' | 'client.pem' | 'client.chained' | 'sota.toml', string>>;

/**
 * Registers a device and certifies it at once: the token is the approval. The same key may come again as long as the
 * device has not used its certificate; another key as {@link registerAgain} has it.
 * @throws RegistrationError `malformed-request`, `weak-key`, `bad-csr-signature`, `wrong-subject`, `bad-identity`,
 * `device-id-taken`, `limit-reached`
 */
export async function registerLmpDevice(ctx: LmpContext, request: LmpRequest): Promise<LmpFiles> {
  const { csr, uuid, hardwareId, folder, overrides } = request;
  const { gateway } = ctx.endpoints;
  const read = readCsr(csr);
  const deviceId = deviceIdOf(read, uuid);
  const budgetUse = await spendBudget(ctx, request, deviceId);
  let certified: Certified;
  try {
    certified = await registerAndCertify(ctx, { deviceId, read }, request);
  } catch (error) {
    // what failed otherwise may have been done: it counts, and the same device may come again
    if (error instanceof RegistrationError) await returnBudget(ctx, request, budgetUse);
    throw error;
  }
  const ostree = request.usesOstreeServer ? ctx.endpoints.ostree : `${gateway}/treehub`;
  return filesOf(certified, sotaToml({ gateway, ostree, hardwareId, folder, overrides }));
}

async function registerAndCertify(
  ctx: LmpContext,
  { deviceId, read }: { readonly deviceId: string; readonly read: Csr },
  request: LmpRequest,
): Promise<Certified> {
  const { account, csr } = request;
  await requireActiveAccount(ctx.accountStates, account);
  const record = await requireRecord(ctx, { deviceId, read }, request);
  const serialNumber = newSerialNumber();
  const certified = await certify(ctx.bus, {
    ...{ account, deviceId, csr, serialNumber },
    ...placeOf(record),
    organizationalUnit: account,
  });
  // A revocation after this finds the certificate; one before it did not, so the device is read again.
  const now = await ctx.devices.get(record.id);
  const isOut = now === undefined || now.state === 'blocked' || now.state === 'retired';
  const isSame =
    now?.account === account &&
    now.onboardingSince === record.onboardingSince &&
    now.tokenRegistration?.publicKeyHash === record.tokenRegistration?.publicKeyHash;
  if (!isOut && isSame) return certified;
  await supersede(ctx.bus, { account, serialNumber });
  throw uuidTaken(deviceId, now?.account === account ? now.state : 'given up');
}

/** The record of the device, new or once more for the key of this request. @throws RegistrationError `device-id-taken` */
async function requireRecord(
  ctx: LmpContext,
  { deviceId, read }: { readonly deviceId: string; readonly read: Csr },
  { account, registrar, csr, hardwareId: model, group, name }: LmpRequest,
): Promise<DeviceRecord> {
  const { publicKeyHash } = read;
  const by = registrar.name;
  const isProduction = textOfAttribute(read.subjectDer, BUSINESS_CATEGORY) === 'production';
  const said = {
    ...(name === undefined || name === '' ? {} : { name }),
    ...(isProduction ? { production: true as const } : {}),
  };
  const known = await registeredBefore(ctx.devices, { account, deviceId });
  if (known !== undefined) return registerAgain(ctx, known, { account, publicKeyHash, group, by, said });
  const tokenRegistration = { publicKeyHash, at: new Date(ctx.now()).toISOString(), by };
  const more = { tokenRegistration, ...said };
  const { record } = await registerDevice(ctx, { account, deviceId, csr, model, group, by, more });
  // one that came at the same time was first
  if (record.tokenRegistration?.publicKeyHash !== publicKeyHash) throw uuidTaken(deviceId, record.state);
  return record;
}

function filesOf({ certificate, chain, trustAnchors }: Certified, sota: string): LmpFiles {
  return {
    'root.crt': trustAnchors.join(''),
    'client.pem': certificate,
    'client.chained': [certificate, ...chain.slice(0, -1)].join(''),
    'sota.toml': sota,
  };
}

const budgetCodes = new Set(['budget-exhausted', 'budget-over', 'serial-not-in-budget']);

/** Counts a device against the budget of the token. @throws RegistrationError `limit-reached` */
async function spendBudget(
  { bus }: Pick<Context, 'bus'>,
  { account, registrar: { token, hasBudget } }: LmpRequest,
  deviceId: string,
): Promise<string | undefined> {
  if (!hasBudget) return undefined;
  try {
    return (await bus.request(spendTokenBudget, { token, account, deviceId })).use;
  } catch (cause) {
    if (!(cause instanceof OperationError && budgetCodes.has(cause.code))) throw cause;
    throw new RegistrationError('limit-reached', cause.message, { cause });
  }
}

async function returnBudget(
  { bus }: Pick<Context, 'bus'>,
  { registrar: { token } }: LmpRequest,
  use: string | undefined,
): Promise<void> {
  if (use !== undefined) await bus.request(returnTokenBudget, { token, use });
}
