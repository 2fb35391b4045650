/** A profile that cannot be made, changed or found; `field` names the setting at fault, if one is. */
export class ProfileError extends Error {
  override readonly name = 'ProfileError';
  readonly code: 'unknown-profile' | 'profile-exists' | 'profile-in-use' | 'invalid-profile';
  readonly field: string | undefined;

  constructor(code: ProfileError['code'], message: string, field?: string) {
    super(message);
    this.code = code;
    this.field = field;
  }
}
