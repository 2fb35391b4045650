/** Rounds of Fermat's method that a modulus has to withstand. */
const FERMAT_ROUNDS = 100;
const primes = primesBelow(752);
const product = primes.reduce((all, prime) => all * BigInt(prime), 1n);

/** Primes that tell a modulus of the library that made ROCA, and the residues that it leaves with each. */
const rocaResidues = primes
  .filter((prime) => prime > 2 && prime <= 167)
  .map((prime) => [BigInt(prime), powersOf(65537 % prime, prime)] as const);

/**
 * Why a modulus can be factored although it is long: it has a small factor, its factors lie close together, or it was
 * made by the library in TPMs and smart cards that CVE-2017-15361 ("ROCA") is about (CA/Browser Forum BR §6.1.1.3; NIST
 * SP 800-89 §5.3.3). Takes about half a millisecond; undefined where nothing is wrong.
 */
export function modulusWeakness(modulus: Uint8Array): string | undefined {
  const n = BigInt(`0x${Buffer.from(modulus).toString('hex')}`);
  const rest = n % product;
  if (primes.some((prime) => rest % BigInt(prime) === 0n)) return 'an RSA modulus with a small factor';
  if (rocaResidues.every(([prime, residues]) => residues.has(Number(rest % prime))))
    return 'an RSA key of a generator that is broken (CVE-2017-15361, ROCA)';
  return isCloseProduct(n) ? 'an RSA modulus whose factors lie close together (Fermat)' : undefined;
}

function isCloseProduct(n: bigint): boolean {
  let root = squareRoot(n);
  if (root * root < n) root += 1n;
  for (let round = 0; round < FERMAT_ROUNDS; round++, root += 1n) {
    const difference = root * root - n;
    if (mayBeSquare(difference)) {
      const side = squareRoot(difference);
      if (side * side === difference) return true;
    }
  }
  return false;
}

const squaresOf64 = new Set(Array.from({ length: 64 }, (_, i) => BigInt((i * i) % 64)));
const squaresOf63 = new Set(Array.from({ length: 63 }, (_, i) => BigInt((i * i) % 63)));
const squaresOf65 = new Set(Array.from({ length: 65 }, (_, i) => BigInt((i * i) % 65)));

/** One in twenty of all others is let through. */
function mayBeSquare(value: bigint): boolean {
  return squaresOf64.has(value & 63n) && squaresOf63.has(value % 63n) && squaresOf65.has(value % 65n);
}

/** The largest whole number whose square is not above `value`: Newton's method. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(16).length * 4 + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function primesBelow(end: number): readonly number[] {
  const found: number[] = [];
  for (let n = 2; n < end; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

function powersOf(base: number, modulus: number): ReadonlySet<number> {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * base) % modulus) powers.add(power);
  return powers;
}
