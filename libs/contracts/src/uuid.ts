/** UUID version 7 (RFC 9562 §5.7): 48 bits of milliseconds, then 74 random bits. */
export function uuidv7(now: number = Date.now()): string {
  // Version 4 has its version, its variant and its random bits in the same places; Node makes those in stock.
  const random = crypto.randomUUID().slice(15);
  const time = now.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random}`;
}
