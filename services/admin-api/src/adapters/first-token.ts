import { join } from 'node:path';
import { readIfThere, replaceFile } from '@signet/files';
import { type Collection, isDuplicate } from '@signet/store';
import { type ApiToken, newToken, readToken, TOKEN_FORM } from '../domain/token/api-token.ts';

/** The administrator's first token, and where it lies. */
export type FirstToken = { readonly file: string | undefined; readonly isNew: boolean };

/**
 * Ensures that there is an administrator: the configured token, or one made at the first start and kept in
 * `<data dir>/admin-token` (mode 0600). A token that was revoked stays revoked.
 * @throws TypeError where the token is none, or its id has another secret
 */
export async function openFirstToken(options: {
  readonly tokens: Pick<Collection<ApiToken>, 'get' | 'insert'>;
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
    throw new TypeError(`${configured === undefined ? file : 'SIGNET_ADMIN_TOKEN'}: not ${TOKEN_FORM}`);
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
    if (!isDuplicate(error)) throw error;
    const known = await tokens.get(parts.id);
    if (known !== undefined && known.secretHash !== parts.secretHash)
      throw new TypeError(
        `token ${parts.id}: it is kept with another secret; make a token with an id of its own`,
      );
  }
  return { file: configured === undefined ? file : undefined, isNew: kept === undefined };
}
