import { type ApplicantDeps, type ApplicantRequest, identify } from '../enrollment/applicant.ts';
import { EnrollmentError, type ProvenDevice } from '../enrollment/enrollment-error.ts';

/**
 * Who asks for a nonce: the device that its operational certificate names, as for a renewal, or the one that proves
 * itself as for a first enrolment.
 * @throws EnrollmentError
 */
export async function askingDevice(deps: ApplicantDeps, request: ApplicantRequest): Promise<ProvenDevice> {
  const { peer, label, credentials } = request;
  if (peer?.purpose === 'operational' && peer.account !== undefined && credentials.basic === undefined) {
    if (label !== undefined && label.account !== peer.account)
      throw new EnrollmentError(
        'wrong-account',
        `label: the certificate is not one of account "${label.account}"`,
      );
    return { account: peer.account, deviceId: peer.deviceId };
  }
  const { account, deviceId } = await identify(deps, request);
  return { account, deviceId };
}
