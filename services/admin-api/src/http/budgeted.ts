import type { Bus } from '@signet/bus';
import {
  type Device,
  type FactoryItem,
  type FactoryResult,
  factorySign,
  identifyDevice,
  importFactoryLog,
  type MadeElsewhere,
  OperationError,
} from '@signet/contracts';
import { decodePem, decodePemBlocks, PkiError, parseCertificate, parseCsr } from '@signet/pki';
import { Problem } from '@signet/service';
import type { z } from 'zod';
import type { Budgets } from '../domain/budget/budget.ts';
import type { Operator } from '../domain/token/api-token.ts';

type Deps = { readonly bus: Bus; readonly budgets: Budgets };
type Item = z.output<typeof FactoryItem>;
type Failed = { error: { code: string; message: string } };
type Result<R> = R | Failed;

/** A key that is unavailable may have signed before it went. */
const UNKNOWN: ReadonlySet<string> = new Set(['unavailable', 'deadline-exceeded', 'internal']);

/** Signs what the budget of the token gives; the rest fails item by item. */
export function signWithinBudget(
  { bus, budgets }: Deps,
  operator: Operator,
  account: string,
  items: readonly Item[],
): Promise<{ results: Result<z.output<typeof FactoryResult>>[] }> {
  return withinBudget(budgets, operator, account, items, {
    serialOf: ({ csr, deviceSerialNumber }) => deviceSerialNumber ?? serialIn(csr),
    // the serial number that is counted is the one that is signed, also where the CSR alone named it
    settled: (item, serial) => ({ ...item, deviceSerialNumber: serial }),
    run: (some) =>
      bus.request(factorySign, { account, items: some, by: operator.name }, { deadlineMs: 60_000 }),
  });
}

/** Takes up what was made elsewhere, as far as the budget of the token goes. */
export function importWithinBudget(
  { bus, budgets }: Deps,
  operator: Operator,
  account: string,
  items: readonly z.output<typeof MadeElsewhere>[],
): Promise<{ results: Result<object>[] }> {
  return withinBudget(budgets, operator, account, items, {
    serialOf: ({ certificate }) => serialIn(certificate),
    settled: (item) => item,
    run: (some) =>
      bus.request(importFactoryLog, { account, items: some, by: operator.name }, { deadlineMs: 60_000 }),
  });
}

async function withinBudget<I, R extends object>(
  budgets: Budgets,
  operator: Operator,
  account: string,
  items: readonly I[],
  does: {
    readonly serialOf: (item: I) => string | Failed;
    readonly settled: (item: I, serial: string) => I;
    readonly run: (items: I[]) => Promise<{ results: Result<R>[] }>;
  },
): Promise<{ results: Result<R>[] }> {
  if (operator.budget === undefined) return does.run([...items]);
  const results = new Array<Result<R> | undefined>(items.length);
  const named = items.flatMap((item, i) => {
    const serial = does.serialOf(item);
    if (typeof serial === 'string') return [{ i, serial, item: does.settled(item, serial) }];
    results[i] = serial;
    return [];
  });
  const admitted = await budgets.admit(
    operator,
    named.map(({ serial }) => ({ item: `${account}/${serial}`, serial })),
  );
  const wanted = named.flatMap((one, at) => {
    const answer = admitted[at];
    if (answer?.ok === true) return [{ ...one, answer }];
    results[one.i] = failed(answer?.code ?? 'internal', answer?.message ?? 'no answer');
    return [];
  });
  const done = wanted.length === 0 ? [] : (await does.run(wanted.map(({ item }) => item))).results;
  wanted.forEach(({ i }, at) => {
    results[i] = done[at];
  });
  // two of one batch may share a place: it counts where either was made
  const used = new Set(wanted.filter(({ i }) => counts(results[i])).map(({ answer }) => answer.place?.use));
  const unused = wanted.filter(({ answer }) => !used.has(answer.place?.use));
  await Promise.all(unused.map(({ answer }) => budgets.giveBack(operator, answer)));
  return { results: results.map((result) => result ?? failed('internal', 'no answer')) };
}

function counts(result: Result<object> | undefined): boolean {
  return result === undefined || !('error' in result) || UNKNOWN.has((result as Failed).error.code);
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

/** The device's own serial number in a CSR or a certificate, as est-ca and bootstrap read it. */
function serialIn(pem: string): string | Failed {
  try {
    const [block] = decodePemBlocks(pem);
    const { subject } =
      block?.label === 'CERTIFICATE'
        ? parseCertificate(block.der)
        : parseCsr(decodePem(pem, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
    const serial = subject.serialNumber ?? subject.commonName;
    return serial === undefined || serial.length > LONGEST_SERIAL
      ? failed('bad-identity', 'subject: names no serial number, and none was given')
      : serial;
  } catch (error) {
    if (error instanceof PkiError) return failed(error.code, `csr: ${error.message}`);
    throw error;
  }
}

function failed(code: string, message: string): Failed {
  return { error: { code, message } };
}
