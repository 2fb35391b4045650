import type { TLSSocket } from 'node:tls';
import { leafOf, parseCertificate } from '@signet/pki';
import { admissionOf } from '@signet/service';
import type { FastifyRequest } from 'fastify';
import { isLatelySuperseded } from '../domain/rotation/key-ring.ts';
import type { DeviceName, Gateway } from './gateway.ts';
import { whoAsks } from './who.ts';

/**
 * Who may say how a rotation went: whoever is admitted, and for ten minutes the certificate that it replaced. That one
 * is denied, and by nothing but its own revocation; all else was verified before the deny list was asked.
 */
export async function whoMayReport(request: FastifyRequest, gateway: Gateway): Promise<DeviceName> {
  const late = await supersededDevice(request, gateway);
  return late ?? (await whoAsks(request, gateway)).device;
}

/** For the gate: whether this request of a refused peer is answered all the same. */
export async function mayReport(request: FastifyRequest, gateway: Gateway): Promise<boolean> {
  if (request.method !== 'POST' || request.url !== '/events') return false;
  return (await supersededDevice(request, gateway)) !== undefined;
}

async function supersededDevice(request: FastifyRequest, gateway: Gateway): Promise<DeviceName | undefined> {
  const socket = request.raw.socket as TLSSocket;
  const admission = admissionOf(socket);
  const der = leafOf(socket);
  if (admission === undefined || admission.kind === 'anonymous' || der === undefined) return undefined;
  const known = admission.kind === 'verified' ? admission.peer : admission.refusal;
  if (admission.kind === 'refused' && admission.refusal.code !== 'denied') return undefined;
  if (known?.account === undefined || known.deviceId === undefined) return undefined;
  const device = { account: known.account, deviceId: known.deviceId };
  const ring = await gateway.keysOf(device);
  const { serialNumber, publicKeyHash, authorityKeyId = '' } = parseCertificate(der);
  if (ring === undefined || !isLatelySuperseded(ring, serialNumber, gateway.now())) return undefined;
  return gateway.isDenied({ ...device, publicKeyHash, issuerKeyId: authorityKeyId }) ? undefined : device;
}
