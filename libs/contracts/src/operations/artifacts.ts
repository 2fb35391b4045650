import { z } from 'zod';

/** `typ` of the JWS of an {@link ArtifactStatement}. */
export const ARTIFACT_TYPE = 'signet-artifact+jws';

/** The config file that names the artifacts which a device shall have: a JSON array of {@link ArtifactEntry}. */
export const UPDATES_FILE = 'signet-updates';

/** Name and version together are the id of the update that a device reports: no id of a rotation or a config. */
const ArtifactName = z
  .string()
  .regex(
    /^(?!(?:certs|config)(?:-|$))[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'name: letters, digits, ".", "_" and "-", at most 64; not certs… or config…',
  );
const ArtifactVersion = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9.+_-]{0,62}$/, 'version: letters, digits, ".", "+", "_" and "-", at most 63');

/** What an account says of a software artifact, signed with its command key (JWS, `typ` {@link ARTIFACT_TYPE}). */
export const ArtifactStatement = z.object({
  name: ArtifactName,
  version: ArtifactVersion,
  size: z
    .int()
    .min(1)
    .max(2 ** 40)
    .describe('Bytes'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'sha256: 64 lower-case hex digits'),
});
export type ArtifactStatement = z.infer<typeof ArtifactStatement>;

/** An artifact that a device shall fetch, and the program that it is handed to. */
export const ArtifactEntry = ArtifactStatement.extend({
  url: z.url({ protocol: /^https$/, error: 'url: https:// is needed' }),
  jws: z.string().max(32_768),
  handler: z
    .array(z.string())
    .min(1)
    .describe('A program of the device’s folder of handlers, and its arguments'),
  timeoutSeconds: z.int().min(1).max(86_400).default(600).describe('What the handler may take'),
});
export type ArtifactEntry = z.infer<typeof ArtifactEntry>;
