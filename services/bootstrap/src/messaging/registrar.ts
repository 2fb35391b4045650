import type { Bus } from '@signet/bus';
import { authorizeToken, OperationError, returnTokenBudget, spendTokenBudget } from '@signet/contracts';
import { RegistrationError } from '../domain/errors.ts';
import type { RegistrarBudget } from '../domain/lmp/register-lmp-device.ts';

const budgetCodes = new Set(['budget-exhausted', 'budget-over', 'serial-not-in-budget']);

/** Who registers devices of an account, by an API token, with what the token may use up. */
export function registrarOf(bus: Pick<Bus, 'request'>) {
  return async (
    token: string,
    account: string,
  ): Promise<{ readonly name: string; readonly budget?: RegistrarBudget | undefined }> => {
    const permission = 'devices:register';
    const { name, hasBudget } = await bus.request(authorizeToken, { token, permission, account });
    return { name, ...(hasBudget ? { budget: budgetOf(bus, token, account) } : {}) };
  };
}

function budgetOf(bus: Pick<Bus, 'request'>, token: string, account: string): RegistrarBudget {
  return {
    async spend(deviceId) {
      const { use } = await bus.request(spendTokenBudget, { token, account, deviceId }).catch(refused);
      return {
        async giveBack() {
          if (use !== undefined) await bus.request(returnTokenBudget, { token, use });
        },
      };
    },
  };
}

function refused(cause: unknown): never {
  if (!(cause instanceof OperationError && budgetCodes.has(cause.code))) throw cause;
  throw new RegistrationError('limit-reached', cause.message, { cause });
}
