import type { Redis } from 'ioredis';
import { MessageHeader, type StoredMessage } from '../domain/session/session-store.ts';

type Text = string | number | Buffer;

/** The steps that Redis makes at once. */
export type SessionScripts = {
  /** session, node → epoch, record, sent, whether it was there; null: a later claim has it. ARGV: epoch and record of a new one, claim */
  sessionOpen(...args: Text[]): Promise<[string, string, string, number] | null>;
  /** session, queue, messages, node → queued | repeated | full | gone, node. ARGV: see {@link APPEND} */
  sessionAppend(...args: Text[]): Promise<[string, string | null]>;
  /** session, queue, messages → upTo, and `seq`, value in turn. ARGV: epoch, after, limit, now */
  sessionTakeBuffer(...args: Text[]): Promise<Buffer[]>;
  /** session, queue, messages. ARGV: every `seq` */
  sessionRemove(...args: Text[]): Promise<number>;
  /** session, queue, messages, node → node. ARGV: epoch, next, sent, seconds, then `seq`, value, bytes in turn */
  sessionLeave(...args: Text[]): Promise<string | null>;
  /** session → whether it was changed. ARGV: epoch, record before, record after */
  sessionChange(...args: Text[]): Promise<number>;
  /** session, unreleased. ARGV: epoch, packet identifier */
  sessionReceive(...args: Text[]): Promise<number>;
  /** node, claims, and what is removed → claim, node before. ARGV: node */
  sessionClaim(...args: Text[]): Promise<[string, string | null]>;
  /** wills. ARGV: key, session */
  willDrop(...args: Text[]): Promise<number>;
  /** legacy subscriptions, queue and incoming, session, queue, messages, unreleased. ARGV: see {@link ADOPT} */
  sessionAdopt(...args: Text[]): Promise<number>;
};

/** A value is `<expires> <bytes> <header>\n<payload>`. */
const HELPERS = `
local function sizeOf(value)
  local _, size = string.match(value, '^(%d+) (%d+) ')
  return tonumber(size)
end
local function drop(session, queue, messages, seq)
  local value = redis.call('HGET', messages, seq)
  if redis.call('ZREM', queue, seq) == 0 then return 0 end
  if value then
    redis.call('HDEL', messages, seq)
    redis.call('HINCRBY', session, 'bytes', -sizeOf(value))
  end
  return 1
end
local function put(session, queue, messages, seq, value, seconds)
  redis.call('ZADD', queue, seq, seq)
  redis.call('HSET', messages, seq, value)
  redis.call('HINCRBY', session, 'bytes', sizeOf(value))
  redis.call('EXPIRE', queue, seconds)
  redis.call('EXPIRE', messages, seconds)
end
-- what expired went as a whole, or from the oldest on
local function purge(session, queue, messages, now)
  if redis.call('EXISTS', queue) == 0 then
    redis.call('HSET', session, 'bytes', 0)
    return
  end
  while true do
    local seq = redis.call('ZRANGE', queue, 0, 0)[1]
    if not seq then return end
    local value = redis.call('HGET', messages, seq)
    local expires = value and tonumber(string.match(value, '^(%d+) '))
    if expires and expires > tonumber(now) then return end
    drop(session, queue, messages, seq)
  end
end
local function whole(n) return string.format('%.0f', n) end
`;

const OPEN = `
if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('HGET', KEYS[2], 'claim') ~= ARGV[3] then return false end
local isNew = redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
if isNew == 1 then redis.call('HSET', KEYS[1], 'record', ARGV[2], 'next', 1, 'sent', 0, 'bytes', 0, 'ids', '') end
local known = redis.call('HMGET', KEYS[1], 'epoch', 'record', 'sent')
return { known[1], known[2], known[3], 1 - isNew }`;

/** ARGV: epoch, id, most messages, most bytes, now, seconds, whether it is sent, characters of ids, value. */
const APPEND = `
local session, queue, messages = KEYS[1], KEYS[2], KEYS[3]
local known = redis.call('HMGET', session, 'epoch', 'ids', 'next')
if known[1] ~= ARGV[1] then return { 'gone', false } end
local node = redis.call('HGET', KEYS[4], 'node')
if ARGV[2] ~= '' and string.find(known[2], ARGV[2], 1, true) then return { 'repeated', node } end
purge(session, queue, messages, ARGV[5])
local bytes = tonumber(redis.call('HGET', session, 'bytes'))
if redis.call('ZCARD', queue) >= tonumber(ARGV[3]) or bytes + sizeOf(ARGV[9]) > tonumber(ARGV[4]) then
  return { 'full', node }
end
local seq = whole(tonumber(known[3]))
put(session, queue, messages, seq, ARGV[9], ARGV[6])
redis.call('HSET', session, 'next', whole(tonumber(seq) + 1), 'ids', string.sub(known[2] .. ARGV[2], -tonumber(ARGV[8])))
if ARGV[7] == '1' then redis.call('HSET', session, 'sent', seq) end
return { 'queued', node }`;

const TAKE = `
local session, queue, messages = KEYS[1], KEYS[2], KEYS[3]
local known = redis.call('HMGET', session, 'epoch', 'next', 'sent')
if known[1] ~= ARGV[1] then return { ARGV[2] } end
purge(session, queue, messages, ARGV[4])
local seqs = redis.call('ZRANGEBYSCORE', queue, '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3])
local upTo = seqs[#seqs] or ARGV[2]
if #seqs < tonumber(ARGV[3]) and tonumber(known[2]) - 1 > tonumber(upTo) then upTo = whole(tonumber(known[2]) - 1) end
local answer = { upTo }
for _, seq in ipairs(seqs) do
  local value = redis.call('HGET', messages, seq)
  if value then
    answer[#answer + 1] = seq
    answer[#answer + 1] = value
  end
end
local last = seqs[#seqs]
if last and tonumber(last) > tonumber(known[3]) then redis.call('HSET', session, 'sent', last) end
return answer`;

