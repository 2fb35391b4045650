import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Incoming } from './inbox.ts';
import { MessageError, messageErrorCodes } from './message-error.ts';

const Taken = z.object({ number: z.number() });
const Problem = z.object({ code: z.enum(messageErrorCodes), field: z.string(), detail: z.string() });
const Line = z.object({ topic: z.string(), payload: z.base64() });

/**
 * Hands a message to the agent that runs this device: resolves with its number once it is on the disk.
 * @throws MessageError what the agent says, or `no-agent`
 */
export async function submit(socket: string, topic: string, payload: Uint8Array): Promise<number> {
  const response = await answered(socket, request(optionsOf(socket, topic, 'POST')), payload);
  const text = await textOf(response);
  if (response.statusCode === 202) return Taken.parse(JSON.parse(text)).number;
  throw refusalIn(text);
}

/** What comes down, until the agent ends or the signal fires. @throws MessageError */
export async function* heard(socket: string, prefix: string, signal: AbortSignal): AsyncIterable<Incoming> {
  const asked = request({ ...optionsOf(socket, prefix, 'GET'), signal });
  const response = await answered(socket, asked, undefined);
  if (response.statusCode !== 200) throw refusalIn(await textOf(response));
  response.on('error', () => {});
  for await (const line of createInterface(response)) {
    const { topic, payload } = Line.parse(JSON.parse(line));
    yield { topic, payload: Buffer.from(payload, 'base64') };
  }
}

function optionsOf(socketPath: string, topic: string, method: 'POST' | 'GET') {
  const path = ['/v1/messages', ...(topic === '' ? [] : topic.split('/').map(encodeURIComponent))].join('/');
  return { socketPath, method, path, agent: false as const };
}

async function answered(
  socket: string,
  asked: ClientRequest,
  payload: Uint8Array | undefined,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  asked.on('response', resolve);
  asked.on('error', (cause) => reject(new MessageError('no-agent', socket, cause.message, cause)));
  asked.end(payload);
  return await promise;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** As the agent put it. */
function refusalIn(text: string): MessageError {
  const { code, field, detail } = Problem.parse(JSON.parse(text));
  return new MessageError(
    code,
    field,
    detail.startsWith(`${field}: `) ? detail.slice(field.length + 2) : detail,
  );
}
