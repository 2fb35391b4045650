import type { Bus } from '@signet/bus';
import {
  addAttestationCa,
  addAuthority,
  approveEnrollment,
  changeProfile,
  createAuthorities,
  createGrant,
  createProfile,
  declineEnrollment,
  describeAuthorities,
  describeRootCrl,
  dryRunProfile,
  finishRootReplacement,
  getDeviceProfile,
  grantExpiredRenewal,
  identifyCertificates,
  issueServerCertificate,
  listAttestationCas,
  listAuthorities,
  listCertificates,
  listEnrollmentRequests,
  listProfiles,
  orderRenewal,
  registerFactoryAuthority,
  registerRoot,
  releaseCertificate,
  removeAttestationCa,
  removeProfile,
  replaceRoot,
  requestAuthority,
  revokeCertificates,
  rootReplacement,
  rotateServerCertificates,
  setAuthorityState,
  setDeviceProfile,
  setFallBack,
  setFirstContact,
  signBootstrap,
  uploadAuthority,
  uploadRootCrl,
  withdrawRenewal,
} from '@signet/contracts';
import type { z } from 'zod';

type Serves<O extends { readonly input: z.ZodType; readonly output: z.ZodType }> = (
  input: z.output<O['input']>,
) => Promise<z.input<O['output']>>;

/** One function for each operation that this service answers. */
export type EstCaOperations = {
  readonly listAttestationCas: Serves<typeof listAttestationCas>;
  readonly addAttestationCa: Serves<typeof addAttestationCa>;
  readonly removeAttestationCa: Serves<typeof removeAttestationCa>;
  readonly listAuthorities: Serves<typeof listAuthorities>;
  readonly signBootstrap: Serves<typeof signBootstrap>;
  readonly issueServerCertificate: Serves<typeof issueServerCertificate>;
  readonly createGrant: Serves<typeof createGrant>;
  readonly listProfiles: Serves<typeof listProfiles>;
  readonly createProfile: Serves<typeof createProfile>;
  readonly changeProfile: Serves<typeof changeProfile>;
  readonly removeProfile: Serves<typeof removeProfile>;
  readonly getDeviceProfile: Serves<typeof getDeviceProfile>;
  readonly setDeviceProfile: Serves<typeof setDeviceProfile>;
  readonly dryRunProfile: Serves<typeof dryRunProfile>;
  readonly listEnrollmentRequests: Serves<typeof listEnrollmentRequests>;
  readonly approveEnrollment: Serves<typeof approveEnrollment>;
  readonly declineEnrollment: Serves<typeof declineEnrollment>;
  readonly identifyCertificates: Serves<typeof identifyCertificates>;
  readonly listCertificates: Serves<typeof listCertificates>;
  readonly releaseCertificate: Serves<typeof releaseCertificate>;
  readonly revokeCertificates: Serves<typeof revokeCertificates>;
  readonly grantExpiredRenewal: Serves<typeof grantExpiredRenewal>;
  readonly orderRenewal: Serves<typeof orderRenewal>;
  readonly withdrawRenewal: Serves<typeof withdrawRenewal>;
  readonly describeAuthorities: Serves<typeof describeAuthorities>;
  readonly createAuthorities: Serves<typeof createAuthorities>;
  readonly registerRoot: Serves<typeof registerRoot>;
  readonly registerFactoryAuthority: Serves<typeof registerFactoryAuthority>;
  readonly setFirstContact: Serves<typeof setFirstContact>;
  readonly requestAuthority: Serves<typeof requestAuthority>;
  readonly uploadAuthority: Serves<typeof uploadAuthority>;
  readonly addAuthority: Serves<typeof addAuthority>;
  readonly setAuthorityState: Serves<typeof setAuthorityState>;
  readonly setFallBack: Serves<typeof setFallBack>;
  readonly rotateServerCertificates: Serves<typeof rotateServerCertificates>;
  readonly replaceRoot: Serves<typeof replaceRoot>;
  readonly rootReplacement: Serves<typeof rootReplacement>;
  readonly finishRootReplacement: Serves<typeof finishRootReplacement>;
  readonly describeRootCrl: Serves<typeof describeRootCrl>;
  readonly uploadRootCrl: Serves<typeof uploadRootCrl>;
};

/** Answers the operations of `contracts` until disposed. */
export async function serveOperations(
  bus: Pick<Bus, 'serve'>,
  does: EstCaOperations,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(await bus.serve(listAuthorities, does.listAuthorities));
  stack.use(await bus.serve(listAttestationCas, does.listAttestationCas));
  stack.use(await bus.serve(addAttestationCa, does.addAttestationCa));
  stack.use(await bus.serve(removeAttestationCa, does.removeAttestationCa));
  stack.use(await bus.serve(issueServerCertificate, does.issueServerCertificate));
  stack.use(await bus.serve(signBootstrap, does.signBootstrap));
  stack.use(await bus.serve(createGrant, does.createGrant));
  stack.use(await bus.serve(listProfiles, does.listProfiles));
  stack.use(await bus.serve(createProfile, does.createProfile));
  stack.use(await bus.serve(changeProfile, does.changeProfile));
  stack.use(await bus.serve(removeProfile, does.removeProfile));
  stack.use(await bus.serve(getDeviceProfile, does.getDeviceProfile));
  stack.use(await bus.serve(setDeviceProfile, does.setDeviceProfile));
  stack.use(await bus.serve(dryRunProfile, does.dryRunProfile));
  stack.use(await bus.serve(listEnrollmentRequests, does.listEnrollmentRequests));
  stack.use(await bus.serve(approveEnrollment, does.approveEnrollment));
  stack.use(await bus.serve(declineEnrollment, does.declineEnrollment));
  stack.use(await bus.serve(identifyCertificates, does.identifyCertificates));
  stack.use(await bus.serve(listCertificates, does.listCertificates));
  stack.use(await bus.serve(releaseCertificate, does.releaseCertificate));
  stack.use(await bus.serve(revokeCertificates, does.revokeCertificates));
  stack.use(await bus.serve(grantExpiredRenewal, does.grantExpiredRenewal));
  stack.use(await bus.serve(orderRenewal, does.orderRenewal));
  stack.use(await bus.serve(withdrawRenewal, does.withdrawRenewal));
  stack.use(await bus.serve(describeAuthorities, does.describeAuthorities));
  stack.use(await bus.serve(createAuthorities, does.createAuthorities));
  stack.use(await bus.serve(registerRoot, does.registerRoot));
  stack.use(await bus.serve(registerFactoryAuthority, does.registerFactoryAuthority));
  stack.use(await bus.serve(setFirstContact, does.setFirstContact));
  stack.use(await bus.serve(requestAuthority, does.requestAuthority));
  stack.use(await bus.serve(uploadAuthority, does.uploadAuthority));
  stack.use(await bus.serve(addAuthority, does.addAuthority));
  stack.use(await bus.serve(setAuthorityState, does.setAuthorityState));
  stack.use(await bus.serve(setFallBack, does.setFallBack));
  stack.use(await bus.serve(rotateServerCertificates, does.rotateServerCertificates));
  stack.use(await bus.serve(replaceRoot, does.replaceRoot));
  stack.use(await bus.serve(rootReplacement, does.rootReplacement));
  stack.use(await bus.serve(finishRootReplacement, does.finishRootReplacement));
  stack.use(await bus.serve(describeRootCrl, does.describeRootCrl));
  stack.use(await bus.serve(uploadRootCrl, does.uploadRootCrl));
  return stack.move();
}
