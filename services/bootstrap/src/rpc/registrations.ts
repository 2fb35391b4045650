import * as operations from '@signet/contracts';
import type { Context } from '../context.ts';
import {
  approveRegistration,
  declineRegistration,
  listRegistrations,
} from '../domain/registration/decide-registration.ts';
import {
  createRegistrationCertificate,
  listRegistrationCertificates,
  revokeRegistrationCertificate,
} from '../domain/registration/registration-certificate.ts';
import { type Served, served } from './serve.ts';

/** Registration certificates, and what operators decide about registrations. */
export function registrationOperations(ctx: Context): readonly Served[] {
  return [
    served(operations.createRegistrationCertificate, (input) => createRegistrationCertificate(ctx, input)),
    served(operations.listRegistrationCertificates, (input) => listRegistrationCertificates(ctx, input)),
    served(operations.revokeRegistrationCertificate, (input) => revokeRegistrationCertificate(ctx, input)),
    served(operations.listRegistrations, (input) => listRegistrations(ctx, input)),
    served(operations.approveRegistration, (input) => approveRegistration(ctx, input)),
    served(operations.declineRegistration, (input) => declineRegistration(ctx, input)),
  ];
}
