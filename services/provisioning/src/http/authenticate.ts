import type { TLSSocket } from 'node:tls';
import { leafOf, parseCertificate } from '@signet/pki';
import { admissionOf, Problem, peerOf, refusalProblem } from '@signet/service';
import type { FastifyRequest } from 'fastify';
import type { Context } from '../context.ts';
import type { DeviceContact } from '../domain/config/device-access.ts';
import type { DeviceName } from '../domain/devices/known-devices.ts';
import {
  type Authentication,
  authenticateDevice,
  mayReportLate,
} from '../domain/rotation/authenticate-device.ts';

type Code = Extract<Authentication, { ok: false }>['code'];

/** What a device that is rejected is told. One that came before the event of its certificate comes again soon. */
const rejections: Readonly<Record<Code, { status: number; detail: string; retryAfter?: number }>> = {
  'third-key': { status: 403, detail: 'this certificate is not admitted here' },
  'unknown-device': {
    status: 403,
    detail: 'this certificate is not on record here; onboard again by the bootstrap certificate',
  },
  unavailable: {
    status: 503,
    detail: 'this certificate is not known here yet; try again later',
    retryAfter: 2,
  },
};

/** Whose request this is. A rejection is reported, and thrown as the problem that the device gets. */
export async function authenticate(request: FastifyRequest, ctx: Context): Promise<DeviceContact> {
  const peer = peerOf(request.raw.socket);
  if (peer?.account === undefined) throw refusalProblem('no-certificate');
  const device = { account: peer.account, deviceId: peer.deviceId };
  const { publicKeyHash, fingerprint, serialNumber } = peer.facts;
  const found = await authenticateDevice(ctx, { ...device, publicKeyHash, serialNumber });
  if (found.ok) return found;
  const { code, message } = found;
  ctx.refusals.report({ listener: 'gateway', ...device, fingerprint, address: request.ip, code, message });
  const { status, detail, ...options } = rejections[code];
  throw new Problem(status, code, detail, options);
}

/** Who may report how a rotation went: whoever is admitted, and for ten minutes the certificate that was replaced. */
export async function authenticateReporter(request: FastifyRequest, ctx: Context): Promise<DeviceName> {
  return (await lateReporter(request, ctx)) ?? (await authenticate(request, ctx)).device;
}

/** Whether a request of a peer that the gate rejected goes on to its route: the report of a certificate just replaced. */
export async function isLateReport(ctx: Context, request: FastifyRequest): Promise<boolean> {
  if (request.method !== 'POST' || request.url !== '/events') return false;
  return (await lateReporter(request, ctx)) !== undefined;
}

async function lateReporter(request: FastifyRequest, ctx: Context): Promise<DeviceName | undefined> {
  const socket = request.raw.socket as TLSSocket;
  const admission = admissionOf(socket);
  const der = leafOf(socket);
  if (admission === undefined || admission.kind === 'anonymous' || der === undefined) return undefined;
  const known = admission.kind === 'verified' ? admission.peer : admission.refusal;
  // all else was verified before the deny list was asked
  if (admission.kind === 'refused' && admission.refusal.code !== 'denied') return undefined;
  if (known?.account === undefined || known.deviceId === undefined) return undefined;
  const device = { account: known.account, deviceId: known.deviceId };
  const { serialNumber, publicKeyHash, authorityKeyId: issuerKeyId = '' } = parseCertificate(der);
  const isLate = await mayReportLate(ctx, { ...device, serialNumber, publicKeyHash, issuerKeyId });
  return isLate ? device : undefined;
}
