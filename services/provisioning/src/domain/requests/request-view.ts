import type { ProvisioningRequestView } from '@signet/contracts';
import type { ProvisioningRequest } from './provisioning-request.ts';

/** A request as operators see it: no secret of it, and of its config the names. */
export function requestView({
  id: _id,
  account: _account,
  password: _password,
  openUntil: _openUntil,
  config,
  ...shown
}: ProvisioningRequest): ProvisioningRequestView {
  return { ...shown, config: config.map(({ name }) => name) };
}
