import { claimCodeOf, type MadeDevice } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { csvLine } from './csv.ts';

const COLUMNS = [
  'made',
  'id',
  'serial',
  'model',
  'fingerprint',
  'code',
  'certificate serial',
  'state',
  'account',
] as const;

export const logFormats = ['csv', 'json'] as const;
export type LogFormat = (typeof logFormats)[number];

/** The factory log as text, piece by piece: CSV with a head, or one JSON object a line, the certificate in it. */
export async function* exportLog(
  devices: AsyncIterable<MadeDevice>,
  format: LogFormat,
): AsyncGenerator<string> {
  if (format === 'csv') yield csvLine(COLUMNS);
  for await (const device of devices) {
    const code = claimCodeOf(device.fingerprint);
    if (format === 'json') {
      yield `${JSON.stringify({ ...device, claimCode: code })}\n`;
      continue;
    }
    const { serialNumber } = parseCertificatePem(device.certificate);
    const { manufacturedAt, deviceId, deviceSerialNumber, model, fingerprint, state, account } = device;
    yield csvLine([
      ...[manufacturedAt, deviceId, deviceSerialNumber, model, fingerprint],
      ...[code, serialNumber, device.handedOn === true ? 'handed to another account' : state, account],
    ]);
  }
}
