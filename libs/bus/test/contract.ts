import { afterEach, beforeEach, describe } from 'vitest';
import { accountConsumerContract } from './contract/account-consumers.ts';
import { boundsContract } from './contract/bounds.ts';
import { consumeContract } from './contract/consume.ts';
import { crashContract } from './contract/crash.ts';
import { deadLetterContract } from './contract/dead-letters.ts';
import { downContract } from './contract/down.ts';
import { fullContract } from './contract/full.ts';
import { messageContract } from './contract/messages.ts';
import { operationContract } from './contract/operations.ts';
import { orderContract } from './contract/order.ts';
import { tailContract } from './contract/tail.ts';
import { traceContract } from './contract/trace.ts';
import type { BusHarness } from './harness.ts';

/** What every engine owes. */
export function busContract(engine: string, open: () => Promise<BusHarness>): void {
  describe(`the bus (${engine})`, () => {
    let harness: BusHarness;
    beforeEach(async () => {
      harness = await open();
    });
    afterEach(async () => {
      await harness[Symbol.asyncDispose]();
    });
    const current = () => harness;
    consumeContract(current);
    accountConsumerContract(current);
    orderContract(current);
    deadLetterContract(current);
    fullContract(current);
    tailContract(current);
    operationContract(current);
    messageContract(current);
    boundsContract(current);
    downContract(current);
    traceContract(current);
    crashContract(current);
  });
}
