import { resolve } from 'node:path';
import { CodedError, isStorageFailure } from '@signet/contracts';
import { SqliteError } from '@signet/sqlite';
import { StoreError } from '@signet/store';

/** A start that cannot succeed as the process is configured or as the machine is now. Its message names the variable. */
export class StartError extends CodedError<'start-failed'> {
  readonly variable: string;

  constructor(variable: string, reason: string, options?: ErrorOptions) {
    super('start-failed', `${variable}: ${reason}`, options);
    this.variable = variable;
  }
}

/** One line for a person where a start failed for a reason outside the process; undefined for what is a fault of ours. */
export function startFailureLine(
  error: unknown,
  config: Readonly<Record<string, unknown>>,
): string | undefined {
  if (error instanceof StartError) return error.message;
  if (error instanceof SqliteError && error.code === 'unavailable') {
    const variable = String(config.SIGNET_STORE).startsWith('sqlite:') ? 'SIGNET_STORE' : 'SIGNET_DATA_DIR';
    return `${variable}: ${String(config[variable])} cannot be opened or written: ${error.message}`;
  }
  if (isStorageFailure(error))
    return `SIGNET_DATA_DIR: ${error.path ?? String(config.SIGNET_DATA_DIR)} cannot be written: ${error.message}`;
  return (
    folderFailureLine(error, config) ?? listenFailureLine(error, config) ?? ownFailureLine(error, config)
  );
}

/** What an error of ours says, one with a `code`: about what is in the folder, or in the store. */
function ownFailureLine(error: unknown, config: Readonly<Record<string, unknown>>): string | undefined {
  if (!(error instanceof Error) || error.name === 'Error' || !('code' in error) || 'errno' in error)
    return undefined;
  if (typeof error.code !== 'string' || /^[A-Z]/.test(error.code)) return undefined;
  const reason = error.message.trim().replace(/\s*\n\s*/g, ' ');
  // the URL of another store may have a password in it
  const inStore = error instanceof StoreError && !String(config.SIGNET_STORE).startsWith('sqlite:');
  return inStore
    ? `SIGNET_STORE: ${reason}`
    : `SIGNET_DATA_DIR: ${resolve(String(config.SIGNET_DATA_DIR))}: ${reason}`;
}

const FOLDER: Readonly<Record<string, string>> = {
  EEXIST: 'is not a folder',
  ENOTDIR: 'is not a folder',
  EACCES: 'may not be used by this user',
  EPERM: 'may not be used by this user',
};

function folderFailureLine(error: unknown, config: Readonly<Record<string, unknown>>): string | undefined {
  if (!(error instanceof Error) || !('path' in error) || !('code' in error)) return undefined;
  const reason = FOLDER[String(error.code)];
  const folder = String(config.SIGNET_DATA_DIR);
  if (reason === undefined || !resolve(String(error.path)).startsWith(resolve(folder))) return undefined;
  return `SIGNET_DATA_DIR: ${String(error.path)} ${reason}`;
}

const LISTEN: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken by another process',
  EACCES: 'may not be opened by this user',
  EADDRNOTAVAIL: 'cannot be opened: the address is none of this machine',
};

function listenFailureLine(error: unknown, config: Readonly<Record<string, unknown>>): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('port' in error)) return undefined;
  const reason = LISTEN[String(error.code)];
  if (reason === undefined) return undefined;
  const variables = Object.keys(config).filter(
    (name) => name.endsWith('_PORT') && config[name] === error.port,
  );
  const address = 'address' in error ? ` of ${String(error.address)}` : '';
  return `${variables.join(', ') || 'port'}: port ${String(error.port)}${address} ${reason}`;
}
