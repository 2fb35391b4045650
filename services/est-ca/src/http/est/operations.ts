import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { encodeCertsOnly, type VerifiedPeer } from '@signet/pki';
import type { ChannelBinding } from '../../domain/enrollment/csr-policy.ts';
import type { Enrolled } from '../../domain/enrollment/enroll.ts';
import { csrAttributesOf } from '../../domain/profile/asked-attributes.ts';
import type { Label } from '../../domain/profile/profile.ts';
import { type Answer, text } from './answer.ts';
import { attestationAnswer } from './attestation.ts';
import { base64Body, type Wrapping } from './base64-body.ts';
import { parseBasicCredentials } from './basic-credentials.ts';
import { decodeCsrBody } from './csr-body.ts';
import type { EstServices } from './est-services.ts';
import { keygenAnswer } from './keygen-answer.ts';
import { forRenewalOnly, renewalInfoAnswer } from './renewal-info.ts';
import { type EstRoute, requirePkcs10 } from './route.ts';

/** What of an HTTP request an operation reads. */
export type EstRequest = {
  readonly route: EstRoute;
  readonly peer: VerifiedPeer | undefined;
  readonly userAgent: string | undefined;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Uint8Array | undefined;
  readonly channelBinding: ChannelBinding;
};

/** An answer, and what was enrolled if it is one to an enrolment. */
export type Outcome = {
  readonly answer: Answer;
  readonly enrolled?: Enrolled & { readonly renewed: boolean };
};

/** Carries out one EST operation. @throws EnrollmentError, WireError */
export async function perform(services: EstServices, request: EstRequest): Promise<Outcome> {
  const { operation, label, subject } = request.route;
  forRenewalOnly(request.peer, operation);
  switch (operation) {
    case 'cacerts': {
      const certificates = await services.caCertificates(
        label?.account ?? request.peer?.account,
        request.peer,
      );
      const wrapping = await wrappingOf(services, label);
      return { answer: der('application/pkcs7-mime', encodeCertsOnly(certificates), wrapping, request) };
    }
    case 'csrattrs': {
      const profile = await services.findProfile(
        label ?? { account: request.peer?.account ?? PLATFORM_ACCOUNT, profile: 'default' },
      );
      const wrapping = label === undefined ? 'auto' : profile.responseWrapping;
      return { answer: der('application/csrattrs', csrAttributesOf(profile), wrapping, request) };
    }
    case 'simpleenroll': {
      requirePkcs10(request.contentType);
      const enrolled = await services.enroll({
        csr: decodeCsrBody(request.body),
        label,
        basic: parseBasicCredentials(request.authorization),
        peer: request.peer,
        channelBinding: request.channelBinding,
      });
      return { answer: certificate(enrolled, request), enrolled: { ...enrolled, renewed: false } };
    }
    case 'simplereenroll': {
      requirePkcs10(request.contentType);
      const enrolled = await services.reenroll({
        csr: decodeCsrBody(request.body),
        label,
        peer: request.peer,
        channelBinding: request.channelBinding,
      });
      return { answer: certificate(enrolled, request), enrolled: { ...enrolled, renewed: true } };
    }
    case 'renewal-info':
      return { answer: await renewalInfoAnswer(services, { label, subject, peer: request.peer }) };
    case 'attestation-nonce':
    case 'attestation-challenge':
    case 'attestation': {
      const { authorization, contentType, body, peer } = request;
      const asked = { operation, label, peer, authorization, contentType, body };
      return { answer: await attestationAnswer(services.attestation, asked) };
    }
    case 'serverkeygen': {
      requirePkcs10(request.contentType);
      if (await isKeygenOff(services, request)) return { answer: notImplemented(operation) };
      const made = await services.serverKeygen({
        csr: decodeCsrBody(request.body),
        label,
        basic: parseBasicCredentials(request.authorization),
        peer: request.peer,
        channelBinding: request.channelBinding,
      });
      if (made === undefined) return { answer: notImplemented(operation) };
      const { key: _key, ...enrolled } = made;
      return {
        answer: keygenAnswer(made, request.userAgent),
        enrolled: { ...enrolled, renewed: false },
      };
    }
    default:
      return { answer: notImplemented(operation) };
  }
}

function notImplemented(operation: string): Answer {
  return text(501, `${operation}: not implemented by this server`);
}

/** Whether no key is made below this label, or, without one, for somebody who proves nothing. */
async function isKeygenOff(
  services: EstServices,
  { route: { label }, authorization, peer }: EstRequest,
): Promise<boolean> {
  if (label === undefined) return authorization === undefined && peer === undefined;
  return !(await services.findProfile(label)).serverKeygen;
}

async function wrappingOf(services: EstServices, label: Label | undefined): Promise<Wrapping> {
  return label === undefined ? 'auto' : (await services.findProfile(label)).responseWrapping;
}

/** The issued certificate alone (RFC 7030 §4.2.3). */
function certificate({ der: leaf, profile }: Enrolled, request: EstRequest): Answer {
  const issued = encodeCertsOnly([leaf]);
  return der('application/pkcs7-mime; smime-type=certs-only', issued, profile.responseWrapping, request);
}

/** Content-Transfer-Encoding is deprecated (RFC 8951 §3.1), but some clients decode only with it. */
function der(type: string, content: Uint8Array, wrapping: Wrapping, { userAgent }: EstRequest): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': type, 'Content-Transfer-Encoding': 'base64' },
    body: base64Body(content, wrapping, userAgent),
  };
}
