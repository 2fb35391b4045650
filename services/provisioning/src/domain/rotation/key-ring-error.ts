/**
 * Why a key may not announce another. `third-key`: it was replaced. `unheard-key`: nothing was heard of it yet, which
 * passes: ask again.
 */
export class KeyRingError extends Error {
  override readonly name = 'KeyRingError';
  readonly code: 'third-key' | 'unheard-key';

  constructor(code: KeyRingError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
