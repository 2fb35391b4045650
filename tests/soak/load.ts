import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';

/**
 * Work beside a test: for every processor one process that computes, and one that writes to the disk and waits for it.
 * They end when they are disposed, and when this process dies, however that happens (their standard input closes).
 */
export function startLoad(): AsyncDisposable {
  const children = [...Array.from({ length: availableParallelism() }, () => COMPUTES), WRITES].map((code) =>
    spawn(process.execPath, ['-e', UNTIL_STDIN_ENDS + code], { stdio: ['pipe', 'ignore', 'inherit'] }),
  );
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(
        children.map(async (child) => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const exited = once(child, 'exit');
          child.kill('SIGKILL');
          await exited;
        }),
      );
    },
  };
}

const UNTIL_STDIN_ENDS = `process.stdin.resume().on('end', () => process.exit()).on('error', () => process.exit());`;

// Long turns, as a collection or a signature is; the event loop sees the end of its input between them.
const COMPUTES = `
  (function turn() {
    const until = performance.now() + 50;
    let x = 1;
    while (performance.now() < until) for (let i = 0; i < 1e5; i++) x = (x * 48271) % 2147483647;
    setImmediate(turn);
  })();`;

const WRITES = `
  const fs = require('node:fs'), path = require('node:path'), os = require('node:os');
  const file = path.join(os.tmpdir(), 'signet-soak-' + process.pid);
  const fd = fs.openSync(file, 'w');
  fs.unlinkSync(file);
  const block = Buffer.alloc(1 << 20, 1);
  (function turn() {
    fs.write(fd, block, 0, block.length, 0, () => fs.fsync(fd, () => setImmediate(turn)));
  })();`;
