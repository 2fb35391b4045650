import { type Bundle, COMMAND_TYPE, CommandStatement, MAX_COMMAND_SECONDS } from '@signet/contracts';
import {
  type Certificate,
  decodePemBlocks,
  parseCertificate,
  parseCertificatePem,
  StatementError,
  verifyStatement,
} from '@signet/pki';
import { CommandRefused } from './command-refused.ts';

/** By how much the platform's clock may be ahead of the device's, seconds. */
const SKEW_SECONDS = 300;

/**
 * What a signed command says, if it is for this device, of its own account, and in time. Whether it was there before is
 * not looked at.
 * @param now Unix ms; undefined on a device whose clock was never set, where only the memory of commands tells the time
 * @throws CommandRefused
 */
export function verifyCommand(jws: string, bundle: Bundle, now: number | undefined): CommandStatement {
  const command = signedBy(jws, bundle, now);
  const { id } = command;
  if (command.account !== bundle.account)
    throw new CommandRefused('other-account', `account: "${command.account}" is not this device’s`, { id });
  if (command.deviceId !== bundle.deviceId)
    throw new CommandRefused('other-device', `deviceId: it is for "${command.deviceId}"`, { id });
  const seconds = command.exp - command.iat;
  if (seconds <= 0 || seconds > MAX_COMMAND_SECONDS)
    throw new CommandRefused('bad-time', `exp: ${seconds} s after iat, not 1 to ${MAX_COMMAND_SECONDS}`, {
      id,
    });
  if (now === undefined) return command;
  if (command.iat > now / 1000 + SKEW_SECONDS)
    throw new CommandRefused('bad-time', 'iat: in the future', { id });
  if (command.exp <= now / 1000) throw new CommandRefused('expired', 'exp: it has expired', { id });
  return command;
}

function signedBy(jws: string, bundle: Bundle, now: number | undefined): CommandStatement {
  if (bundle.commands === undefined)
    throw new CommandRefused('no-command-certificate', 'bundle: no command certificate was delivered');
  const handedOver = parseCertificatePem(bundle.commands.certificate);
  try {
    const payload = verifyStatement(jws, {
      type: COMMAND_TYPE,
      anchors: bundle.trustAnchors.flatMap((pem) =>
        decodePemBlocks(pem).map(({ der }) => parseCertificate(der)),
      ),
      isSigner: (uri, certificate) =>
        uri.endsWith(`/${bundle.account}/commands`) &&
        handedOver.sans.uris.includes(uri) &&
        isSameOrNewer(certificate, handedOver),
      now,
    });
    return CommandStatement.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch (cause) {
    if (cause instanceof StatementError) throw new CommandRefused(cause.code, cause.message, { cause });
    throw new CommandRefused('malformed', 'payload: these are not the claims of a command', { cause });
  }
}

/** The command key that was delivered, whichever of its certificates came along, or one that was made for it since. */
function isSameOrNewer(certificate: Certificate, handedOver: Certificate): boolean {
  return (
    Buffer.compare(certificate.spkiDer, handedOver.spkiDer) === 0 ||
    certificate.notBefore > handedOver.notBefore
  );
}
