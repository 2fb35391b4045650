import type { Subscription } from '@signet/bus';
import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import { checkCredentials, createCredentials } from '../domain/credentials/mqtt-credentials.ts';
import { authenticateRequest, completeRequest, reportProgress } from '../domain/requests/handoff.ts';
import { createRequest, getRequest, listRequests, stopRequest } from '../domain/requests/requests.ts';

/** Operations on provisioning requests, the handoff to their devices, and MQTT credentials. */
export function serveRequests(ctx: Context): Promise<Subscription[]> {
  const { bus } = ctx;
  return Promise.all([
    bus.serve(operations.createProvisioningRequest, (input) => createRequest(ctx, input)),
    bus.serve(operations.listProvisioningRequests, (input) => listRequests(ctx, input)),
    bus.serve(operations.getProvisioningRequest, (input) => getRequest(ctx, input)),
    bus.serve(operations.stopProvisioningRequest, (input) => stopRequest(ctx, input)),
    bus.serve(operations.authenticateProvisioning, (input) => authenticateRequest(ctx, input)),
    bus.serve(operations.completeProvisioning, (input) => completeRequest(ctx, input)),
    bus.serve(operations.reportProvisioning, (input) => reportProgress(ctx, input)),
    bus.serve(operations.createMqttCredentials, (input) => createCredentials(ctx, input)),
    bus.serve(operations.checkMqttCredentials, (input) => checkCredentials(ctx, input)),
  ]);
}
