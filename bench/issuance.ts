import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import {
  checkKey,
  createCsr,
  createTemplate,
  generateKeyPair,
  issue,
  issueRoot,
  keySigner,
  parseCsr,
  prepare,
  verifyCsr,
} from '@signet/pki';

const OPERATIONS = 4000;
const ROUNDS = 20;
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * From a request's DER to a certificate's DER, once for each of many new keys: parse, key policy, self-signature,
 * template, lint, sign. The floor is what no issuer can leave out: one P-256 verification and one P-256 signature,
 * with key objects made once.
 */
export async function issuance(): Promise<Record<string, string | number>> {
  const now = Date.now();
  const signer = keySigner(generateKeyPair('P-256').privateKey);
  const issuer = await issueRoot({
    subject: { commonName: 'Bench CA' },
    signer,
    issuedAt: now,
    notAfter: now + 3650 * DAY_MS,
  });
  const template = createTemplate({
    kind: 'operational',
    issuer,
    crlUrls: ['http://ca.example/crl/bench.crl'],
    ocspUrls: ['http://ca.example/ocsp'],
    caIssuerUrls: ['http://ca.example/bench.cer'],
  });
  const issueFor = async (csrDer: Uint8Array): Promise<Uint8Array> => {
    const csr = parseCsr(csrDer);
    checkKey(csr.key, ['P-256', 'P-384']);
    verifyCsr(csr);
    const linted = prepare(template, {
      subjectDer: csr.subjectDer,
      spkiDer: csr.spkiDer,
      sans: { uris: [`spiffe://signet.example/bench/device/${csr.subject.commonName}`] },
      issuedAt: now,
      notAfter: now + 90 * DAY_MS,
    });
    return (await issue(linted, signer)).der;
  };

  const warmUp = requests(1500);
  const measured = requests(OPERATIONS);
  await cpuMsPerOp(warmUp.length, (i) => issueFor(warmUp[i] as Uint8Array));
  const floorOperation = floor();
  await cpuMsPerOp(500, floorOperation);

  const share = OPERATIONS / ROUNDS;
  const [ours, floors, seconds]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    floors.push(await cpuMsPerOp(share, floorOperation));
    const start = performance.now();
    ours.push(await cpuMsPerOp(share, (i) => issueFor(measured[round * share + i] as Uint8Array)));
    seconds.push((performance.now() - start) / 1000);
  }
  const cpu = median(ours);
  const floorCpu = median(floors);
  return {
    bench: 'issuance',
    operations: OPERATIONS,
    perSecond: Math.round(share / median(seconds)),
    cpuMsPerOp: rounded(cpu),
    floorCpuMsPerOp: rounded(floorCpu),
    ratioToFloor: rounded(cpu / floorCpu),
  };
}

function requests(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    createCsr({
      subject: { commonName: `device-${i}`, organization: 'bench' },
      privateKey: generateKeyPair('P-256').privateKey,
      challengePassword: 'sgr_0123456789abcdefghijkl',
    }),
  );
}

function floor(): () => boolean {
  const { privateKey, publicKey } = generateKeyPair('P-256');
  const pkcs8 = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const spki = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' }));
  const data = randomBytes(512);
  const signature = sign('sha256', data, pkcs8);
  return () => verify('sha256', data, spki, signature) && sign('sha256', data, pkcs8).length > 0;
}

async function cpuMsPerOp(count: number, operation: (index: number) => unknown): Promise<number> {
  const start = process.cpuUsage();
  for (let i = 0; i < count; i++) await operation(i);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000 / count;
}

/** Rounds alternate between the two and medians are compared, so that other work on the machine weighs little. */
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const rounded = (value: number): number => Number(value.toFixed(4));
