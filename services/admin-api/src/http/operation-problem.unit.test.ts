import * as contracts from '@signet/contracts';
import { type Operation, OperationError } from '@signet/contracts';
import { Problem } from '@signet/service';
import { describe, expect, it } from 'vitest';
import { asProblem } from './operation-problem.ts';

/** What services ask each other and no route passes on. */
const betweenServices = new Set<Operation>([
  contracts.handOverDevice,
  contracts.identifyDevice,
  contracts.signBootstrap,
  contracts.issueServerCertificate,
  contracts.createGrant,
  contracts.announceKey,
  contracts.authenticateProvisioning,
  contracts.completeProvisioning,
  contracts.checkMqttCredentials,
  contracts.createMqttCredentials,
  contracts.reportProvisioning,
  contracts.authorizeToken,
  contracts.spendTokenBudget,
  contracts.returnTokenBudget,
  contracts.certifyDevice,
  contracts.renewDevice,
  contracts.signRegistration,
  contracts.denylistSnapshot,
  contracts.denylistChanges,
]);

const operations = (Object.values(contracts) as unknown[]).filter(isOperation);
const cases = operations
  .filter((operation) => !betweenServices.has(operation))
  .flatMap(({ name, errors }) => errors.map((code) => [name, code] as const));

describe('errors of operations', () => {
  it.each(cases)('%s: %s has a status of its own', (name, code) => {
    const problem = asProblem(new OperationError(code, `${name}: refused`, { field: 'deviceId' }));
    expect(problem).toBeInstanceOf(Problem);
    expect(problem).toMatchObject({ code, message: `${name}: refused`, field: 'deviceId' });
    expect((problem as Problem).status).toBeGreaterThanOrEqual(400);
    expect((problem as Problem).status).toBeLessThan(500);
  });

  it('leaves any other error as it is', () => {
    const error = new Error('elsewhere');
    expect(asProblem(error)).toBe(error);
    const internal = new OperationError('internal', 'broken');
    expect(asProblem(internal)).toBe(internal);
  });
});

function isOperation(value: unknown): value is Operation {
  return typeof value === 'object' && value !== null && 'errors' in value && 'output' in value;
}
