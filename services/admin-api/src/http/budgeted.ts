import type { Bus } from '@signet/bus';
import {
  type Device,
  type FactoryItem,
  type FactoryResult,
  factorySign,
  identifyDevice,
  OperationError,
} from '@signet/contracts';
import { decodePem, PkiError, parseCsr } from '@signet/pki';
import { Problem } from '@signet/service';
import type { z } from 'zod';
import type { Operator } from '../domain/api-token.ts';
import type { Budgets } from '../domain/spend-budget.ts';

type Deps = { readonly bus: Bus; readonly budgets: Budgets };
type Item = z.output<typeof FactoryItem>;
type Result = z.output<typeof FactoryResult> | { error: { code: string; message: string } };

/** A key that is away may have signed before it went. */
const UNKNOWN: ReadonlySet<string> = new Set(['unavailable', 'deadline-exceeded', 'internal']);

/**
 * Signs what the budget of the token gives; the rest fails item by item. The serial number that is counted is the one
 * that is signed: it is told to the factory even where the CSR alone named it.
 */
export async function signWithinBudget(
  { bus, budgets }: Deps,
  operator: Operator,
  account: string,
  items: readonly Item[],
): Promise<{ results: Result[] }> {
  const sign = async (some: Item[]) =>
    some.length === 0
      ? { results: [] }
      : bus.request(factorySign, { account, items: some, by: operator.name }, { deadlineMs: 60_000 });
  if (operator.budget === undefined) return sign([...items]);

  const results = new Array<Result | undefined>(items.length);
  const named = items.flatMap((item, i) => {
    const serial = serialOf(item);
    if (typeof serial === 'string') return [{ i, item: { ...item, deviceSerialNumber: serial } }];
    results[i] = { error: serial };
    return [];
  });
  const admitted = await budgets.admit(
    operator,
    named.map(({ item: { deviceSerialNumber: serial } }) => ({ item: `${account}/${serial}`, serial })),
  );
  const wanted = named.flatMap((one, at) => {
    const answer = admitted[at];
    if (answer?.ok === true) return [{ ...one, answer }];
    results[one.i] = { error: { code: answer?.code ?? 'internal', message: answer?.message ?? 'no answer' } };
    return [];
  });
  const { results: signed } = await sign(wanted.map(({ item }) => item));
  wanted.forEach(({ i }, at) => {
    results[i] = signed[at];
  });
  // two of one batch may share a place: it counts where either was made
  const used = new Set(wanted.filter(({ i }) => counts(results[i])).map(({ answer }) => answer.place?.use));
  const unused = wanted.filter(({ answer }) => !used.has(answer.place?.use));
  await Promise.all(unused.map(({ answer }) => budgets.giveBack(operator, answer)));
  return {
    results: results.map((result) => result ?? { error: { code: 'internal', message: 'no answer' } }),
  };
}

function counts(result: Result | undefined): boolean {
  return result === undefined || !('error' in result) || UNKNOWN.has(result.error.code);
}

/** Claims one device, if the budget of the token gives it. @throws Problem 403 where it does not */
export async function claimWithinBudget(
  { bus, budgets }: Deps,
  operator: Operator,
  account: string,
  which: { readonly fingerprint?: string | undefined; readonly code?: string | undefined },
  claim: () => Promise<Device>,
): Promise<Device> {
  if (operator.budget === undefined) return claim();
  const { fingerprint, deviceSerialNumber } = await bus.request(identifyDevice, which);
  const spending = { item: `${account}#${fingerprint}`, serial: deviceSerialNumber };
  const [admitted] = await budgets.admit(operator, [spending]);
  if (admitted === undefined || !admitted.ok)
    throw new Problem(403, admitted?.code ?? 'budget-exhausted', admitted?.message ?? 'budget: none is left');
  try {
    return await claim();
  } catch (error) {
    if (error instanceof OperationError && !UNKNOWN.has(error.code))
      await budgets.giveBack(operator, admitted);
    throw error;
  }
}

const LONGEST_SERIAL = 128;

/** The device's own serial number, as est-ca will read it; an error where the CSR has none. */
function serialOf({ csr, deviceSerialNumber }: Item): string | { code: string; message: string } {
  if (deviceSerialNumber !== undefined) return deviceSerialNumber;
  try {
    const { subject } = parseCsr(decodePem(csr, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
    const serial = subject.serialNumber ?? subject.commonName;
    if (serial === undefined || serial.length > LONGEST_SERIAL)
      return { code: 'bad-identity', message: 'csr: subject names no serial number, and none was given' };
    return serial;
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    return { code: error.code, message: `csr: ${error.message}` };
  }
}
