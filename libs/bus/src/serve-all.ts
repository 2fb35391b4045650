import type { Operation } from '@signet/contracts';
import type { z } from 'zod';
import type { Rpc, Subscription } from './bus.ts';

/** What carries an operation out. */
export type Implementation<O extends Operation> = (
  input: z.output<O['input']>,
) => Promise<z.input<O['output']>>;

/** One implementation for each operation of a list, by its name in that list. */
export type Implementations<L extends Readonly<Record<string, Operation>>> = {
  readonly [K in keyof L]: Implementation<L[K]>;
};

/**
 * Serves a list of operations: one that has no implementation, or one of another shape, does not compile.
 *
 *     const operations = { getAuthority, listAuthorities };
 *     stack.use(await serveAll(bus, operations, { getAuthority: …, listAuthorities: … }));
 */
export async function serveAll<L extends Readonly<Record<string, Operation>>>(
  bus: Pick<Rpc, 'serve'>,
  operations: L,
  implementations: Implementations<L>,
): Promise<Subscription> {
  await using stack = new AsyncDisposableStack();
  for (const name of Object.keys(operations) as (keyof L & string)[]) {
    const operation: Operation | undefined = operations[name];
    if (operation !== undefined) stack.use(await bus.serve(operation, implementations[name] as never));
  }
  return stack.move();
}
