import { newEvent, type SignetEvent } from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';
import { isSigned, type Receiver, startReceiver } from './receiver.ts';

const QUEUES = '/v1/accounts/acme/queues';
const env = { SIGNET_OUTWARD_PRIVATE: 'true', SIGNET_QUEUE_RETRY_SECONDS: '0,0' };
const WITHIN_MS = 10_000;

let stack: AsyncDisposableStack;
let api: TestApi;
let receiver: Receiver;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  receiver = stack.use(await startReceiver());
  api = stack.use(await startTestApi({ env }));
});
afterEach(() => stack.disposeAsync());

function applied(n: number, account = 'acme', deviceId = 'dev-1'): SignetEvent {
  return newEvent('DEVICE_CONFIG_APPLIED', {
    ...{ account, subject: deviceId, time: Date.now() },
    data: { deviceId, configVersion: n } as never,
  });
}
