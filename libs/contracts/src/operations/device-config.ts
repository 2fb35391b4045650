import { z } from 'zod';
import { Account, DeviceId, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { GroupName } from './groups.ts';

const encoder = new TextEncoder();
const bytes = (text: string): number => encoder.encode(text).length;

/** Bytes of one file's content; encrypted, its value is longer. */
const MAX_CONFIG_FILE_BYTES = 65_536;
/** What an encrypted value has beside the content: an uncompressed point, IV and HMAC (device-gateway, "Config"). */
const ENCRYPTION_BYTES = 65 + 16 + 32;

/** The length in bytes of what a value holds. */
function contentBytes({ value, unencrypted }: { readonly value: string; readonly unencrypted: boolean }) {
  if (unencrypted || value === '') return bytes(value);
  return Math.max(0, Math.floor((value.replace(/=+$/, '').length * 3) / 4) - ENCRYPTION_BYTES);
}

/** A relative path of at most 255 bytes; no segment leads elsewhere. */
const ConfigFileName = z
  .string()
  .min(1)
  .refine((name) => bytes(name) <= 255, 'name: at most 255 bytes')
  .refine((name) => !name.includes('\0'), 'name: contains NUL')
  .refine(
    (name) => name.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..'),
    'name: a relative path without empty segments, "." and ".."',
  );

/** A config file of a layer. `value` is ciphertext in base64 unless `unencrypted`; plain text is UTF-8. */
export const ConfigFile = z.object({
  name: ConfigFileName.describe('Relative path of the file, with "/" between folders'),
  value: z.string().describe(`At most ${MAX_CONFIG_FILE_BYTES} bytes of content`),
  unencrypted: z.boolean().default(false),
  'on-changed': z.array(z.string().max(1024)).max(32).optional(),
});
export type ConfigFile = z.infer<typeof ConfigFile>;

/** Files in one layer, and in one call. */
export const MAX_CONFIG_FILES = 100;

/** Files that are written in one call. */
export const ConfigFiles = z
  .array(ConfigFile)
  .max(MAX_CONFIG_FILES)
  .superRefine((files, context) => {
    for (const [i, file] of files.entries()) {
      if (contentBytes(file) <= MAX_CONFIG_FILE_BYTES) continue;
      const message = `value: at most ${MAX_CONFIG_FILE_BYTES} bytes of content`;
      context.addIssue({ code: 'custom', message, path: [i, 'value'] });
    }
  });

/** A layer of config: the account's, that of a group, or a device's own. The later wins, file by file. */
export const ConfigLayer = z.object({
  account: Account,
  group: GroupName.optional(),
  deviceId: DeviceId.optional().describe('The device’s own layer; with neither, the account’s'),
});
export type ConfigLayer = z.infer<typeof ConfigLayer>;

const change = ConfigLayer.extend({ reason: z.string().max(256).default(''), by: z.string() });

/** Writes files of a layer, merged by name. Values of layers that several devices read are not encrypted. */
export const setDeviceConfig = operation('provisioning.set-config', {
  input: change.extend({ files: ConfigFiles.min(1) }),
  output: z.object({ version: z.number().int() }),
  errors: [
    'rotation-in-progress',
    'unknown-group',
    'unknown-device',
    'too-many-files',
    'not-encrypted',
    'shared-layer',
  ],
});

export const deleteDeviceConfig = operation('provisioning.delete-config', {
  input: change.extend({ names: z.array(z.string().max(255)).min(1).max(MAX_CONFIG_FILES) }),
  output: z.object({ version: z.number().int() }),
  errors: ['rotation-in-progress', 'unknown-group', 'unknown-file'],
});

export const getDeviceConfig = operation('provisioning.get-config', {
  idempotent: true,
  input: ConfigLayer,
  output: z.object({
    version: z.number().int(),
    files: z.array(ConfigFile).describe('Of this layer alone'),
    effective: z
      .array(ConfigFile.extend({ layer: z.string().describe('`account`, `group <name>` or `device`') }))
      .optional()
      .describe('What the device reads, of all layers'),
    appliedVersion: z.number().int().optional().describe('Version that the device said it applied last'),
    appliedAt: Time.optional(),
    rotationId: z.string().optional().describe('The rotation that holds the config'),
  }),
  errors: ['unknown-group'],
});

/** One change of a layer. Values of earlier versions are not kept: they may be secrets. */
export const ConfigLogEntry = z.object({
  version: z.number().int(),
  at: Time,
  by: z.string(),
  reason: z.string(),
  set: z.array(z.string()).describe('Names of the files that were written'),
  removed: z.array(z.string()),
  layer: z.string().describe('Which layer it was: `account`, `group <name>` or `device`'),
});
export type ConfigLogEntry = z.infer<typeof ConfigLogEntry>;

/** The newest changes first, at most 50. */
export const getConfigLog = operation('provisioning.config-log', {
  idempotent: true,
  input: ConfigLayer,
  output: z.object({ items: z.array(ConfigLogEntry) }),
  errors: ['unknown-group'],
});
