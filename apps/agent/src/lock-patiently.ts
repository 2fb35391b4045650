import { once } from 'node:events';
import { connect } from 'node:net';
import { AgentError } from './agent-error.ts';
import { lockFolder } from './folder-lock.ts';
import { type MessageOptions, PAYLOAD_BYTES, socketOf } from './messages/device-messages.ts';
import { Inbox } from './messages/inbox.ts';
import { LocalInterface } from './messages/local-interface.ts';
import { MessageError } from './messages/message-error.ts';
import type { Step } from './onboard.ts';
import { jittered, pause } from './pause.ts';

const RETRY_MS = 1000;
const MOST_MS = 60_000;

/**
 * Takes a device folder as {@link lockFolder} does, and waits for a disk that takes nothing, as for all that passes. In
 * the meantime workloads whose socket can be made, on another file system say, are told so.
 * @throws AgentError `folder-in-use`; the signal's reason once it aborts
 */
export async function lockPatiently(
  path: string,
  options: {
    readonly messages: MessageOptions | false;
    readonly report: (step: Step) => void;
    readonly signal: AbortSignal;
  },
): Promise<AsyncDisposable> {
  const { messages, report, signal } = options;
  await using meanwhile = new AsyncDisposableStack();
  for (let failures = 0; ; failures++) {
    signal.throwIfAborted();
    try {
      return await lockFolder(path);
    } catch (error) {
      if (!(error instanceof AgentError) || error.code !== 'disk') throw error;
      if (failures === 0 && messages !== false)
        meanwhile.use(await refuseWorkloads({ socket: socketOf({ path }), ...messages }, error));
      const ms = RETRY_MS + jittered(failures, RETRY_MS, MOST_MS);
      report({ step: 'retrying', reason: error.message, seconds: ms / 1000 });
      await pause(ms, signal);
    }
  }
}

/** A socket that takes no message. Undefined where none can be made there, or another process answers at it. */
async function refuseWorkloads(
  { socket, group }: MessageOptions & { readonly socket: string },
  cause: AgentError,
): Promise<LocalInterface | undefined> {
  if (await isAnswered(socket)) return undefined;
  return await LocalInterface.open({
    path: socket,
    group,
    payloadBytes: PAYLOAD_BYTES,
    inbox: new Inbox(() => {}),
    publish: () => Promise.reject(new MessageError('disk', 'message', cause.message, cause)),
  }).catch(() => undefined);
}

async function isAnswered(socket: string): Promise<boolean> {
  const asked = connect(socket);
  try {
    await once(asked, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    asked.destroy();
  }
}
