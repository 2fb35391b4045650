import process from 'node:process';
import { buffer } from 'node:stream/consumers';
import { type Command, InvalidArgumentError } from 'commander';
import type { DeviceFolder } from '../device-folder.ts';
import { lockFolder } from '../folder-lock.ts';
import { groupNumber } from '../shared-identity/flags.ts';
import { type MessageOptions, openQueue, publishTo, QUEUE_BOUNDS, socketOf } from './device-messages.ts';
import { heard, submit } from './local-client.ts';
import { MessageError } from './message-error.ts';

type Flags = {
  readonly messages?: string | boolean;
  readonly messagesGroup?: string;
  readonly queueMessages: number;
  readonly queueBytes: number;
};

/** `--messages`, `--no-messages`, `--messages-group`, `--queue-messages`, `--queue-bytes`. */
export function addMessageFlags(program: Command): Command {
  const { env } = process;
  return program
    .option(
      '--messages <socket>',
      'the Unix socket for workloads; by default "messages.sock" of the device folder',
      env.SIGNET_DEVICE_MESSAGES,
    )
    .option('--no-messages', 'no socket for workloads')
    .option(
      '--messages-group <group>',
      'the group that may use it, by name or number; by default the owner alone',
      env.SIGNET_DEVICE_MESSAGES_GROUP,
    )
    .option(
      '--queue-messages <count>',
      'messages that may wait for the broker',
      atLeastOne,
      atLeastOne(env.SIGNET_DEVICE_QUEUE_MESSAGES ?? `${QUEUE_BOUNDS.messages}`),
    )
    .option(
      '--queue-bytes <bytes>',
      'bytes that may wait for the broker',
      atLeastOne,
      atLeastOne(env.SIGNET_DEVICE_QUEUE_BYTES ?? `${QUEUE_BOUNDS.bytes}`),
    );
}

/** What those flags say. @throws AgentError `bad-group` */
export async function messagesOf(program: Command): Promise<MessageOptions | false> {
  const { messages, messagesGroup, queueMessages, queueBytes } = program.opts<Flags>();
  if (messages === false) return false;
  return {
    ...(typeof messages === 'string' ? { socket: messages } : {}),
    ...(messagesGroup === undefined ? {} : { group: await groupNumber('--messages-group', messagesGroup) }),
    bounds: { messages: queueMessages, bytes: queueBytes },
  };
}

/** `publish` and `listen`. */
export function addMessageCommands(
  program: Command,
  { folder, signal }: { readonly folder: () => DeviceFolder; readonly signal: AbortSignal },
): void {
  const socket = () => {
    const { messages } = program.opts<Flags>();
    return typeof messages === 'string' ? messages : socketOf(folder());
  };
  program
    .command('publish')
    .description('queue a message for the broker; it is on the disk when this ends')
    .argument('<topic>', "below the device's own up/")
    .argument('[payload]', 'as text; "-" or nothing: what stands on standard input', '-')
    .action(async (topic: string, text: string) => {
      const payload = text === '-' ? await buffer(process.stdin) : Buffer.from(text);
      const number = await published(folder(), await messagesOf(program), {
        topic,
        payload,
        socket: socket(),
      });
      console.log(number);
    });
  program
    .command('listen')
    .description('what comes down for the workloads of this device, one JSON object in each line')
    .argument('[prefix]', 'only what is on this topic or below it', '')
    .action(async (prefix: string) => {
      for await (const { topic, payload } of heard(socket(), prefix, signal))
        console.log(JSON.stringify({ topic, payload: payload.toString('base64') }));
    });
}

/** By the agent that runs; where none does, straight into the queue. */
async function published(
  folder: DeviceFolder,
  options: MessageOptions | false,
  { topic, payload, socket }: { topic: string; payload: Buffer; socket: string },
): Promise<number> {
  try {
    return await submit(socket, topic, payload);
  } catch (error) {
    if (!(error instanceof MessageError) || error.code !== 'no-agent' || !isAbsent(error.cause)) throw error;
  }
  await folder.factoryFiles();
  await using _lock = await lockFolder(folder.path);
  await using queue = await openQueue(folder, options === false ? undefined : options.bounds);
  return await publishTo(queue, folder, topic, payload);
}

function isAbsent(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && ['ENOENT', 'ECONNREFUSED'].includes(String(cause.code));
}

function atLeastOne(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('a whole number, at least 1');
  return number;
}
