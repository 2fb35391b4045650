/**
 * A fingerprint as people have it: hex, with colons or blanks in it, and the name that openssl prints before it
 * (`sha256 Fingerprint=AA:BB…`). Lower-case hex; what is none comes back as it is but for that.
 */
export function readFingerprint(text: string): string {
  return text
    .trim()
    .replace(/^sha-?256 +fingerprint *= */i, '')
    .replaceAll(/[\s:]/g, '')
    .toLowerCase();
}
