import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  randomUUID,
} from 'node:crypto';
import { Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate, StoreError } from '@signet/store';
import { z } from 'zod';

/** A call with an `Idempotency-Key`. Its id is the SHA-256 of the caller's token id and the key. */
export const KeptAnswer = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  /** SHA-256 of method, path and body: the key is good for this call alone. */
  request: z.string().regex(/^[0-9a-f]{64}$/),
  /** Tells the replica that runs the call from one that took it over. */
  attempt: z.string(),
  startedAt: Time,
  /** Present once the call went well. */
  done: z
    .object({
      status: z.number().int(),
      /** Base64 of nonce, ciphertext and tag: only the caller's token opens it, for answers hold secrets. */
      sealed: z.string().optional(),
    })
    .optional(),
  expiresAt: Time,
});
export type KeptAnswer = z.infer<typeof KeptAnswer>;
export type KeptAnswers = Collection<KeptAnswer, 'byExpiry'>;

export const keptAnswers = {
  name: 'admin-api.kept-answers',
  schema: KeptAnswer,
  indexes: { byExpiry: { fields: ['expiresAt'] } },
} as const satisfies CollectionSpec<KeptAnswer>;

const PAGE = 1000;

/** Forgets answers whose time is over; replicas may do so at once. */
export async function purgeKeptAnswers(answers: KeptAnswers, now: number): Promise<void> {
  for (;;) {
    const to = new Date(now).toISOString();
    const { items } = await answers.find({ index: 'byExpiry', to, limit: PAGE });
    // a call that takes the key over meanwhile goes on under the same id
    for (const { id } of items) await answers.remove(id, ({ expiresAt }) => expiresAt < to);
    if (items.length < PAGE) return;
  }
}

/** What a call was answered that went well. `body` is undefined where there is none. */
export type Answer = { readonly status: number; readonly body: unknown };

export type KeyedCall = {
  /** The header's value. */
  readonly key: string;
  readonly tokenId: string;
  /** The API token in clear: what it is answered is kept for whoever has it. */
  readonly token: string;
  /** What is asked for: method, path, body. */
  readonly request: readonly unknown[];
};

/** Why a keyed call is not run: `reused` for another request, or `running` somewhere at this moment. */
export class KeyConflict extends Error {
  override readonly name = 'KeyConflict';
  readonly code: 'reused' | 'running' | 'not-kept';

  constructor(code: KeyConflict['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export type AnswerOnceDeps = {
  readonly answers: KeptAnswers;
  readonly now: () => number;
  /** Told where the answer could not be kept: whoever repeats the call is told that it runs. */
  readonly onError: (error: unknown) => void;
};

const KEPT_MS = 86_400_000;
/** No call runs longer (the server's own bound on one): who began it has died. */
const LONGEST_CALL_MS = 600_000;
/** Longer answers are not kept. */
const LONGEST_ANSWER = 2 * 1024 * 1024;

/**
 * Runs a call once for its key, however often and at whatever replica it comes: who comes later gets the answer that
 * the first one got, for a day. A call that failed leaves no trace: it may be tried again.
 * @throws KeyConflict; whatever `run` throws
 */
export async function answerOnce(
  { answers, now, onError }: AnswerOnceDeps,
  call: KeyedCall,
  run: () => Promise<Answer>,
): Promise<Answer & { readonly isRepeated: boolean }> {
  const begun = begin(call, now());
  const present = await presentCall(answers, begun, now());
  if (present !== undefined) return { ...repeated(call, present, begun), isRepeated: true };
  let answer: Answer;
  try {
    answer = await run();
  } catch (error) {
    await answers.remove(begun.id, ({ attempt }) => attempt === begun.attempt).catch(onError);
    throw error;
  }
  // it is done: that this cannot be said later is no reason not to say it now
  await keep(answers, begun, { status: answer.status, ...seal(call, answer.body) }).catch(onError);
  return { ...answer, isRepeated: false };
}

function keep(answers: KeptAnswers, { id, attempt }: KeptAnswer, done: KeptAnswer['done']) {
  return answers.update(id, (current) =>
    current.attempt === attempt ? { document: { ...current, done } } : undefined,
  );
}

function begin({ tokenId, key, request }: KeyedCall, now: number): KeptAnswer {
  return {
    id: createHash('sha256').update(`${tokenId}\n${key}`).digest('hex'),
    request: createHash('sha256').update(JSON.stringify(request)).digest('hex'),
    attempt: randomUUID(),
    startedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + KEPT_MS).toISOString(),
  };
}

/** The call that was first with this key, or nothing where this one is. */
async function presentCall(
  answers: KeptAnswers,
  begun: KeptAnswer,
  now: number,
): Promise<KeptAnswer | undefined> {
  try {
    await answers.insert(begun);
    return undefined;
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
  const present = await answers.get(begun.id);
  if (present === undefined) return presentCall(answers, begun, now);
  const isOver =
    Date.parse(present.expiresAt) <= now ||
    (present.done === undefined && Date.parse(present.startedAt) + LONGEST_CALL_MS <= now);
  if (!isOver) return present;
  const after = await takeOver(answers, present, begun);
  return after === begun.attempt ? undefined : presentCall(answers, begun, now);
}

/** @returns whose the call is afterwards, if it is anybody's */
async function takeOver(
  answers: KeptAnswers,
  present: KeptAnswer,
  begun: KeptAnswer,
): Promise<string | undefined> {
  try {
    const after = await answers.update(begun.id, (current) =>
      current.attempt === present.attempt ? { document: begun } : undefined,
    );
    return after.attempt;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'not-found') return undefined;
    throw error;
  }
}

function repeated(call: KeyedCall, { request, done }: KeptAnswer, begun: KeptAnswer): Answer {
  if (request !== begun.request)
    throw new KeyConflict('reused', 'Idempotency-Key: was used for another request; take a new one');
  if (done === undefined)
    throw new KeyConflict('running', 'Idempotency-Key: its first request is not answered yet');
  const { status, sealed } = done;
  if (sealed === undefined)
    throw new KeyConflict('not-kept', 'Idempotency-Key: it was done, and its answer was too long to be kept');
  return { status, body: open(call, sealed) };
}

function keyOf({ token, key }: KeyedCall): Buffer {
  return createHmac('sha256', token).update(`signet-kept-answer\n${key}`).digest();
}

function seal(call: KeyedCall, body: unknown): { sealed?: string } {
  const text = body === undefined ? '' : JSON.stringify(body);
  if (text.length > LONGEST_ANSWER) return {};
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', keyOf(call), nonce);
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { sealed: sealed.toString('base64') };
}

function open(call: KeyedCall, sealed: string): unknown {
  const bytes = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', keyOf(call), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(-16));
  const text = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8');
  return text === '' ? undefined : JSON.parse(text);
}