const REMOVE = `
local removed = 0
for _, seq in ipairs(ARGV) do removed = removed + drop(KEYS[1], KEYS[2], KEYS[3], seq) end
return removed`;

const LEAVE = `
local session, queue, messages = KEYS[1], KEYS[2], KEYS[3]
local known = redis.call('HMGET', session, 'epoch', 'next')
if known[1] ~= ARGV[1] then return false end
if tonumber(ARGV[2]) > tonumber(known[2]) then redis.call('HSET', session, 'next', ARGV[2]) end
redis.call('HSET', session, 'sent', ARGV[3])
for i = 5, #ARGV, 2 do put(session, queue, messages, ARGV[i], ARGV[i + 1], ARGV[4]) end
return redis.call('HGET', KEYS[4], 'node')`;

const CHANGE = `
local known = redis.call('HMGET', KEYS[1], 'epoch', 'record')
if known[1] ~= ARGV[1] then return 1 end
if known[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'record', ARGV[3])
return 1`;

const RECEIVE = `
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
return redis.call('SADD', KEYS[2], ARGV[2])`;

/** Claims are in the order of this script, and higher than those of a Redis that has lost what it was told. */
const CLAIM = `
local before = redis.call('HGET', KEYS[1], 'node')
local time = redis.call('TIME')
local claim = math.max(redis.call('INCR', KEYS[2]), time[1] * 1000 + math.floor(time[2] / 1000))
claim = string.format('%.0f', claim)
redis.call('SET', KEYS[2], claim)
redis.call('HSET', KEYS[1], 'claim', claim, 'node', ARGV[1])
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
return { claim, before }`;

const WILL_DROP = `
local will = redis.call('HGET', KEYS[1], ARGV[1])
if will and string.sub(will, 1, #ARGV[2]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0`;

/**
 * ARGV: length of the legacy queue as it was read, epoch and record of a new session, record of a known one and what it
 * was, whole seconds, how many values were sent, number of values, values, packet identifiers. 0: it is to be read again.
 */
const ADOPT = `
local session, queue, messages = KEYS[4], KEYS[5], KEYS[6]
if redis.call('LLEN', KEYS[2]) ~= tonumber(ARGV[1]) then return 0 end
if redis.call('HSETNX', session, 'epoch', ARGV[2]) == 1 then
  redis.call('HSET', session, 'record', ARGV[3], 'next', 1, 'sent', 0, 'bytes', 0, 'ids', '')
elseif redis.call('HGET', session, 'record') == ARGV[5] then
  redis.call('HSET', session, 'record', ARGV[4])
else
  return 0
end
if redis.call('DEL', KEYS[1], KEYS[2], KEYS[3]) == 0 then return 1 end
local next = tonumber(redis.call('HGET', session, 'next'))
local count = tonumber(ARGV[8])
for i = 1, count do
  put(session, queue, messages, whole(next), ARGV[8 + i], ARGV[6])
  if i <= tonumber(ARGV[7]) then redis.call('HSET', session, 'sent', whole(next)) end
  next = next + 1
end
redis.call('HSET', session, 'next', whole(next))
for i = 9 + count, #ARGV do redis.call('SADD', KEYS[7], ARGV[i]) end
return 1`;

export function defineScripts(redis: Redis): SessionScripts {
  const scripts = {
    sessionOpen: [2, OPEN],
    sessionAppend: [4, HELPERS + APPEND],
    sessionTake: [3, HELPERS + TAKE],
    sessionRemove: [3, HELPERS + REMOVE],
    sessionLeave: [4, HELPERS + LEAVE],
    sessionChange: [1, CHANGE],
    sessionReceive: [2, RECEIVE],
    willDrop: [1, WILL_DROP],
    sessionAdopt: [7, HELPERS + ADOPT],
  } as const;
  for (const [name, [numberOfKeys, lua]] of Object.entries(scripts))
    redis.defineCommand(name, { numberOfKeys, lua });
  redis.defineCommand('sessionClaim', { lua: CLAIM });
  return redis as unknown as SessionScripts;
}

/** `<expires> <bytes> <header>\n<payload>`: what the scripts need comes first, in digits. */
export function encodeValue({ payload, ...header }: StoredMessage, expires: number): Buffer {
  const { seq: _, ...rest } = header as typeof header & { seq?: unknown };
  const at = Math.floor(Math.min(rest.expiresAt ?? Number.POSITIVE_INFINITY, expires));
  return Buffer.concat([Buffer.from(`${at} ${payload.length} ${JSON.stringify(rest)}\n`), payload]);
}

/** The inverse of {@link encodeValue}; `expires` in Unix milliseconds. */
export function decodeValue(value: Buffer): StoredMessage & { readonly expires: number } {
  const end = value.indexOf('\n');
  const head = value.toString('utf8', 0, end);
  const start = head.indexOf(' ', head.indexOf(' ') + 1) + 1;
  const header = MessageHeader.parse(JSON.parse(head.slice(start)));
  return { ...header, payload: value.subarray(end + 1), expires: Number.parseInt(head, 10) };
}
