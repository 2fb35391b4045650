/** A fault of ours that the run found. */
export class Finding extends Error {
  override readonly name = 'Finding';
}
