export { readIfThere } from './read-if-there.ts';
export { type ReplaceOptions, replaceFile, writeWith } from './replace-file.ts';
