import { existsSync } from 'node:fs';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `npm start` keeps everything in one folder: SIGNET_DATA_DIR alone moves the documents too. Version 0.1.0 left them in
 * `./data/signet.db` then, and whoever started it so finds them there: the folder has the CAs' keys and no documents.
 */
export function withStoreInDataFolder(env: Environment): Environment {
  const folder = env.SIGNET_DATA_DIR;
  if (!folder || env.SIGNET_STORE || env.SIGNET_STORE_FILE) return env;
  const file = join(folder, 'signet.db');
  const isLeftBehind =
    !existsSync(file) &&
    existsSync(join('data', 'signet.db')) &&
    existsSync(join(folder, 'est-ca', 'keys', 'factory.key.pem'));
  return isLeftBehind ? env : { ...env, SIGNET_STORE: `sqlite:${file}` };
}
