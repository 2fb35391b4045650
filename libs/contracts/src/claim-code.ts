import { CodedError } from './coded-error.ts';

/**
 * The claim code: what stands on the label of a device. 20 characters in Crockford's base32 (no I, L, O, U), printed
 * in groups of five: two bits of version (0), the first 88 bits of the fingerprint, and two check characters. These
 * are those of a Reed-Solomon code over GF(32): any one or two wrong characters are found, and so is every swap of
 * two. 88 bits are few enough to type and too many for two devices to share them by chance or by trying.
 */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const DATA = 18;
const LENGTH = 20;
const GROUP = 5;
const PREFIX_DIGITS = 22;

/** What people read for one another (Crockford). */
const READ_AS: Readonly<Record<string, string>> = { O: '0', I: '1', L: '1' };

export type ClaimCodeFault = 'wrong-length' | 'bad-character' | 'bad-check' | 'unknown-version';

/** Why a text is no claim code, in words for whoever typed it. */
export class ClaimCodeError extends CodedError<ClaimCodeFault> {}

/** A claim code that was read: `code` as it is printed, `prefix` the first 22 hex digits of the fingerprint it means. */
export type ClaimCode = { readonly code: string; readonly prefix: string };

/** The claim code of a device, e.g. `0M3KX-7Q2ZP-…`. `fingerprint` in lower-case hex. */
export function claimCodeOf(fingerprint: string): string {
  const digits = fingerprint.slice(0, PREFIX_DIGITS);
  if (!/^[0-9a-f]{22}$/.test(digits)) throw new RangeError('fingerprint: 64 lower-case hex digits');
  let rest = BigInt(`0x${digits}`);
  const symbols = new Array<number>(DATA).fill(0);
  for (let i = DATA - 1; i >= 0; i--, rest >>= 5n) symbols[i] = Number(rest & 31n);
  return grouped([...symbols, ...checkSymbols(symbols)]);
}

/**
 * Reads a claim code as somebody typed it: case, spaces and hyphens do not matter, O is 0, I and L are 1.
 * @throws ClaimCodeError that says what is wrong with it
 */
export function parseClaimCode(text: string): ClaimCode {
  const symbols = Array.from(text.toUpperCase().replaceAll(/[\s-]/g, ''), symbolOf);
  if (symbols.length !== LENGTH) {
    const message = `claim code: ${symbols.length} characters, not ${LENGTH}`;
    throw new ClaimCodeError('wrong-length', message);
  }
  const data = symbols.slice(0, DATA);
  const [first, second] = checkSymbols(data);
  if (symbols[DATA] !== first || symbols[DATA + 1] !== second) {
    throw new ClaimCodeError('bad-check', 'claim code: a character is wrong; compare it with the label');
  }
  const value = data.reduce((sum, symbol) => (sum << 5n) | BigInt(symbol), 0n);
  const prefix = value.toString(16).padStart(PREFIX_DIGITS, '0');
  if (prefix.length > PREFIX_DIGITS) {
    throw new ClaimCodeError('unknown-version', 'claim code: of a later version than this program knows');
  }
  return { code: grouped(symbols), prefix };
}

/** What the QR code of a label holds: the claim page of the console, with the code. */
export function claimUrl(consoleUrl: string, code: string): string {
  return `${consoleUrl.replace(/\/+$/, '')}/claim?code=${encodeURIComponent(code)}`;
}

/**
 * Reads what a camera found: the URL of a label, or the code alone.
 * @throws ClaimCodeError
 */
export function parseScannedClaim(text: string): ClaimCode {
  const [, code] = /[?&]code=([^&#]+)/.exec(text) ?? [];
  return parseClaimCode(code ?? text);
}

function symbolOf(char: string): number {
  const symbol = ALPHABET.indexOf(READ_AS[char] ?? char);
  if (symbol >= 0) return symbol;
  throw new ClaimCodeError('bad-character', `claim code: "${char}" is in no claim code`);
}

function grouped(symbols: readonly number[]): string {
  const text = symbols.map((symbol) => ALPHABET.charAt(symbol)).join('');
  return (text.match(new RegExp(`.{${GROUP}}`, 'g')) ?? []).join('-');
}

/** Remainder of data·x² by g(x) = (x − α)(x − α²) over GF(32), α a root of x⁵ + x² + 1. */
function checkSymbols(data: readonly number[]): readonly [number, number] {
  let high = 0;
  let low = 0;
  for (const symbol of data) {
    const lead = high ^ symbol;
    high = low ^ times(lead, G1);
    low = times(lead, G0);
  }
  return [high, low];
}

function times(a: number, b: number): number {
  let product = 0;
  for (let x = a, y = b; y > 0; y >>= 1, x = x & 16 ? (x << 1) ^ 0b100101 : x << 1) {
    if (y & 1) product ^= x;
  }
  return product;
}

const ALPHA = 2;
const G1 = ALPHA ^ times(ALPHA, ALPHA);
const G0 = times(ALPHA, times(ALPHA, ALPHA));
