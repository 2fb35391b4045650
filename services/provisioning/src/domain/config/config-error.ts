/** Why a config is not changed as it was asked. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code: 'too-many-files' | 'unknown-file' | 'twice' | 'not-encrypted' | 'shared-layer';

  constructor(code: ConfigError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
