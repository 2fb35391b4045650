import { join } from 'node:path';
import { readIfThere, replaceFile } from '@signet/service';
import { type Collection, StoreError } from '@signet/store';
import { type ApiToken, newToken, readToken } from '../domain/api-token.ts';

/** The administrator's first token, and where it lies. */
export type FirstToken = { readonly file: string | undefined; readonly isNew: boolean };

/**
 * Sees to it that there is an administrator: the configured token, or one made at the first start and kept in
 * `<data dir>/admin-token` (mode 0600). A token that was revoked stays revoked.
 * @throws TypeError where the configured token is none
 */
export async function openFirstToken(options: {
  readonly tokens: Pick<Collection<ApiToken>, 'insert'>;
  readonly configured: string | undefined;
  readonly dataDir: string;
  readonly now: number;
}): Promise<FirstToken> {
  const { tokens, configured, dataDir, now } = options;
  const file = join(dataDir, 'admin-token');
  const kept = configured ?? (await readIfThere(file))?.trim();
  const token = kept ?? newToken();
  if (kept === undefined) await replaceFile(file, `${token}\n`);
  const parts = readToken(token);
  if (parts === undefined) {
    const where = configured === undefined ? file : 'SIGNET_ADMIN_TOKEN';
    throw new TypeError(`${where}: not an API token (sgn_<16 hex>_<43 base64url>)`);
  }
  const createdAt = new Date(now).toISOString();
  const document: ApiToken = {
    ...parts,
    name: 'first-admin',
    grants: [{ account: '*', role: 'admin' }],
    createdAt,
    createdBy: 'first start',
  };
  try {
    await tokens.insert(document);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
  }
  return { file: configured === undefined ? file : undefined, isNew: kept === undefined };
}
