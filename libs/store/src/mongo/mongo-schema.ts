import type { Collection } from 'mongodb';
import type { SchemaRecords } from '../schema/steps.ts';
import { isDuplicateKey, storeErrorOf } from './store-error-of.ts';

/** A step that is done; its id is `<component>/<number>`. */
export type FiledStep = {
  readonly _id: string;
  readonly component: string;
  readonly number: number;
  readonly name: string;
};

/** The steps that a database has behind it, in a collection of its own: `store.schema`. */
export class MongoSchema implements SchemaRecords {
  readonly #collection: Collection<FiledStep>;
  readonly #isClosed: () => boolean;

  constructor(collection: Collection<FiledStep>, isClosed: () => boolean) {
    this.#collection = collection;
    this.#isClosed = isClosed;
  }

  async done(component: string): Promise<readonly string[]> {
    try {
      const filed = await this.#collection.find({ component }).toArray();
      return filed.toSorted((a, b) => a.number - b.number).map(({ name }) => name);
    } catch (error) {
      throw storeErrorOf(error, this.#isClosed());
    }
  }

  async record(component: string, number: number, name: string): Promise<void> {
    try {
      await this.#collection.insertOne({ _id: `${component}/${number}`, component, number, name });
    } catch (error) {
      if (!isDuplicateKey(error)) throw storeErrorOf(error, this.#isClosed());
    }
  }
}
