import { join } from 'node:path';
import process from 'node:process';
import { nodeEnvironment, nodeFlags } from './node-settings.ts';

/**
 * `npm start`. The process becomes the platform: no parent is left between it and whoever sends a signal, and its exit
 * code is the platform's.
 */
const main = join(import.meta.dirname, 'main.ts');
if (process.execve === undefined) throw new Error('npm start needs a Node that has process.execve');
process.execve(process.execPath, [process.execPath, ...nodeFlags, main, ...process.argv.slice(2)], {
  ...nodeEnvironment,
  ...process.env,
});
